//! One slot as anybody may see it now: a live monitor's words first, else the worker's own stamps where the time namespace is
//! the same, else nothing. Needs no monitor, writes nothing, works on a read-only mapping.

use super::report::{self, seconds};
use super::status::{MonitorStatus, monitor_of};
use crate::clock;
use crate::judge::{self, Spent, Verdict};
use crate::layout::claim::Identity;
use crate::layout::hot::HotWords;
use crate::layout::monitor::MonitorWords;
use crate::layout::phase::Phase;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::Tag;
use crate::observe::{Age, Ages, Observation};
use crate::os::identity;
use crate::policy::{Policy, PolicySet};
use crate::rate;
use crate::reader::Reader;
use crate::segment::{Segment, death};
use crate::snapshot::{Probe, SlotSnapshot};
use std::sync::Arc;

/// Where a view's verdict and ages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: neither a live monitor nor a stamp that can be used here.
    Nothing,
    /// The worker's own stamps.
    Stamps,
    /// A live monitor's words.
    Monitor,
}

/// One slot. Ages and durations in ns; what is not known is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What was read of the slot; nothing of its process.
    pub snapshot: SlotSnapshot,
    /// Whose it is, where it is LIVE or quarantined.
    pub identity: Option<Identity>,
    /// Where the verdict and the ages come from.
    pub source: Source,
    /// The verdict; [`Verdict::Unknown`] without a source.
    pub verdict: Verdict,
    /// The clock that expired, if one did and a monitor or the stamps tell.
    pub clock: Option<&'static str>,
    /// Since the last beat, step or alive.
    pub heartbeat_age: Option<u64>,
    /// Since progress last passed its mark.
    pub progress_age: Option<u64>,
    /// What is left of a lease in force.
    pub lease_left: Option<u64>,
    /// Since the open job began, where that can be told here.
    pub job_age: Option<u64>,
    /// Units a second since the job began, by the worker's stamps.
    pub rate: Option<f64>,
    /// Seconds to the end at that rate.
    pub eta_s: Option<f64>,
    /// Jobs that ended well, failed, and were cancelled.
    pub jobs: (u64, u32, u32),
    /// How often this slot's worker was replaced.
    pub restarts: u64,
    /// Number of the open episode; 0 for none, and without a live monitor.
    pub episode: u64,
    /// With the ages of this view.
    observation: Option<Observation>,
}

impl View {
    /// The phase's name, a user phase's as it was registered, escaped. `None` where no words were read.
    pub fn phase_name(&self) -> Option<String> {
        self.observation.as_ref().map(report::phase_name)
    }

    /// The open job's id, escaped; `#n` where it has none. `None` without a job.
    pub fn job_name(&self) -> Option<String> {
        self.observation.as_ref().and_then(report::job_name)
    }

    /// Done of total in percent, where both are known.
    pub fn percent(&self) -> Option<f64> {
        self.observation.as_ref().and_then(Observation::percent)
    }

    /// Every clock that runs for the slot under these policies, with its budget. Their ages are this view's: what is excused is
    /// not left out.
    pub fn clocks(&self, policies: &PolicySet) -> Vec<Spent> {
        let policy = policy_of(&self.snapshot, policies);
        self.observation.iter().flat_map(|o| judge::running_clocks(o, &policy).collect::<Vec<_>>()).collect()
    }
}

/// Looks at slots. Made for one sweep over them, or asked to look anew.
#[derive(Debug)]
pub struct Viewer {
    reader: Reader,
    look: Look,
}

/// Who looks, and what is the same for all slots.
#[derive(Debug)]
struct Look {
    monitor: Option<MonitorWords>,
    now: u64,
    boottime: u64,
    pid_namespace: u64,
    time_namespace: u64,
}

impl Look {
    fn new(segment: &Segment) -> Self {
        Self {
            monitor: live_monitor(segment),
            now: clock::monotonic_ns(),
            boottime: clock::boottime_ns(),
            pid_namespace: identity::pid_namespace(),
            time_namespace: identity::time_namespace(),
        }
    }
}

impl Viewer {
    /// Looks at all slots of a segment.
    pub fn new(segment: Arc<Segment>) -> Self {
        let look = Look::new(&segment);
        Self { reader: Reader::new(segment), look }
    }

    /// Asks anew whether a monitor is alive, and what time it is: ages are those of this instant.
    pub fn look_anew(&mut self) {
        self.look = Look::new(self.reader.segment());
    }

    /// The segment.
    pub fn segment(&self) -> &Arc<Segment> {
        self.reader.segment()
    }

    /// Whether what was viewed up to now was read of the segment, and not of zeroes in its place or an overwritten file. Before a
    /// look, [`Segment::presence`] tells.
    pub fn is_whole(&self) -> bool {
        self.segment().is_whole()
    }

    /// Its monitor, at the last look.
    pub fn monitor(&self) -> MonitorStatus {
        let words = self.look.monitor;
        MonitorStatus {
            alive: words.is_some(),
            interval_s: words.map(|words| seconds(words.interval_ns)),
            worst_case_detection_s: words.map(|words| seconds(words.worst_case_detection_ns)),
        }
    }

    /// A live monitor's words, as they stood at the last look.
    pub fn monitor_words(&self) -> Option<MonitorWords> {
        self.look.monitor
    }

    /// Slot `index`, if it is anybody's.
    pub fn taken(&mut self, index: u32, policies: &PolicySet) -> Option<View> {
        self.view(index, policies).filter(|view| view.snapshot.owner.tag() != Tag::Free)
    }

    /// Slot `index`; `None` past the end. `policies` are for judging by stamps where no monitor is alive.
    pub fn view(&mut self, index: u32, policies: &PolicySet) -> Option<View> {
        let snapshot = self.reader.read(index)?;
        let segment = Arc::clone(self.reader.segment());
        Some(view(&segment, snapshot, &self.look, policies))
    }
}

/// Ages and verdict of one slot, from whichever source there is.
#[derive(Default)]
struct Known {
    verdict: Option<Verdict>,
    heartbeat: Option<u64>,
    progress: Option<u64>,
    lease: Option<u64>,
    clock: Option<&'static str>,
    episode: u64,
}

fn view(segment: &Segment, s: SlotSnapshot, look: &Look, policies: &PolicySet) -> View {
    let stamped = by_stamps(segment, &s, look);
    let known = match (&look.monitor, &stamped) {
        (Some(monitor), _) => by_monitor(segment, &s, look, monitor, stamped.as_ref()),
        (None, Some(o)) => {
            let judgement = judge::judge(o, &policy_of(&s, policies), &judge::Hints::default());
            Known {
                verdict: Some(judgement.verdict),
                heartbeat: Some(o.ages.heartbeat.real),
                progress: o.ages.progress.map(|age| age.real),
                lease: o.lease_left,
                clock: judgement.spent.map(|spent| spent.clock),
                episode: 0,
            }
        }
        (None, None) => Known::default(),
    };
    let slot = segment.slot(s.index);
    // Proof of death needs neither stamps nor a monitor.
    let gone = look.monitor.is_none() && slot.is_some_and(|slot| death::proven(segment, slot, look.pid_namespace).is_some());
    let known = if gone && s.hot.is_some() { Known { verdict: Some(Verdict::Dead), lease: None, ..known } } else { known };
    let rate = rate(&s, look, stamped.as_ref());
    let hot = s.hot.as_ref();
    let left = |rate| rate::eta(hot.and_then(HotWords::done)?, hot.and_then(HotWords::known_total)?, rate);
    let identity =
        slot.and_then(|slot| slot.read_identity()).filter(|(owner, _)| *owner == s.owner).map(|(_, identity)| identity);
    let job_age = job_age(&s, look, identity.as_ref());
    View {
        identity,
        source: match (&look.monitor, &stamped) {
            (Some(_), _) if known.verdict.is_some() => Source::Monitor,
            (None, Some(_)) => Source::Stamps,
            _ => Source::Nothing,
        },
        verdict: known.verdict.unwrap_or(Verdict::Unknown),
        clock: known.clock,
        heartbeat_age: known.heartbeat,
        progress_age: known.progress,
        lease_left: known.lease,
        job_age,
        rate,
        eta_s: rate.and_then(left),
        jobs: slot.map_or((0, 0, 0), |slot| slot.peek_jobs()),
        restarts: slot.map_or(0, |slot| slot.peek_restarts()),
        episode: known.episode,
        observation: plain_observation(&s).map(|o| aged(o, &s, &known, job_age)),
        snapshot: s,
    }
}

/// With the ages that are known, so that the clocks that run can be named.
fn aged(mut o: Observation, s: &SlotSnapshot, known: &Known, job_age: Option<u64>) -> Observation {
    let age = |real: u64| Age { real, counted: real, judged: real };
    let beat = age(known.heartbeat.unwrap_or_default());
    let reports = o.done.is_some() || s.hot.as_ref().is_some_and(|hot| hot.total != TOTAL_NONE);
    o.lease_left = known.lease;
    o.ages = Ages {
        claim: beat,
        beat,
        heartbeat: beat,
        alive: None,
        progress: reports.then(|| age(known.progress.unwrap_or_default())),
        phase: beat,
        job: o.job.map(|_| age(job_age.unwrap_or_default())),
    };
    o
}

/// Since the open job began: its beginning is stamped in the worker's time namespace.
fn job_age(s: &SlotSnapshot, look: &Look, identity: Option<&Identity>) -> Option<u64> {
    let began = s.info.as_deref()?.job_start_boottime_ns;
    let is_told = began != 0 && identity?.time_namespace == look.time_namespace as u32;
    (is_told && s.hot.as_ref()?.phase.job_open()).then(|| look.boottime.saturating_sub(began))
}

/// The live monitor's words; `None` where none is alive.
fn live_monitor(segment: &Segment) -> Option<MonitorWords> {
    monitor_of(segment)?;
    let words = segment.header().peek_monitor();
    (words.interval_ns != 0).then_some(words)
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
        clock: (seen.verdict.reason() != 0).then(|| judge::clock_name(seen.verdict.reason())),
        episode: seen.episode,
    }
}
