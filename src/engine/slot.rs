//! What is remembered of one slot, and when it is due.

use super::Shared;
use super::episode::{self, Episode, Told};
use super::findings::{Change, ChangeKind, Findings, Judged};
use super::frozen::Part;
use super::takeover::Inherited;
use crate::judge::{self, Hints, Judgement, Severity, Spent, Verdict};
use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::monitor::{Seen, VerdictWord};
use crate::layout::word::{Kind, Owner};
use crate::learn::{Follower, Suspicion};
use crate::observe::{Observation, Resume, Tick, Track};
use crate::policy::{Adaptive, Policy, PolicySet, ns};
use crate::rate::{Limits, RateFollower};
use crate::snapshot::{Process, SlotSnapshot};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) owner: Owner,
    pub(super) since: u64,
    pub(super) due: u64,
    pub(super) half_spent: bool,
    pub(super) is_told_unclaimed: bool,
    /// `None` while the slot is reserved or being claimed.
    live: Option<Live>,
}

/// Of a LIVE slot.
#[derive(Debug, Clone)]
struct Live {
    track: Track,
    policy: Option<Arc<Policy>>,
    /// The record that the policy was chosen by.
    info: Option<Arc<Info>>,
    last: Option<Judged>,
    episode: Option<Episode>,
    /// Of a former monitor, until it is judged anew.
    inherited: Option<Inherited>,
    written: Seen,
    part: Part,
    rate: RateFollower,
    learner: Follower,
}

impl State {
    pub(super) fn new(owner: Owner, now: u64) -> Self {
        Self { owner, since: now, due: now, half_spent: false, is_told_unclaimed: false, live: None }
    }

    /// Another policy may be in force.
    pub(super) fn forget_policy(&mut self) {
        self.due = 0;
        if let Some(live) = &mut self.live {
            live.policy = None;
        }
    }

    /// The last judgement, which stands.
    pub(super) fn last(&self) -> Option<Judged> {
        self.live.as_ref()?.last.clone().map(|last| Judged { opened_acting: false, frozen_with_all: false, write: None, ..last })
    }

    /// Its part in a freeze of all.
    pub(super) fn part(&self) -> Part {
        self.live.as_ref().map_or(Part::default(), |live| live.part)
    }

    /// The slot has another owner than at the last poll, or none: what was open about the last one ends.
    pub(super) fn leave(self, tick: &Tick, shared: &mut Shared) -> Option<Change> {
        let live = self.live?;
        shared.frozen.exchange(counted(self.owner, live.part), Part::default());
        if let Some(last) = &live.last {
            live.rate.leave(last.observation.index, &mut shared.rates);
        }
        let (episode, last) = (live.episode?, live.last?);
        let lasted = tick.now.saturating_sub(episode.opened_at);
        let Judged { observation, judgement, slow, suspicion, .. } = last;
        Some(Change { kind: ChangeKind::Left, episode, lasted, observation, judgement, slow, suspicion })
    }

    #[expect(clippy::too_many_arguments, reason = "what a slot needs of its engine, borrowed apart")]
    pub(super) fn observe(
        &mut self,
        snapshot: SlotSnapshot,
        hot: &HotWords,
        tick: &Tick,
        policies: &PolicySet,
        shared: &mut Shared,
        findings: &mut Findings,
        former: impl FnOnce() -> Option<Seen>,
    ) {
        let live = self.live.get_or_insert_with(|| {
            Live::new(hot, tick, policies.base(), former().filter(|seen| seen.verdict.generation() == hot.owner.generation()))
        });
        let policy = live.policy(&snapshot, policies);
        let observation = live.track.observe(&snapshot, hot, tick, &policy);
        let slow = live.rate.observe(&observation, &mut shared.rates, &limits(&policy, policies.base()));
        let suspicion = match policy.adaptive {
            // What passes while it is off is no gap.
            Adaptive::Off => {
                live.learner = Follower::default();
                None
            }
            _ => live.learner.observe(&observation, tick, &mut shared.learnt),
        };
        let hints = hints(suspicion.as_ref(), slow.is_some());
        if live.last.is_none() {
            live.episode = live.inherited.map(|inherited| inherited.episode(&observation, &policy));
        }
        let rate = live.rate.rate();
        let judgement = match &live.last {
            Some(last) if tick.gap => last.judgement,
            None if tick.gap => live.inherited.map_or(Judgement::OK, |inherited| inherited.judgement()),
            _ => live.or_inherited(judge::judge(&observation, &policy, &hints), &policy, policies.base()),
        };
        let mut judged = Judged {
            observation,
            judgement,
            rate,
            slow,
            suspicion,
            episode: None,
            opened_acting: false,
            frozen_with_all: false,
            write: None,
        };
        live.follow(&mut judged, tick, &policy, shared, findings);
        if judgement.severity == Severity::Acting {
            match judgement.verdict {
                Verdict::Suspect if judged.opened_acting => live.learner.acted(&mut shared.learnt),
                // What a fixed budget found is no lesson.
                _ => live.learner.episode(),
            }
        }
        let observation = &judged.observation;
        let running = Running::of(observation, &policy);
        let part = part(observation, &judgement, &running, &policy, live.part);
        shared.frozen.exchange(counted(self.owner, live.part), counted(self.owner, part));
        live.part = part;
        let mut clocks = Clocks::of(observation, &running, &policy);
        live.rate.due().into_iter().for_each(|due| clocks.at(due));
        if policy.adaptive != Adaptive::Off {
            clocks.learnt(observation.now, &live.learner);
        }
        self.half_spent = clocks.half_spent;
        let stands = judgement.severity != Severity::Well || live.episode.is_some();
        let process = observation.probe.process;
        let is_held = process.is_held() || process == Process::Unkillable;
        self.due = if tick.gap || stands || is_held || live.track.is_unsettled() { tick.now } else { clocks.due };
        // At a gap nobody was judged: what was written stands.
        if !tick.gap {
            let seen = live.seen(&judgement, self.owner);
            judged.write = (seen != live.written).then_some(seen);
            live.written = seen;
        }
        live.last = Some(judged.clone());
        findings.judged.push(judged);
    }
}

impl Live {
    fn new(hot: &HotWords, tick: &Tick, policy: &Policy, former: Option<Seen>) -> Self {
        let mut track = Track::new(hot, tick);
        if let Some(Seen { beat, beat_at, epoch, mark, progress_at, verdict, .. }) = former {
            track.resume(hot, Resume { beat, beat_at, epoch, mark, progress_at, entry: verdict.entry() }, tick, policy);
        }
        let inherited = former.as_ref().and_then(Inherited::of);
        if inherited.is_some_and(|inherited| inherited.was_starved()) {
            track.excuse_all(tick);
        }
        Self {
            track,
            policy: None,
            info: None,
            last: None,
            episode: None,
            inherited,
            written: former.unwrap_or_default(),
            part: Part::default(),
            rate: RateFollower::new(),
            learner: Follower::default(),
        }
    }

    /// The policy of this worker and its model. A record is another `Arc` only where its words changed.
    fn policy(&mut self, snapshot: &SlotSnapshot, policies: &PolicySet) -> Arc<Policy> {
        let same = match (&self.info, &snapshot.info) {
            (None, None) => true,
            (Some(known), Some(info)) => Arc::ptr_eq(known, info),
            // Between two jobs' records nothing is known; what was holds.
            (Some(_), None) => true,
            (None, Some(_)) => false,
        };
        match &self.policy {
            Some(policy) if same => Arc::clone(policy),
            _ => {
                self.info = snapshot.info.clone().or(self.info.take());
                let (model, name) = self.info.as_ref().map_or(("", ""), |info| (&info.model, &info.name));
                Arc::clone(self.policy.insert(policies.for_slot(model, name)))
            }
        }
    }

    /// The judgement, or the former monitor's where it is not known yet that the worker is well.
    fn or_inherited(&mut self, judgement: Judgement, policy: &Policy, base: &Policy) -> Judgement {
        let now = self.track.resumable();
        let has_pace = self.rate.can_judge(&limits(policy, base));
        let stands = judgement.severity == Severity::Well
            && self.inherited.as_mut().is_some_and(|inherited| inherited.is_undecided(&now, has_pace));
        match &self.inherited {
            Some(inherited) if stands => inherited.judgement(),
            _ => {
                self.inherited = None;
                judgement
            }
        }
    }

    /// Follows the episode.
    fn follow(&mut self, judged: &mut Judged, tick: &Tick, policy: &Policy, shared: &mut Shared, findings: &mut Findings) {
        if !tick.gap {
            let last = &mut shared.last_episode;
            let (episode, told) = episode::follow(self.episode, &judged.judgement, tick.now, policy.reminder, || {
                *last += 1;
                *last
            });
            self.episode = episode;
            for told in told {
                let (kind, episode) = match told {
                    Told::Opened(episode) => (ChangeKind::Opened, episode),
                    Told::Reminder(episode) => (ChangeKind::Reminder, episode),
                    Told::Closed(episode) => (ChangeKind::Closed, episode),
                };
                judged.opened_acting |= kind == ChangeKind::Opened && episode.severity == Severity::Acting;
                let lasted = tick.now.saturating_sub(episode.opened_at);
                let Judged { observation, judgement, slow, suspicion, .. } = judged.clone();
                findings.changes.push(Change { kind, episode, lasted, observation, judgement, slow, suspicion });
            }
        }
        judged.episode = self.episode.map(|episode| episode.id);
    }

    fn seen(&self, judgement: &Judgement, owner: Owner) -> Seen {
        let reason = judgement.spent.map_or(0, |spent| judge::clock_number(spent.clock));
        let Resume { beat, beat_at, epoch, mark, progress_at, entry } = self.track.resumable();
        let verdict = VerdictWord::new(judgement.verdict as u8, reason, owner.generation(), entry);
        Seen { beat, beat_at, mark, progress_at, epoch, verdict, episode: self.episode.map_or(0, |episode| episode.id) }
    }
}

fn hints(suspicion: Option<&Suspicion>, slow: bool) -> Hints {
    let spent = suspicion.map(|s| Spent { clock: "learnt", age: s.age, counted: s.age, budget: s.threshold });
    Hints { suspicion: spent, may_act: suspicion.is_some_and(Suspicion::may_act), slow }
}

fn limits(policy: &Policy, base: &Policy) -> Limits {
    Limits { factor: policy.slow_factor, floor: policy.slow_floor, poll_ns: ns(base.poll_interval) }
}

/// Whether a worker works, and whether it counts as frozen: silent for `process_timeout`, under no lease and in no phase that
/// may be silent for longer; or hung by a budget of its own, or within two polls of it, for those that froze together are
/// not seen to at one poll.
fn part(o: &Observation, judgement: &Judgement, running: &Running, policy: &Policy, before: Part) -> Part {
    let working = o.ever_beat && !running.is_idle && !judgement.verdict.is_death();
    let timeout = ns(policy.process_timeout);
    let two_polls = ns(policy.poll_interval).saturating_mul(2);
    let patient = o.lease_left.is_some() || running.clocks().any(|clock| clock.clock == "phase" && clock.budget > timeout);
    let silent = o.ages.heartbeat.judged >= timeout && !patient;
    let near = |clock: judge::Spent| clock.age.saturating_add(two_polls) >= clock.budget && clock.age >= clock.budget / 2;
    let hung = judgement.severity == Severity::Acting || running.clocks().any(near);
    let is_frozen = working && (silent || hung);
    Part { working, frozen: is_frozen.then(|| before.frozen.unwrap_or(o.now)) }
}

/// The part that counts towards a freeze of all: a device's slot is its host's process, which counts already.
fn counted(owner: Owner, part: Part) -> Part {
    if owner.kind() == Kind::Gpu { Part::default() } else { part }
}

/// What runs for a slot at one poll, gone through once.
struct Running {
    clocks: [Option<Spent>; MOST_CLOCKS],
    is_idle: bool,
}

/// Start or heartbeat, progress, a phase's two, a deadline.
const MOST_CLOCKS: usize = 6;

impl Running {
    fn of(o: &Observation, policy: &Policy) -> Self {
        let mut clocks = [None; MOST_CLOCKS];
        clocks.iter_mut().zip(judge::running_clocks(o, policy)).for_each(|(place, clock)| *place = Some(clock));
        Self { clocks, is_idle: judge::is_idle(o, policy) }
    }

    fn clocks(&self) -> impl Iterator<Item = Spent> {
        self.clocks.iter().map_while(|clock| *clock)
    }
}

/// When a clock of the slot can next matter.
struct Clocks {
    due: u64,
    half_spent: bool,
}

impl Clocks {
    fn of(o: &Observation, running: &Running, policy: &Policy) -> Self {
        let mut clocks = Self { due: u64::MAX, half_spent: false };
        for spent in running.clocks() {
            let half = spent.budget / 2;
            // Before what the machine excuses: whether the worker waits for a CPU itself is what the look is to find out.
            clocks.half_spent |= spent.counted >= half;
            clocks.at(o.now.saturating_add(half.saturating_sub(spent.counted)));
        }
        let frozen_in = ns(policy.process_timeout).saturating_sub(o.ages.heartbeat.judged);
        if frozen_in > 0 && !running.is_idle {
            clocks.at(o.now.saturating_add(frozen_in));
        }
        clocks
    }

    /// Half-way to a learnt threshold the process is worth a look.
    fn learnt(&mut self, now: u64, learner: &Follower) {
        self.half_spent |= learner.is_past_half();
        if let Some(due) = learner.due() {
            let half = now.saturating_add(due.saturating_sub(now) / 2);
            self.at(if learner.is_past_half() { due } else { half.max(now.saturating_add(1)) });
        }
    }

    /// Time is held against a worker no faster than it passes, so at no earlier instant can a clock be there.
    fn at(&mut self, instant: u64) {
        self.due = self.due.min(instant);
    }
}
