//! `hangwatch_snapshot_t`: one slot, all of it in the caller's memory.

use crate::call::Grows;
use crate::text::fitting;
use hangwatch_core::judge::Spent;
use hangwatch_core::layout::info::NO_DEVICE;
use hangwatch_core::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch_core::layout::word::{Kind, Tag};
use hangwatch_core::monitor::{Source, View};
use hangwatch_core::tell::text::escaped;
use std::time::Duration;

/// `HANGWATCH_NS_UNKNOWN`.
pub(crate) const NS_UNKNOWN: u64 = u64::MAX;
/// `HANGWATCH_PERCENT_UNKNOWN` and `HANGWATCH_RATE_UNKNOWN`.
pub(crate) const UNKNOWN: f64 = -1.0;

/// `hangwatch_snapshot_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CSnapshot {
    struct_size: usize,
    slot: u32,
    state: u32,
    kind: u32,
    generation: u32,
    pid: u32,
    tid: u32,
    source: u32,
    verdict: u32,
    is_read: i32,
    job_open: i32,
    phase: u32,
    job_number: u32,
    pass: u32,
    falls: u32,
    device: u32,
    jobs_failed: u32,
    jobs_cancelled: u32,
    reserved: u32,
    jobs_ok: u64,
    done: u64,
    total: u64,
    percent: f64,
    rate_per_s: f64,
    eta_ns: u64,
    batch: u64,
    size: u64,
    deadline_ns: u64,
    job_age_ns: u64,
    heartbeat_age_ns: u64,
    progress_age_ns: u64,
    lease_left_ns: u64,
    heartbeat_budget_ns: u64,
    progress_budget_ns: u64,
    phase_budget_ns: u64,
    episode: u64,
    restarts: u64,
    clock: [u8; 16],
    phase_name: [u8; 56],
    worker: [u8; 48],
    lane: [u8; 32],
    job: [u8; 72],
    model: [u8; 104],
    detail: [u8; 104],
}

// The number that the header asserts on 64-bit machines.
const _: () = assert!(size_of::<usize>() != 8 || size_of::<CSnapshot>() == 656);

// SAFETY: it is repr(C), and its size is its first member.
unsafe impl Grows for CSnapshot {
    fn with_size(self, struct_size: usize) -> Self {
        Self { struct_size, ..self }
    }
}

fn state(tag: Tag) -> u32 {
    match tag {
        Tag::Free => 0,
        Tag::Claiming => 1,
        Tag::Live => 2,
        Tag::Reserved => 3,
        Tag::Quarantined => 4,
        Tag::Unknown(other) => other.into(),
    }
}

pub(crate) fn kind(kind: Kind) -> u32 {
    match kind {
        Kind::Worker => 0,
        Kind::Lane => 1,
        Kind::Gpu => 2,
        Kind::Unknown(other) => other.into(),
    }
}

fn source(source: Source) -> u32 {
    match source {
        Source::Nothing => 0,
        Source::Stamps => 1,
        Source::Monitor => 2,
    }
}

/// Seconds that are a number, as ns.
pub(crate) fn ns_of(seconds: Option<f64>) -> u64 {
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.and_then(|duration| u64::try_from(duration.as_nanos()).ok()).unwrap_or(NS_UNKNOWN)
}

impl CSnapshot {
    /// `clocks`: what runs for the slot, where the policy is known.
    pub(crate) fn new(view: &View, clocks: &[Spent]) -> Self {
        let s = &view.snapshot;
        let (hot, info) = (s.hot.as_ref(), s.info.as_deref());
        let text = |text: Option<&str>| escaped(text.unwrap_or_default());
        let or_none = |known: Option<u64>| known.unwrap_or(NS_UNKNOWN);
        let budget = |names: &[&str]| {
            let clock = clocks.iter().find(|spent| names.contains(&spent.clock));
            clock.map_or(NS_UNKNOWN, |spent| spent.budget)
        };
        let (jobs_ok, jobs_failed, jobs_cancelled) = view.jobs;
        Self {
            struct_size: 0,
            slot: s.index,
            state: state(s.owner.tag()),
            kind: kind(s.owner.kind()),
            generation: s.owner.generation().into(),
            pid: s.owner.pid(),
            tid: view.identity.map_or(0, |identity| identity.tid),
            source: source(view.source),
            verdict: view.verdict as u32,
            is_read: hot.is_some().into(),
            job_open: hot.is_some_and(|hot| hot.phase.job_open()).into(),
            phase: hot.map_or(u32::from(u16::MAX), |hot| hot.phase.id().into()),
            job_number: hot.map_or(0, |hot| hot.epoch.job()),
            pass: hot.map_or(0, |hot| hot.epoch.pass().into()),
            falls: hot.map_or(0, |hot| hot.epoch.falls().into()),
            device: info
                .filter(|info| info.device != NO_DEVICE)
                .map_or(u32::MAX, |info| u32::try_from(info.device).unwrap_or(u32::MAX)),
            jobs_failed,
            jobs_cancelled,
            reserved: 0,
            jobs_ok,
            done: hot.map_or(NO_PROGRESS, |hot| hot.progress),
            total: hot.map_or(TOTAL_NONE, |hot| hot.total),
            percent: view.percent().unwrap_or(UNKNOWN),
            rate_per_s: view.rate.unwrap_or(UNKNOWN),
            eta_ns: ns_of(view.eta_s),
            batch: info.map_or(0, |info| info.batch),
            size: info.map_or(0, |info| info.size),
            deadline_ns: info.map_or(0, |info| info.deadline_ns),
            job_age_ns: or_none(view.job_age),
            heartbeat_age_ns: or_none(view.heartbeat_age),
            progress_age_ns: or_none(view.progress_age),
            lease_left_ns: view.lease_left.unwrap_or(0),
            heartbeat_budget_ns: budget(&["heartbeat"]),
            progress_budget_ns: budget(&["progress"]),
            phase_budget_ns: budget(&["phase", "start"]),
            episode: view.episode,
            restarts: view.restarts,
            clock: fitting(view.clock.unwrap_or_default()),
            phase_name: fitting(&view.phase_name().unwrap_or_default()),
            worker: fitting(&text(info.map(|info| &*info.name))),
            lane: fitting(&text(info.map(|info| &*info.lane))),
            job: fitting(&view.job_name().unwrap_or_default()),
            model: fitting(&text(info.map(|info| &*info.model))),
            detail: fitting(&text(info.map(|info| &*info.detail))),
        }
    }
}
