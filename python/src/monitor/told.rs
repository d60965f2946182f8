//! Slots, segments and monitors as JSON, under the names of `hangwatch status --json`. `hangwatch/_status.py` has the same fields.

use hangwatch::judge::Spent;
use hangwatch::layout::slot::TOTAL_NONE;
use hangwatch::layout::word::Tag;
use hangwatch::monitor::status::{self, WorkerStatus};
use hangwatch::monitor::{Health, Seen, Source, View, Viewer};
use hangwatch::policy::PolicySet;
use hangwatch::segment::Segment;
use hangwatch::tell::text::escaped;
use hangwatch::{Error, ErrorKind, Result};
use serde::Serialize;
use std::sync::Arc;

pub(super) fn json(told: &impl Serialize) -> Result<String> {
    let failed = |e: serde_json::Error| Error::new(ErrorKind::System, "cannot tell a status", e.to_string());
    serde_json::to_string(told).map_err(failed)
}

fn seconds(ns: u64) -> f64 {
    // Milliseconds are what a poll can tell.
    (ns as f64 / 1e6).round() / 1e3
}

/// A slot: what `status --json` tells of it, and what more a program may want to know.
#[derive(Debug, Serialize)]
pub(super) struct Worker {
    #[serde(flatten)]
    status: WorkerStatus,
    acting: bool,
    clock: Option<&'static str>,
    source: &'static str,
    state: &'static str,
    generation: u16,
    tid: Option<u32>,
    episode: Option<u64>,
    reports_progress: bool,
    job_number: Option<u32>,
    pass_number: Option<u16>,
    falls: Option<u16>,
    jobs_ok: u64,
    jobs_failed: u32,
    jobs_cancelled: u32,
    batch: Option<u64>,
    size: Option<u64>,
    deadline_s: Option<f64>,
    job_age_s: Option<f64>,
    heartbeat_budget_s: Option<f64>,
    progress_budget_s: Option<f64>,
    phase_budget_s: Option<f64>,
    detail: Option<String>,
}

impl Worker {
    /// As a monitor judges it, whose budgets are known.
    pub(super) fn judged((view, clocks): &Seen) -> Self {
        Self::new(view, clocks)
    }

    fn new(view: &View, clocks: &[Spent]) -> Self {
        let (hot, info) = (view.snapshot.hot.as_ref(), view.snapshot.info.as_deref());
        let or_none = |number: u64| Some(number).filter(|number| *number != 0);
        let budget = |names: &[&str]| clocks.iter().find(|spent| names.contains(&spent.clock)).map(|spent| seconds(spent.budget));
        let (jobs_ok, jobs_failed, jobs_cancelled) = view.jobs;
        let status = WorkerStatus::of(view);
        Self {
            acting: status.is_acting(),
            status,
            clock: view.clock,
            source: source(view.source),
            state: state(view.snapshot.owner.tag()),
            generation: view.snapshot.owner.generation(),
            tid: view.identity.map(|identity| identity.tid).filter(|tid| *tid != 0),
            episode: or_none(view.episode),
            reports_progress: hot.is_some_and(|hot| hot.total != TOTAL_NONE || hot.done().is_some()),
            job_number: hot.map(|hot| hot.epoch.job()),
            pass_number: hot.map(|hot| hot.epoch.pass()),
            falls: hot.map(|hot| hot.epoch.falls()),
            jobs_ok,
            jobs_failed,
            jobs_cancelled,
            batch: info.and_then(|info| or_none(info.batch)),
            size: info.and_then(|info| or_none(info.size)),
            deadline_s: info.and_then(|info| or_none(info.deadline_ns)).map(seconds),
            job_age_s: view.job_age.map(seconds),
            heartbeat_budget_s: budget(&["heartbeat"]),
            progress_budget_s: budget(&["progress"]),
            phase_budget_s: budget(&["phase", "start"]),
            detail: info.map(|info| &info.detail).filter(|detail| !detail.is_empty()).map(|detail| escaped(detail)),
        }
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Nothing => "nothing",
        Source::Stamps => "stamps",
        Source::Monitor => "monitor",
    }
}

fn state(tag: Tag) -> &'static str {
    match tag {
        Tag::Free => "free",
        Tag::Claiming => "claiming",
        Tag::Live => "live",
        Tag::Reserved => "reserved",
        Tag::Quarantined => "quarantined",
        Tag::Unknown(_) => "unknown",
    }
}

#[derive(Serialize)]
struct Monitor {
    alive: bool,
    pid: Option<u32>,
    interval_s: Option<f64>,
    worst_case_detection_s: Option<f64>,
}

#[derive(Serialize)]
struct Status {
    segment: String,
    presence: &'static str,
    slots: u32,
    slot_size: u64,
    monitor: Monitor,
    workers: Vec<Worker>,
}

/// What a segment says, monitor or not. The policies judge by stamps where none is alive.
pub(super) fn segment(segment: Segment, policies: &PolicySet) -> Result<String> {
    let segment = Arc::new(segment);
    let mut viewer = Viewer::new(Arc::clone(&segment));
    let views = viewer.sweep(policies)?;
    // A reader knows no live monitor's policy, and so no budget.
    let workers = views.iter().map(|view| Worker::new(view, &[])).collect();
    let status::MonitorStatus { alive, interval_s, worst_case_detection_s } = viewer.monitor();
    let pid = if alive { status::monitor_of(&segment).filter(|pid| *pid != 0) } else { None };
    json(&Status {
        segment: segment.path().display().to_string(),
        presence: segment.presence().name(),
        slots: segment.len(),
        slot_size: segment.fixed().slot_size,
        monitor: Monitor { alive, pid, interval_s, worst_case_detection_s },
        workers,
    })
}

#[derive(Serialize)]
struct Running {
    running: bool,
    segment: String,
    presence: &'static str,
    polls: u64,
    good_polls: u64,
    events_lost: u64,
    interval_s: f64,
    last_poll_age_s: Option<f64>,
    late_s: f64,
    worst_late_s: f64,
    worst_case_detection_s: f64,
}

/// How a monitor is.
pub(super) fn health(health: &Health, segment: &Segment) -> Result<String> {
    json(&Running {
        running: health.is_running,
        segment: segment.path().display().to_string(),
        presence: health.presence.name(),
        polls: health.polls,
        good_polls: health.good_polls,
        events_lost: health.events_lost,
        interval_s: seconds(health.interval),
        last_poll_age_s: health.last_poll_age.map(seconds),
        late_s: seconds(health.late),
        worst_late_s: seconds(health.worst_late),
        worst_case_detection_s: seconds(health.worst_case_detection),
    })
}
