//! What a segment says now, to anybody who may read it: a live monitor's words first, else the workers' own stamps where the
//! time namespace is the same, else nothing and `unknown`. Needs no monitor, writes nothing.

use super::report::seconds;
use super::view::{View, Viewer};
use crate::clock;
use crate::judge::{self, Verdict};
use crate::layout::hot::HotWords;
use crate::layout::info::NO_DEVICE;
use crate::layout::monitor::MonitorWords;
use crate::layout::word::Tag;
use crate::os::lock::{Holder, Lock};
use crate::os::{file, identity};
use crate::policy::PolicySet;
use crate::segment::Segment;
use crate::tell::SCHEMA_VERSION;
use crate::tell::text::escaped;
use serde::Serialize;
use std::sync::Arc;

/// A segment's status. Serialises to the JSON of `hangwatch status --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Version of the JSON contract.
    pub schema_version: u32,
    /// Path of the segment.
    pub segment: String,
    /// Its monitor.
    pub monitor: MonitorStatus,
    /// Every slot that is anybody's.
    pub workers: Vec<WorkerStatus>,
}

/// The monitor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitorStatus {
    /// Whether one holds the segment's lock.
    pub alive: bool,
    /// Its poll interval; `None` without one.
    pub interval_s: Option<f64>,
    /// The latest that it sees a hang in inference, while its polls are on time.
    pub worst_case_detection_s: Option<f64>,
}

/// A slot. Whatever is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the contract's; Observation documents each")]
pub struct WorkerStatus {
    pub slot: u32,
    pub name: Option<String>,
    pub lane: Option<String>,
    /// `worker`, `lane`, `gpu`, or `unknown`; `None` while nobody has claimed it.
    pub kind: Option<&'static str>,
    pub device: Option<u64>,
    pub pid: Option<u32>,
    pub phase: Option<String>,
    pub verdict: &'static str,
    pub heartbeat_age_s: Option<f64>,
    pub progress_age_s: Option<f64>,
    pub done: Option<u64>,
    pub total: Option<u64>,
    pub percent: Option<f64>,
    pub rate_per_s: Option<f64>,
    pub eta_s: Option<f64>,
    pub job: Option<String>,
    pub model: Option<String>,
    pub restarts: u64,
    pub lease_s: Option<f64>,
}

impl WorkerStatus {
    /// Of a slot that was looked at.
    pub fn of(view: &View) -> Self {
        let View { snapshot: s, .. } = view;
        let info = s.info.as_deref();
        let text = |text: &str| (!text.is_empty()).then(|| escaped(text));
        let hot = s.hot.as_ref();
        Self {
            slot: s.index,
            name: info.and_then(|info| text(&info.name)),
            lane: info.and_then(|info| text(&info.lane)),
            kind: (s.owner.tag() != Tag::Reserved).then(|| s.owner.kind().name()),
            device: info.map(|info| info.device).filter(|device| *device != NO_DEVICE),
            pid: (s.owner.tag() != Tag::Reserved).then(|| s.owner.pid()),
            phase: Some(view.phase_name().unwrap_or_else(|| tag_name(s.owner.tag()).into())),
            verdict: view.verdict.name(),
            heartbeat_age_s: view.heartbeat_age.map(seconds),
            progress_age_s: view.progress_age.map(seconds),
            done: hot.and_then(HotWords::done),
            total: hot.and_then(HotWords::known_total),
            percent: view.percent().map(|percent| (percent * 10.0).round() / 10.0),
            rate_per_s: view.rate.map(|rate| (rate * 1e6).round() / 1e6),
            eta_s: view.eta_s.map(|eta| (eta * 10.0).round() / 10.0),
            job: view.job_name(),
            model: info.and_then(|info| text(&info.model)),
            restarts: view.restarts,
            lease_s: view.lease_left.map(seconds),
        }
    }

    /// Whether an acting verdict stands.
    pub fn is_acting(&self) -> bool {
        Verdict::ALL.iter().any(|v| v.name() == self.verdict && v.severity() == judge::Severity::Acting)
    }
}

/// The pid of the live monitor of this segment as this process sees it, 0 where it cannot; `None` where there is none.
///
/// An observer to whom the lock file is closed cannot ask for the lock: to him a monitor is alive whose last poll was not long
/// ago, and whose number he is not told (0).
pub fn monitor_of(segment: &Segment) -> Option<u32> {
    match Lock::holder(&file::sidecar(segment.path(), "monitor")) {
        Holder::Nobody => None,
        Holder::Process(pid) => Some(pid),
        Holder::Unknown => has_polled_lately(&segment.header().peek_monitor()).then_some(0),
    }
}

/// By its words alone, which mean nothing in another time namespace. A monitor's own poll may be late, so some are waited for.
fn has_polled_lately(words: &MonitorWords) -> bool {
    let here = words.timens_ino == identity::time_namespace();
    here && clock::monotonic_ns().saturating_sub(words.stamp_ns) <= words.interval_ns.saturating_mul(POLLS_MISSED)
}

/// So many polls may fail to come before a monitor whose lock cannot be asked for is taken to be gone.
const POLLS_MISSED: u64 = 5;

/// Reads the status. `policies` are for judging by stamps where no monitor is alive.
pub fn read(segment: &Arc<Segment>, policies: &PolicySet) -> Status {
    let mut viewer = Viewer::new(Arc::clone(segment));
    Status {
        schema_version: SCHEMA_VERSION,
        segment: segment.path().display().to_string(),
        monitor: viewer.monitor(),
        workers: (0..segment.len())
            .filter_map(|index| viewer.taken(index, policies))
            .map(|view| WorkerStatus::of(&view))
            .collect(),
    }
}

fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Reserved => "reserved",
        Tag::Claiming => "claiming",
        Tag::Quarantined => "quarantined",
        Tag::Free | Tag::Live | Tag::Unknown(_) => "unknown",
    }
}
