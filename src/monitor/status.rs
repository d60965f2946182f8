//! What a segment says now, to anybody who may read it: a live monitor's words first, else the workers' own stamps where the
//! time namespace is the same, else nothing and `unknown`. Needs no monitor, writes nothing.

use super::report::{self, seconds};
use crate::clock;
use crate::judge::{self, Verdict};
use crate::layout::hot::HotWords;
use crate::layout::info::NO_DEVICE;
use crate::layout::monitor::MonitorWords;
use crate::layout::phase::Phase;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::Tag;
use crate::observe::{Age, Ages, Observation};
use crate::os::lock::{Holder, Lock};
use crate::os::{file, identity};
use crate::policy::{Policy, PolicySet};
use crate::rate;
use crate::reader::Reader;
use crate::segment::{Segment, death};
use crate::snapshot::{Probe, SlotSnapshot};
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

/// The live monitor's words; `None` where none is alive.
fn live_monitor(segment: &Segment) -> Option<MonitorWords> {
    monitor_of(segment)?;
    let words = segment.header().peek_monitor();
    (words.interval_ns != 0).then_some(words)
}

struct Look {
    monitor: Option<MonitorWords>,
    now: u64,
    boottime: u64,
    pid_namespace: u64,
    time_namespace: u64,
}

/// Reads the status. `policies` are for judging by stamps where no monitor is alive.
pub fn read(segment: &Arc<Segment>, policies: &PolicySet) -> Status {
    let look = Look {
        monitor: live_monitor(segment),
        now: clock::monotonic_ns(),
        boottime: clock::boottime_ns(),
        pid_namespace: identity::pid_namespace(),
        time_namespace: identity::time_namespace(),
    };
    let snapshots = Reader::new(Arc::clone(segment)).read_taken();
    Status {
        schema_version: SCHEMA_VERSION,
        segment: segment.path().display().to_string(),
        monitor: MonitorStatus {
            alive: look.monitor.is_some(),
            interval_s: look.monitor.map(|words| seconds(words.interval_ns)),
            worst_case_detection_s: look.monitor.map(|words| seconds(words.worst_case_detection_ns)),
        },
        workers: snapshots.iter().map(|snapshot| worker(segment, snapshot, &look, policies)).collect(),
    }
}

/// Ages and verdict of one slot, from whichever source there is.
#[derive(Default)]
struct Known {
    verdict: Option<Verdict>,
    heartbeat: Option<u64>,
    progress: Option<u64>,
    lease: Option<u64>,
}

fn worker(segment: &Segment, s: &SlotSnapshot, look: &Look, policies: &PolicySet) -> WorkerStatus {
    let observation = by_stamps(segment, s, look);
    let known = match (&look.monitor, &observation) {
        (Some(monitor), _) => by_monitor(segment, s, look, monitor, observation.as_ref()),
        (None, Some(o)) => Known {
            verdict: Some(judge::judge(o, &policy_of(s, policies), &judge::Hints::default()).verdict),
            heartbeat: Some(o.ages.heartbeat.real),
            progress: o.ages.progress.map(|age| age.real),
            lease: o.lease_left,
        },
        (None, None) => Known::default(),
    };
    // Proof of death needs neither stamps nor a monitor.
    let gone = look.monitor.is_none()
        && segment.slot(s.index).is_some_and(|slot| death::proven(segment, slot, look.pid_namespace).is_some());
    let known = if gone && s.hot.is_some() { Known { verdict: Some(Verdict::Dead), lease: None, ..known } } else { known };
    let info = s.info.as_deref();
    let text = |text: &str| (!text.is_empty()).then(|| escaped(text));
    let hot = s.hot.as_ref();
    let plain = plain_observation(s);
    let rate = rate(s, look, observation.as_ref());
    let left = |rate| rate::eta(hot.and_then(HotWords::done)?, hot.and_then(HotWords::known_total)?, rate);
    WorkerStatus {
        slot: s.index,
        name: info.and_then(|info| text(&info.name)),
        lane: info.and_then(|info| text(&info.lane)),
        kind: (s.owner.tag() != Tag::Reserved).then(|| s.owner.kind().name()),
        device: info.map(|info| info.device).filter(|device| *device != NO_DEVICE),
        pid: (s.owner.tag() != Tag::Reserved).then(|| s.owner.pid()),
        phase: plain.as_ref().map(report::phase_name).or_else(|| Some(tag_name(s.owner.tag()).into())),
        verdict: known.verdict.unwrap_or(Verdict::Unknown).name(),
        heartbeat_age_s: known.heartbeat.map(seconds),
        progress_age_s: known.progress.map(seconds),
        done: hot.and_then(HotWords::done),
        total: hot.and_then(HotWords::known_total),
        percent: plain.as_ref().and_then(Observation::percent).map(|percent| (percent * 10.0).round() / 10.0),
        rate_per_s: rate.map(|rate| (rate * 1e6).round() / 1e6),
        eta_s: rate.and_then(left).map(|eta| (eta * 10.0).round() / 10.0),
        job: plain.as_ref().and_then(report::job_name),
        model: info.and_then(|info| text(&info.model)),
        restarts: segment.slot(s.index).map_or(0, |slot| slot.peek_restarts()),
        lease_s: known.lease.map(seconds),
    }
}

/// By the names of its info record.
fn policy_of(s: &SlotSnapshot, policies: &PolicySet) -> Arc<Policy> {
    let (model, name) = s.info.as_deref().map_or(("", ""), |info| (&info.model, &info.name));
    policies.for_slot(model, name)
}

/// The mean rate of the open job since it began, by the worker's stamps: nobody followed it on the way. `None` beside
/// inference, and in a later pass, whose beginning is not stamped.
fn rate(s: &SlotSnapshot, look: &Look, stamped: Option<&Observation>) -> Option<f64> {
    let (o, hot, info) = (stamped?, s.hot.as_ref()?, s.info.as_deref()?);
    let counts = o.job.is_some() && o.phase == Phase::Inference && hot.phase.depth() == 0 && o.pass == 0;
    if !counts || info.job_start_boottime_ns == 0 || hot.progress_stamp_ns == 0 {
        return None;
    }
    // The time namespace is the same, by the stamps.
    let began = look.boottime.saturating_sub(info.job_start_boottime_ns);
    rate::mean_since(o.done?, began, look.now.saturating_sub(hot.progress_stamp_ns))
}

fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Reserved => "reserved",
        Tag::Claiming => "claiming",
        Tag::Quarantined => "quarantined",
        Tag::Free | Tag::Live | Tag::Unknown(_) => "unknown",
    }
}

/// What is seen of a slot without any age.
fn plain_observation(s: &SlotSnapshot) -> Option<Observation> {
    let hot = s.hot.as_ref()?;
    Some(Observation {
        now: 0,
        foreign: false,
        unkillable: None,
        index: s.index,
        owner: s.owner,
        phase: Phase::from_id(hot.phase.id()),
        user_phase: s.user_phase.clone(),
        section: hot.phase.section(),
        job: hot.phase.job_open().then_some(hot.epoch.job()),
        pass: hot.epoch.pass(),
        done: hot.done(),
        total: hot.known_total(),
        ever_beat: hot.own_beat().is_some_and(|beat| beat.count() > 0),
        fell_back: hot.epoch.falls() > 0,
        lease_left: None,
        ages: Ages::default(),
        info: s.info.clone(),
        probe: Probe::default(),
    })
}

/// Ages by the worker's own stamps; `None` where there are none, or they are of another time namespace.
fn by_stamps(segment: &Segment, s: &SlotSnapshot, look: &Look) -> Option<Observation> {
    let (slot, hot) = (segment.slot(s.index)?, s.hot.as_ref()?);
    let mut o = plain_observation(s)?;
    let (_, identity) = slot.read_identity()?;
    if hot.stamp_ns == 0 || identity.time_namespace != look.time_namespace as u32 {
        return None;
    }
    // A stamp from the future is a worker's mistake or malice: as good as now.
    let age = |stamp: u64| look.now.saturating_sub(stamp);
    let left = hot.lease.ms().saturating_mul(1_000_000).saturating_sub(age(hot.stamp_ns));
    let excused =
        |real: u64| if left > 0 { Age { real, counted: 0, judged: 0 } } else { Age { real, counted: real, judged: real } };
    let beat = excused(age(hot.stamp_ns));
    let reports = hot.total != TOTAL_NONE || o.done.is_some();
    // Before the first advance of a count the progress stamp is the last count's: the heartbeat is all there is.
    let progress = if o.done.is_some() && hot.progress_stamp_ns != 0 { excused(age(hot.progress_stamp_ns)) } else { beat };
    o.lease_left = (left > 0).then_some(left);
    o.ages =
        Ages { claim: beat, beat, heartbeat: beat, alive: None, progress: reports.then_some(progress), phase: beat, job: None };
    Some(o)
}

/// What a live monitor knows: its verdict, and ages by its clock.
fn by_monitor(segment: &Segment, s: &SlotSnapshot, look: &Look, words: &MonitorWords, stamped: Option<&Observation>) -> Known {
    let (Some(slot), Some(hot)) = (segment.slot(s.index), s.hot.as_ref()) else { return Known::default() };
    let seen = slot.peek_seen();
    if seen.verdict.generation() != s.owner.generation() {
        // It attached after the last poll.
        return Known::default();
    }
    let since_poll = if words.timens_ino == look.time_namespace { look.now.saturating_sub(words.stamp_ns) } else { 0 };
    let clock = words.clock_ns.saturating_add(since_poll);
    let reports = hot.total != TOTAL_NONE || seen.mark != NO_PROGRESS || hot.progress != NO_PROGRESS;
    // A beat that the monitor has not seen yet is younger than its last poll.
    let beat = if seen.beat == hot.beat { clock.saturating_sub(seen.beat_at) } else { since_poll };
    let advanced = hot.progress != NO_PROGRESS && (seen.mark == NO_PROGRESS || hot.progress > seen.mark);
    let progress = if advanced { since_poll } else { clock.saturating_sub(seen.progress_at) };
    let younger = |own: u64, stamp: Option<u64>| stamp.map_or(own, |stamp| own.min(stamp));
    Known {
        verdict: Some(Verdict::from_bits(seen.verdict.verdict())),
        heartbeat: Some(younger(beat, stamped.map(|o| o.ages.heartbeat.real))),
        progress: reports.then_some(progress),
        lease: stamped.and_then(|o| o.lease_left),
    }
}
