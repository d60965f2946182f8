//! What a segment says now, to anybody who may read it: a live monitor's words first, else the workers' own stamps where the
//! time namespace is the same, else nothing and `unknown`. Needs no monitor, writes nothing.

use super::report::seconds;
use super::view::{View, Viewer};
use crate::judge::{self, Verdict};
use crate::layout::hot::HotWords;
use crate::layout::word::Tag;
use crate::os::file;
use crate::os::lock::Lock;
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
    /// Whether an acting verdict stands.
    pub fn is_acting(&self) -> bool {
        Verdict::ALL.iter().any(|v| v.name() == self.verdict && v.severity() == judge::Severity::Acting)
    }
}

/// The pid of the live monitor of this segment as this process sees it, 0 where it cannot; `None` where there is none.
pub fn monitor_of(segment: &Segment) -> Option<u32> {
    Lock::holder(&file::sidecar(segment.path(), "monitor"))
}

/// Reads the status. `policies` are for judging by stamps where no monitor is alive.
pub fn read(segment: &Arc<Segment>, policies: &PolicySet) -> Status {
    let mut viewer = Viewer::new(Arc::clone(segment));
    Status {
        schema_version: SCHEMA_VERSION,
        segment: segment.path().display().to_string(),
        monitor: viewer.monitor(),
        workers: (0..segment.len()).filter_map(|index| viewer.taken(index, policies)).map(|view| worker(&view)).collect(),
    }
}

fn worker(view: &View) -> WorkerStatus {
    let View { snapshot: s, .. } = view;
    let info = s.info.as_deref();
    let text = |text: &str| (!text.is_empty()).then(|| escaped(text));
    let hot = s.hot.as_ref();
    WorkerStatus {
        slot: s.index,
        name: info.and_then(|info| text(&info.name)),
        lane: info.and_then(|info| text(&info.lane)),
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

fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Reserved => "reserved",
        Tag::Claiming => "claiming",
        Tag::Quarantined => "quarantined",
        Tag::Free | Tag::Live | Tag::Unknown(_) => "unknown",
    }
}
