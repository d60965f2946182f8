//! One poll: read, observe, judge, follow the episodes, write down what was seen. Never waits.

use super::episode::{self, Change, Episode};
use super::probe::Probes;
use super::report;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::judge::{self, Judgement, Severity, Verdict};
use crate::layout::claim::Freed;
use crate::layout::hot::HotWords;
use crate::layout::monitor::{MonitorWords, Seen, VerdictWord};
use crate::layout::word::{Beat, Kind, Owner, Tag};
use crate::observe::{Observation, PollClock, Resume, Tick, Track};
use crate::os::lock::{Lock, NotLocked};
use crate::os::{file, identity};
use crate::policy::Policy;
use crate::reader::Reader;
use crate::segment::{Presence, Segment, death};
use crate::snapshot::SlotSnapshot;
use crate::tell::{Event, EventKind};
use std::sync::Arc;
use std::time::Duration;

/// One LIVE slot and what is thought of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was seen.
    pub observation: Observation,
    /// The verdict; at a gap, and where the writer was too quick to be read, the last one stands.
    pub judgement: Judgement,
    /// Number of the open episode.
    pub episode: Option<u64>,
    /// An acting episode was opened at this very poll.
    pub opened_acting: bool,
}

/// What one poll found.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// The monitor's clock.
    pub tick: Tick,
    /// Every LIVE slot.
    pub judged: Vec<Judged>,
    /// What there is to tell.
    pub events: Vec<Event>,
    /// Slots that are reserved, and were not claimed for the start budget, told at this poll.
    pub unclaimed: Vec<u32>,
    /// The segment can be read no more.
    pub lost: bool,
}

#[derive(Debug)]
struct State {
    owner: Owner,
    /// `None` while the slot is reserved or being claimed.
    track: Option<Track>,
    since: u64,
    last: Option<Judged>,
    episode: Option<Episode>,
    seen: Seen,
    half_spent: bool,
    /// That a reserved slot is not claimed was told.
    told_unclaimed: bool,
}

/// Judges slots at polls. Holds the segment's monitor lock; no thread, no signal.
#[derive(Debug)]
pub struct Scanner {
    reader: Reader,
    policy: Policy,
    clock: PollClock,
    probes: Probes,
    states: Vec<Option<State>>,
    beat: Beat,
    last_episode: u64,
    reclaims: bool,
    resuming: bool,
    presence: Presence,
    pid_namespace: u64,
    path: String,
    _lock: Lock,
}

/// Episodes that one monitor can number; the products of all generations stay exact in JSON's numbers.
const EPISODES: u64 = 1_000_000_000;

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn take_lock(segment: &Segment) -> Result<Lock> {
    let what = format!("cannot monitor segment '{}'", segment.path().display());
    Lock::take(&file::sidecar(segment.path(), "monitor")).map_err(|e| match e {
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
    pub fn new(segment: Arc<Segment>, policy: Policy) -> Result<Self> {
        let what = || format!("cannot monitor segment '{}'", segment.path().display());
        if !segment.is_writable() {
            return Err(Error::new(ErrorKind::Usage, what(), "it is mapped read-only"));
        }
        let lock = take_lock(&segment)?;
        let me = identity::myself().map_err(|e| Error::io(what(), &e))?;
        let probes = Probes::new(segment.len()).map_err(|e| Error::io(what(), &e))?;
        let header = segment.header();
        let former = header.peek_monitor();
        // A successor's clock goes on where the former one's stopped; downtime counts for two polls at most.
        let interval_ns = ns(policy.poll_interval);
        let resuming = former.clock_ns != 0;
        let now = clock::monotonic_ns();
        let away = if former.timens_ino == me.timens_ino { now.saturating_sub(former.stamp_ns) } else { u64::MAX };
        let elapsed = if resuming { former.clock_ns.saturating_add(away.min(2 * interval_ns)) } else { 0 };
        let owner = Owner::new(former.owner.generation().wrapping_add(1), Tag::Live, Kind::Worker, me.pid);
        let words = MonitorWords {
            beat: Beat::start(owner.generation()),
            stamp_ns: now,
            owner,
            interval_ns,
            timens_ino: me.timens_ino,
            clock_ns: elapsed,
            worst_case_detection_ns: ns(policy.worst_case_detection()),
        };
        header.publish_monitor(&words, me.starttime, me.pidfd_ino);
        // Unique in the segment over all its monitors: the monitor's generation, then a number of nine digits.
        let last_episode = u64::from(owner.generation()) * EPISODES;
        Ok(Self {
            clock: PollClock::new(policy.poll_interval, elapsed),
            states: (0..segment.len()).map(|_| None).collect(),
            beat: words.beat,
            last_episode,
            reclaims: true,
            resuming,
            presence: Presence::Present,
            pid_namespace: me.pidns_ino,
            path: segment.path().display().to_string(),
            probes,
            policy,
            reader: Reader::new(segment),
            _lock: lock,
        })
    }

    /// Leaves the slots of dead workers to a supervisor.
    pub(super) fn leave_the_dead(&mut self) {
        self.reclaims = false;
    }

    /// The segment.
    pub fn segment(&self) -> &Arc<Segment> {
        self.reader.segment()
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A poll at `monotonic_ns` ([`clock::monotonic_ns`], at the edge).
    pub fn poll(&mut self, monotonic_ns: u64) -> Poll {
        let tick = self.clock.tick(monotonic_ns);
        let mut poll = Poll { tick, judged: Vec::new(), events: Vec::new(), unclaimed: Vec::new(), lost: false };
        if !self.look_at_the_file(&mut poll) {
            return poll;
        }
        if tick.gap {
            let text = format!(
                "{:.1}s late",
                Duration::from_nanos(tick.passed.saturating_sub(ns(self.policy.poll_interval))).as_secs_f64()
            );
            poll.events.push(self.event(EventKind::MonitorGap).with_detail(text));
        }
        self.probes.begin(monotonic_ns);
        for index in 0..self.states.len() {
            if let Some(snapshot) = self.reader.read(index as u32) {
                self.take(snapshot, tick, &mut poll);
            }
        }
        self.resuming = false;
        self.beat = Beat(self.beat.0.wrapping_add(1));
        self.segment().header().publish_poll(self.beat, monotonic_ns, tick.now);
        poll
    }

    fn event(&self, kind: EventKind) -> Event {
        Event::new(kind, &*self.path, clock::wall())
    }

    /// Whether the slots may be touched. A change of the file's fate is told once.
    fn look_at_the_file(&mut self, poll: &mut Poll) -> bool {
        let presence = if matches!(self.presence, Presence::Truncated | Presence::Erased) {
            self.presence
        } else {
            self.segment().presence()
        };
        poll.lost = matches!(presence, Presence::Truncated | Presence::Erased);
        if presence != self.presence {
            self.presence = presence;
            let detail = match presence {
                Presence::Present => None,
                Presence::Unlinked => Some("its name is gone: new workers cannot find it, those attached are still watched"),
                Presence::Superseded => Some("a newer segment has its name: those attached here are still watched"),
                Presence::Truncated => Some("it was cut short: nobody can be watched in it any more"),
                Presence::Erased => Some("its header was overwritten: nobody can be watched in it any more"),
            };
            poll.events.extend(detail.map(|detail| self.event(EventKind::SegmentLost).with_detail(detail)));
        }
        !poll.lost
    }

    fn take(&mut self, snapshot: SlotSnapshot, tick: Tick, poll: &mut Poll) {
        let index = snapshot.index as usize;
        if self.states[index].as_ref().is_some_and(|state| state.owner != snapshot.owner) {
            self.leave(index, tick, poll);
        }
        match (snapshot.owner.tag(), snapshot.hot) {
            (Tag::Live, Some(hot)) => self.take_live(snapshot, &hot, tick, poll),
            (Tag::Live, None) => {
                // The writer was too quick for this poll: the last judgement stands.
                let last = self.states[index].as_ref().and_then(|state| state.last.clone());
                poll.judged.extend(last.map(|last| Judged { opened_acting: false, ..last }));
            }
            (Tag::Reserved, _) => self.take_reserved(&snapshot, tick, poll),
            (Tag::Claiming | Tag::Quarantined, _) => self.take_unowned(&snapshot, tick),
            (Tag::Free | Tag::Unknown(_), _) => {}
        }
    }

    /// The slot has another owner than at the last poll, or none: what was open about the last one ends.
    fn leave(&mut self, index: usize, tick: Tick, poll: &mut Poll) {
        let Some(state) = self.states[index].take() else { return };
        self.probes.forget(index as u32);
        if let Some(slot) = self.segment().slot(index as u32) {
            slot.publish_seen(&Seen { episode: 0, ..state.seen });
        }
        if let (Some(episode), Some(last)) = (state.episode, &state.last) {
            let mut event = report::event(EventKind::Closed, &self.path, clock::wall(), &last.observation, episode.verdict);
            event.episode = Some(episode.id);
            poll.events.push(event.with_detail(lasted(episode, tick.now, "its slot was given back")));
        }
    }

    fn state(owner: Owner, now: u64) -> State {
        State {
            owner,
            track: None,
            since: now,
            last: None,
            episode: None,
            seen: Seen::default(),
            half_spent: false,
            told_unclaimed: false,
        }
    }

    fn take_reserved(&mut self, snapshot: &SlotSnapshot, tick: Tick, poll: &mut Poll) {
        let index = snapshot.index as usize;
        let budget = ns(self.policy.starting_timeout);
        let state = self.states[index].get_or_insert_with(|| Self::state(snapshot.owner, tick.now));
        let waited = tick.now - state.since;
        if state.told_unclaimed || waited < budget || tick.gap {
            return;
        }
        state.told_unclaimed = true;
        poll.unclaimed.push(snapshot.index);
        let event = Event {
            slot: Some(snapshot.index),
            generation: Some(snapshot.owner.generation()),
            verdict: Some(Verdict::NeverStarted),
            ..self.event(EventKind::Opened)
        };
        let seconds = Duration::from_nanos(waited).as_secs_f64();
        poll.events.push(event.with_detail(format!(
            "reserved {seconds:.1}s ago and never claimed: does the program call hangwatch_attach? it runs unwatched until then"
        )));
    }

    /// A claimer that died between its swap and its LIVE store, and an owner that could not be killed, leave a slot that only
    /// proof of death frees.
    fn take_unowned(&mut self, snapshot: &SlotSnapshot, tick: Tick) {
        let index = snapshot.index as usize;
        let since = self.states[index].get_or_insert_with(|| Self::state(snapshot.owner, tick.now)).since;
        let long = tick.now - since >= ns(self.policy.starting_timeout) / 2;
        let segment = Arc::clone(self.segment());
        if let Some(slot) = segment.slot(snapshot.index)
            && long
            && death::proven(&segment, slot, self.pid_namespace) == Some(snapshot.owner)
        {
            slot.reclaim(snapshot.owner, Freed::Free);
        }
    }

    fn take_live(&mut self, mut snapshot: SlotSnapshot, hot: &HotWords, tick: Tick, poll: &mut Poll) {
        let segment = Arc::clone(self.segment());
        let Some(slot) = segment.slot(snapshot.index) else { return };
        let index = snapshot.index as usize;
        let half_spent = self.states[index].as_ref().is_some_and(|state| state.half_spent);
        snapshot.probe = self.probes.process(snapshot.index, hot.owner, || slot.read_identity(), half_spent);
        let resuming = self.resuming;
        let state = self.states[index].get_or_insert_with(|| Self::state(hot.owner, tick.now));
        let track = state.track.get_or_insert_with(|| {
            let mut track = Track::new(hot, tick.now);
            if resuming {
                let seen = slot.peek_seen();
                state.seen = seen;
                let Seen { beat, beat_at, epoch, mark, progress_at, .. } = seen;
                track.resume(hot, Resume { beat, beat_at, epoch, mark, progress_at }, tick.now);
            }
            track
        });
        let observation = track.observe(&snapshot, hot, tick, &self.policy);
        let resumable = track.resumable();
        state.half_spent = judge::budget_left(&observation, &self.policy) < 0.5;
        let judgement = match &state.last {
            Some(last) if tick.gap => last.judgement,
            None if tick.gap => Judgement { verdict: Verdict::Ok, spent: None },
            _ => judge::judge(&observation, &self.policy),
        };
        let last_episode = &mut self.last_episode;
        let before = state.episode;
        let (episode, changes) = if tick.gap {
            (before, Vec::new())
        } else {
            episode::follow(before, judgement.verdict, tick.now, self.policy.reminder, || {
                *last_episode += 1;
                *last_episode
            })
        };
        state.episode = episode;
        let mut opened_acting = false;
        for change in changes {
            let (kind, of, detail) = match change {
                Change::Opened(of) => (EventKind::Opened, of, report::spent(&judgement)),
                Change::Reminder(of) => (EventKind::Reminder, of, Some(lasted(of, tick.now, ""))),
                Change::Closed(of) => (EventKind::Closed, of, Some(lasted(of, tick.now, ""))),
            };
            opened_acting |= kind == EventKind::Opened && of.verdict.severity() == Severity::Acting;
            let mut event = report::event(kind, &self.path, clock::wall(), &observation, of.verdict);
            event.episode = Some(of.id);
            if let Some(detail) = detail {
                report::add_detail(&mut event, detail);
            }
            poll.events.push(event);
        }
        let reason = judgement.spent.map_or(0, |spent| judge::clock_number(spent.clock));
        let seen = Seen {
            beat: resumable.beat,
            beat_at: resumable.beat_at,
            mark: resumable.mark,
            progress_at: resumable.progress_at,
            epoch: resumable.epoch,
            verdict: VerdictWord::new(judgement.verdict as u8, reason, hot.owner.generation()),
            episode: episode.map_or(0, |episode| episode.id),
        };
        // A quiet slot costs no write.
        if seen != state.seen {
            slot.publish_seen(&seen);
            state.seen = seen;
        }
        let judged = Judged { observation, judgement, episode: episode.map(|e| e.id), opened_acting };
        state.last = Some(judged.clone());
        if judgement.verdict.is_death() && self.reclaims && !tick.gap {
            self.bury(&judged, hot.owner, poll);
        }
        poll.judged.push(judged);
    }

    /// The process is proven gone: its job is lost and its slot is free.
    fn bury(&mut self, judged: &Judged, owner: Owner, poll: &mut Poll) {
        let o = &judged.observation;
        if o.job.is_some() {
            let mut event = report::event(EventKind::LostJob, &self.path, clock::wall(), o, judged.judgement.verdict);
            event.episode = judged.episode;
            event.detail = Some("its process ended with the job open".into());
            poll.events.push(event);
        }
        if let Some(slot) = self.segment().slot(o.index) {
            slot.reclaim(owner, Freed::Free);
        }
    }
}

fn lasted(episode: Episode, now: u64, more: &str) -> String {
    let seconds = Duration::from_nanos(now.saturating_sub(episode.opened_at)).as_secs_f64();
    let age = crate::tell::text::age(seconds);
    if more.is_empty() { format!("for {age}") } else { format!("after {age}: {more}") }
}
