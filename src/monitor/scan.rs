//! One poll: glance at every slot, read those that changed or are due, judge, write down what was seen. Never waits.

use super::glance::Glances;
use super::history::Histories;
use super::loss;
use super::probe::Probes;
use super::report;
use super::takeover;
use crate::clock;
use crate::engine::{ChangeKind, Engine, Findings, Unclaimed};
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::Moment;
use crate::judge::Verdict;
use crate::layout::Slot;
use crate::layout::claim::Freed;
use crate::layout::monitor::{MonitorWords, Seen};
use crate::layout::word::{Beat, Kind, Owner, Tag};
use crate::learn::Learnt;
use crate::observe::Tick;
use crate::os::lock::{Lock, NotLocked};
use crate::os::{file, identity};
use crate::policy::{Policy, PolicySet, ns};
use crate::reader::Reader;
use crate::segment::{Presence, Segment, death};
use crate::tell::{Event, EventKind};
use std::sync::Arc;
use std::time::Duration;

pub use crate::engine::Judged;

/// What one poll found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Poll {
    /// The monitor's clock.
    pub tick: Tick,
    /// Every LIVE slot in which something changed or a clock was due; all of them after [`Scanner::look_at_everything`].
    pub judged: Vec<Judged>,
    /// What there is to tell.
    pub events: Vec<Event>,
    /// Slots that are reserved, and were not claimed for the start budget, told at this poll; and their words.
    pub unclaimed: Vec<(u32, Owner)>,
    /// All working workers are frozen together: rather the host than they.
    pub all_frozen: bool,
    /// The segment can be read no more.
    pub lost: bool,
    /// Its name leads to it.
    pub is_found: bool,
}

/// Judges slots at polls. Holds the segment's monitor lock; no thread, no signal.
#[derive(Debug)]
pub struct Scanner {
    reader: Reader,
    engine: Engine,
    glances: Glances,
    probes: Probes,
    beat: Beat,
    owner: Owner,
    reclaims: bool,
    histories: Option<Histories>,
    resuming: bool,
    everything: bool,
    presence: Presence,
    pid_namespace: u64,
    path: String,
    me: identity::Myself,
    /// Given up when it goes over to another segment of the name, whose lock is the same.
    lock: Option<Lock>,
}

/// Episodes that one monitor can number; the products of all generations stay exact in JSON's numbers.
const EPISODES: u64 = 1_000_000_000;

fn take_lock(segment: &Segment) -> Result<Lock> {
    let what = format!("cannot monitor segment '{}'", segment.path().display());
    Lock::take(&file::sidecar(segment.path(), "monitor"), segment.access()).map_err(|e| match e {
        NotLocked::Held(pid) => {
            let who = pid.map_or_else(|| "this process".into(), |pid| format!("pid {pid}"));
            Error::new(ErrorKind::Held, what, format!("another monitor is alive ({who})"))
                .hint("one monitor a segment: stop that one first; 'hangwatch status' shows what it sees")
        }
        NotLocked::Failed(e) => Error::io(what, &e),
    })
}

impl Scanner {
    /// A scanner of all slots. Another live monitor is an error of kind [`ErrorKind::Held`].
    pub fn new(segment: Arc<Segment>, policies: impl Into<PolicySet>) -> Result<Self> {
        let what = || format!("cannot monitor segment '{}'", segment.path().display());
        if !segment.is_writable() {
            return Err(Error::new(ErrorKind::Usage, what(), "it is mapped read-only"));
        }
        let policies = policies.into();
        let lock = take_lock(&segment)?;
        let me = identity::myself();
        let probes = Probes::new(segment.len()).map_err(|e| Error::io(what(), &e))?;
        let former = segment.header().peek_monitor();
        // A successor's clock goes on where the former one's stopped; downtime counts for two polls at most.
        let resuming = former.clock_ns != 0;
        let now = clock::monotonic_ns();
        let away = if former.timens_ino == me.timens_ino { now.saturating_sub(former.stamp_ns) } else { u64::MAX };
        let credit = away.min(2 * ns(policies.base().poll_interval));
        let elapsed = if resuming { former.clock_ns.saturating_add(credit) } else { 0 };
        let owner = Owner::new(former.owner.generation().wrapping_add(1), Tag::Live, Kind::Worker, me.pid);
        // Unique in the segment over all its monitors: the monitor's generation, then a number of nine digits.
        let last_episode = u64::from(owner.generation()) * EPISODES;
        let engine = Engine::new(segment.len() as usize, policies, elapsed).numbered_after(last_episode);
        let scanner = Self {
            engine: if resuming { engine.succeeding() } else { engine },
            glances: Glances::new(segment.len()),
            beat: Beat::start(owner.generation()),
            owner,
            reclaims: true,
            histories: None,
            resuming,
            everything: false,
            presence: Presence::Present,
            pid_namespace: me.pidns_ino,
            path: segment.path().display().to_string(),
            probes,
            me,
            reader: Reader::new(segment),
            lock: Some(lock),
        };
        scanner.publish_monitor(now, elapsed);
        Ok(scanner)
    }

    fn publish_monitor(&self, stamp_ns: u64, clock_ns: u64) {
        let policy = self.engine.policy();
        let words = MonitorWords {
            beat: self.beat,
            stamp_ns,
            owner: self.owner,
            interval_ns: ns(policy.poll_interval),
            timens_ino: self.me.timens_ino,
            clock_ns,
            worst_case_detection_ns: ns(policy.worst_case_detection()),
        };
        self.segment().header().publish_monitor(&words, self.me.starttime, self.me.pidfd_ino);
    }

    /// Goes on from what was learnt before.
    #[must_use]
    pub(super) fn with_learnt(mut self, learnt: Learnt) -> Self {
        self.engine = self.engine.with_learnt(learnt);
        self
    }

    /// What was learnt so far.
    pub fn learnt(&self) -> &Learnt {
        self.engine.learnt()
    }

    /// Leaves the slots of dead workers to a supervisor.
    pub(super) fn leave_the_dead(&mut self) {
        self.reclaims = false;
    }

    /// Remembers the last observations of each slot.
    pub(super) fn keep_history(&mut self) {
        self.histories = Some(Histories::default());
    }

    /// The last observations of a slot, oldest first; none where they are not kept.
    pub(super) fn history(&self, index: u32) -> Vec<Moment> {
        self.histories.as_ref().map_or_else(Vec::new, |histories| histories.of(index))
    }

    /// Judges every LIVE slot at every poll, quiet or not: for a display. The verdicts are the same.
    pub fn look_at_everything(&mut self) {
        self.everything = true;
    }

    /// The segment.
    pub fn segment(&self) -> &Arc<Segment> {
        self.reader.segment()
    }

    /// The policy of what concerns the whole monitor.
    pub fn policy(&self) -> &Policy {
        self.engine.policy()
    }

    /// Puts other policies in force. Every age goes on.
    pub fn set_policies(&mut self, policies: PolicySet) {
        self.engine.set_policies(policies);
        self.glances.want_all();
        let words = self.segment().header().peek_monitor();
        self.publish_monitor(words.stamp_ns, words.clock_ns);
    }

    /// A poll at `monotonic_ns` ([`clock::monotonic_ns`], at the edge).
    pub fn poll(&mut self, monotonic_ns: u64) -> Poll {
        let mut poll = Poll::default();
        if !self.look_at_the_file(&mut poll) {
            return poll;
        }
        let host = self.probes.begin(monotonic_ns);
        poll.tick = self.engine.begin(&host);
        self.tell_gap(&mut poll);
        for index in self.probes.exited() {
            self.glances.want(index as usize);
        }
        if self.resuming && self.beat.count() == 0 {
            poll.events.extend(takeover::close_what_nobody_took_over(self.segment(), &self.path));
        }
        self.read_slots(poll.tick.now);
        if !self.segment().is_whole() {
            // Lost on the way: what was read is no word of a worker's, and nothing follows from it.
            self.look_at_the_file(&mut poll);
            return poll;
        }
        let findings = self.engine.finish();
        self.take(findings, &mut poll);
        self.beat = Beat(self.beat.0.wrapping_add(1));
        self.segment().header().publish_poll(self.beat, monotonic_ns, poll.tick.now);
        poll
    }

    /// Glances at all, reads those that want it.
    fn read_slots(&mut self, now: u64) {
        let segment = Arc::clone(self.reader.segment());
        self.glances.begin();
        for index in 0..self.glances.len() {
            let at = index as u32;
            let Some(slot) = segment.slot(at) else { break };
            let Some(reported) = self.glances.look(index, slot, now).or(self.everything.then_some(false)) else { continue };
            self.read_slot(at, slot, reported, now);
        }
    }

    // Apart, so that what a read needs weighs on no quiet slot.
    #[inline(never)]
    fn read_slot(&mut self, at: u32, slot: &Slot, reported: bool, now: u64) {
        let Some(mut snapshot) = self.reader.read(at) else { return };
        if let (Some(histories), Some(hot)) = (&mut self.histories, &snapshot.hot) {
            histories.take(at, now, hot, snapshot.user_phase.as_ref());
        }
        self.probes.complete(&mut snapshot, slot, self.engine.wants_look(at));
        let (owner, resuming) = (snapshot.owner, self.resuming);
        self.engine.take_over(snapshot, || resuming.then(|| slot.peek_seen()));
        self.glances.read(at as usize, owner.0, reported, self.engine.due(at));
    }

    fn event(&self, kind: EventKind) -> Event {
        Event::new(kind, &*self.path, clock::wall())
    }

    fn tell_gap(&self, poll: &mut Poll) {
        let Tick { gap, passed, suspended, .. } = poll.tick;
        // The first poll of a successor is one of no time at all.
        if gap && (passed > 0 || suspended > 0) {
            let late = Duration::from_nanos(passed.saturating_sub(ns(self.policy().poll_interval))).as_secs_f64();
            let text = if suspended > 0 {
                format!("the machine was suspended for {:.1}s", Duration::from_nanos(suspended).as_secs_f64())
            } else {
                format!("{late:.1}s late")
            };
            poll.events.push(self.event(EventKind::MonitorGap).with_detail(text));
        }
    }

    /// Whether the slots may be touched. A change of the file's fate is told once.
    fn look_at_the_file(&mut self, poll: &mut Poll) -> bool {
        // What could not be read once has lost reports: it is not believed again.
        let presence = if self.presence.is_readable() { self.segment().presence() } else { self.presence };
        poll.lost = !presence.is_readable();
        poll.is_found = presence.is_found();
        if presence != self.presence {
            self.presence = presence;
            poll.events.extend(loss::meaning(presence).map(|detail| self.event(EventKind::SegmentLost).with_detail(detail)));
        }
        !poll.lost
    }

    /// Whether its slots could be read at the last poll.
    pub(super) fn can_read(&self) -> bool {
        self.presence.is_readable()
    }

    /// Whether nobody is left to be watched here, and none will come: it cannot be read, or its name leads to it no more and
    /// the last worker has gone.
    pub(super) fn is_done_here(&self) -> bool {
        let is_needed = self.presence.is_found() || (self.can_read() && loss::has_workers(self.segment()));
        !is_needed
    }

    /// Becomes a scanner of `segment`, which has the name now, with the policies and what was learnt. After an error nothing
    /// holds the lock, and it may be asked again.
    pub(super) fn go_over(&mut self, segment: Arc<Segment>) -> Result<()> {
        // Before the other is taken: the sidecar of the name may be the very same file.
        self.lock = None;
        let next = Self::new(segment, self.engine.policies().clone())?.with_learnt(self.learnt().clone());
        *self = Self { reclaims: self.reclaims, everything: self.everything, ..next };
        Ok(())
    }

    /// Writes down, tells, buries.
    fn take(&mut self, findings: Findings, poll: &mut Poll) {
        let time = clock::wall();
        for judged in &findings.judged {
            // A quiet slot costs no write.
            if let (Some(seen), Some(slot)) = (&judged.write, self.segment().slot(judged.observation.index)) {
                slot.publish_seen(seen);
            }
        }
        for change in &findings.changes {
            poll.events.push(report::change(change, &self.path, time));
            if change.kind == ChangeKind::Left {
                self.forget_episode(change.observation.index);
            }
        }
        for Unclaimed { index, owner, waited } in findings.unclaimed {
            poll.unclaimed.push((index, owner));
            poll.events.push(self.unclaimed(index, owner, waited));
        }
        for (index, owner) in findings.ownerless {
            self.free_if_dead(index, owner);
        }
        if let Some(workers) = findings.all_frozen {
            let detail = format!("{workers} of {workers} working workers; rather the host, a driver or a file system than they");
            poll.events.push(self.event(EventKind::AllFrozen).with_detail(detail));
        }
        poll.all_frozen = findings.is_frozen;
        for judged in &findings.judged {
            if judged.judgement.verdict.is_death() && self.reclaims && !poll.tick.gap {
                self.bury(judged, poll);
            }
        }
        poll.judged = findings.judged;
    }

    /// The words of an episode that ended with its owner.
    fn forget_episode(&self, index: u32) {
        if let Some(slot) = self.segment().slot(index) {
            slot.publish_seen(&Seen { episode: 0, ..slot.peek_seen() });
        }
    }

    fn unclaimed(&self, index: u32, owner: Owner, waited: u64) -> Event {
        let event = Event {
            slot: Some(index),
            generation: Some(owner.generation()),
            verdict: Some(Verdict::NeverStarted),
            ..self.event(EventKind::Opened)
        };
        let seconds = Duration::from_nanos(waited).as_secs_f64();
        event.with_detail(format!(
            "reserved {seconds:.1}s ago and never claimed: does the program call hangwatch_attach? it runs unwatched until then"
        ))
    }

    /// A claimer that died between its swap and its LIVE store, and an owner that could not be killed, leave a slot that only
    /// proof of death frees.
    fn free_if_dead(&mut self, index: u32, owner: Owner) {
        if let Some(slot) = self.segment().slot(index)
            && death::proven(self.segment(), slot, self.pid_namespace) == Some(owner)
        {
            slot.reclaim(owner, Freed::Free);
        }
    }

    /// The process is proven gone: its job is lost and its slot is free.
    fn bury(&self, judged: &Judged, poll: &mut Poll) {
        let o = &judged.observation;
        if o.job.is_some() {
            let mut event = report::event(EventKind::LostJob, &self.path, clock::wall(), o, judged.judgement.verdict);
            event.episode = judged.episode;
            event.detail = Some("its process ended with the job open".into());
            poll.events.push(event);
        }
        if let Some(slot) = self.segment().slot(o.index) {
            slot.reclaim(o.owner, Freed::Free);
        }
    }
}
