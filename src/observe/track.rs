//! One slot's memory from poll to poll.
//!
//! | what is seen | what it does |
//! |---|---|
//! | another generation | all anew: it has no history |
//! | another job | both clocks and the mark anew, the lease's sum too |
//! | another pass of the job | progress clock and mark anew, for the first `max_passes`; a later one is a fall |
//! | another section | its own count; what those around it and the job's inference had spent comes back with them |
//! | beat changed | heartbeat clock anew |
//! | progress past its mark | progress clock anew, lease over |
//! | a beat of another generation | nothing: the words beside it may be its writer's, so the owner's last own ones stand |

use super::ages::{Ages, Observation};
use super::aside::{Aside, Asides};
use super::clock::Tick;
use super::since::Since;
use crate::layout::hot::HotWords;
use crate::layout::phase::Phase;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::{Beat, Epoch, Owner, PhaseWord};
use crate::policy::{Policy, ns};
use crate::snapshot::{Probe, Process, SlotSnapshot};

/// Where a former monitor's words let an age go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The beat that it saw last.
    pub beat: Beat,
    /// Its clock then.
    pub beat_at: u64,
    /// The epoch of its mark.
    pub epoch: Epoch,
    /// Its mark; [`NO_PROGRESS`] for none.
    pub mark: u64,
    /// Its clock when that rose.
    pub progress_at: u64,
    /// The entry number of the phase that the mark is of.
    pub entry: u32,
}

/// What a monitor remembers of a slot.
#[derive(Debug, Clone)]
pub struct Track {
    owner: Owner,
    /// The owner's last own words.
    words: HotWords,
    claim: Since,
    beat: Beat,
    beat_since: Since,
    alive: Beat,
    alive_since: Since,
    epoch: Epoch,
    phase: PhaseWord,
    phase_since: Since,
    job_since: Since,
    mark: Option<u64>,
    falls_at_mark: u16,
    progress_since: Since,
    asides: Asides,
    lease_seq: u16,
    lease_left: u64,
    lease_sum: u64,
    /// The clock when it was last observed.
    observed_at: u64,
    /// What the last look found the claiming thread to have waited.
    run_delay: Option<u64>,
    foreign: Foreign,
    /// The clock when SIGKILL was first seen pending in uninterruptible sleep, if it still is.
    unkillable: Option<u64>,
}

/// Beats of another generation.
#[derive(Debug, Clone, Copy, Default)]
struct Foreign {
    beat: Beat,
    /// The clock when it last changed.
    at: u64,
    /// Polls running in which it changed.
    polls: u32,
}

fn job_pass(epoch: Epoch) -> (u32, u16) {
    (epoch.job(), epoch.pass())
}

impl Track {
    /// First sight of an owner.
    pub fn new(hot: &HotWords, tick: &Tick) -> Self {
        let since = Since::now(tick, None);
        Self {
            owner: hot.owner,
            words: HotWords { beat: Beat::start(hot.owner.generation()), ..*hot },
            claim: since,
            beat: Beat::start(hot.owner.generation()),
            beat_since: since,
            alive: hot.alive,
            alive_since: since,
            epoch: hot.epoch,
            phase: hot.phase,
            phase_since: since,
            job_since: since,
            mark: hot.done(),
            falls_at_mark: hot.epoch.falls(),
            progress_since: since,
            asides: Asides::default(),
            lease_seq: 0,
            lease_left: 0,
            lease_sum: 0,
            observed_at: tick.now,
            run_delay: None,
            foreign: Foreign::default(),
            unkillable: None,
        }
    }

    /// Whose memory it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Lets ages go on that a former monitor had counted, where its words still fit the slot's. A lease that it granted is
    /// in its words already; one that began since is granted from now.
    pub fn resume(&mut self, hot: &HotWords, former: Resume, tick: &Tick, policy: &Policy) {
        if former.beat.generation() != self.owner.generation() {
            return;
        }
        // A lease may be paid for in advance; an instant further ahead is garbage.
        let most = tick.now.saturating_add(ns(policy.max_lease));
        let since = |at: u64| Since::resumed(if at > most { tick.now } else { at }, tick);
        if job_pass(former.epoch) == job_pass(hot.epoch) && former.entry == hot.phase.entry() {
            self.mark = (former.mark != NO_PROGRESS).then_some(former.mark);
            self.falls_at_mark = former.epoch.falls();
            self.progress_since = since(former.progress_at);
        }
        if hot.own_beat() != Some(former.beat) {
            return;
        }
        // Nothing was reported since: all goes on, the lease too.
        self.beat = hot.beat;
        self.beat_since = since(former.beat_at);
        // No helper speaks, so none can have spoken meanwhile. Where one does, nobody knows when it last did.
        if !self.helper_speaks() {
            self.alive_since = self.beat_since;
        }
        self.claim = self.beat_since;
        self.phase_since = self.beat_since;
        self.job_since = self.beat_since;
        self.lease_seq = hot.lease.seq();
    }

    /// Excuses all that was counted so far, but for a deadline: a former monitor excused it, and how much of it is not known.
    pub fn excuse_all(&mut self, tick: &Tick) {
        for since in
            [&mut self.claim, &mut self.beat_since, &mut self.alive_since, &mut self.phase_since, &mut self.progress_since]
        {
            since.excuse(u64::MAX, tick.now);
        }
    }

    /// The words that let a successor resume: effective instants, so that what was excused stays excused, and what is left
    /// of a lease is paid for in advance. They change only when something happened.
    pub fn resumable(&self) -> Resume {
        Resume {
            beat: self.beat,
            beat_at: self.beat_since.effective(self.lease_left),
            epoch: Epoch::new(self.epoch.job(), self.epoch.pass(), self.falls_at_mark),
            mark: self.mark.unwrap_or(NO_PROGRESS),
            progress_at: self.progress_since.effective(self.lease_left),
            entry: self.phase.entry(),
        }
    }

    /// Beats of another generation are being seen: it is to be looked at again at the next poll.
    pub fn is_unsettled(&self) -> bool {
        self.foreign.polls > 0
    }

    /// Takes in one reading of the same owner and says what it means. `snapshot.hot` must be there. A poll at which nothing
    /// changed may be left out, and changes nothing.
    pub fn observe(&mut self, snapshot: &SlotSnapshot, hot: &HotWords, tick: &Tick, policy: &Policy) -> Observation {
        if hot.own_beat().is_some() {
            self.words = *hot;
        }
        let own = self.words;
        self.take_foreign(hot, tick);
        let is_unkillable = snapshot.probe.process == Process::Unkillable;
        self.unkillable = is_unkillable.then(|| self.unkillable.unwrap_or(tick.now));
        self.excuse(&snapshot.probe, tick);
        self.take_epoch(&own, tick, policy);
        self.take_phase(&own, tick, policy);
        self.take_beats(own.beat, hot.alive, tick);
        self.take_progress(&own, tick);
        // After progress: of an advance and a new lease seen together, the advance is taken to have come first. A step
        // and then `extend` is what workers do, and the other order costs a delay, never a false alarm.
        self.take_lease(&own, policy);
        self.observed_at = tick.now;
        self.observation(snapshot, &own, tick, policy)
    }

    fn take_foreign(&mut self, hot: &HotWords, tick: &Tick) {
        let Foreign { beat, at, polls } = self.foreign;
        let running = at == tick.now.saturating_sub(tick.grew) && polls > 0;
        self.foreign = match hot.own_beat() {
            // First sight of such a beat is no change of it: it may be a dead writer's last.
            None if beat == Beat::default() => Foreign { beat: hot.beat, at: tick.now, polls: 0 },
            None if hot.beat != beat => Foreign { beat: hot.beat, at: tick.now, polls: if running { polls + 1 } else { 1 } },
            None if at == tick.now => self.foreign,
            _ => Foreign { polls: 0, ..self.foreign },
        };
    }

    /// A process that is held up, and one under a lease, spends no budget. A job's deadline knows no lease.
    fn excuse(&mut self, probe: &Probe, tick: &Tick) {
        let leased = self.lease_left.min(tick.now - self.observed_at);
        self.lease_left -= leased;
        // Since when it has been held up is not known: a poll's time is excused, and it is looked at at every poll from now.
        let held = if probe.process.is_held() { tick.grew } else { 0 };
        let excused = leased.max(held);
        for since in
            [&mut self.claim, &mut self.beat_since, &mut self.alive_since, &mut self.phase_since, &mut self.progress_since]
        {
            since.excuse(excused, tick.now);
            since.look(probe.run_delay_ns);
        }
        self.job_since.excuse(held, tick.now);
        self.job_since.look(probe.run_delay_ns);
        self.run_delay = probe.run_delay_ns;
    }

    fn start(&self, tick: &Tick) -> Since {
        Since::now(tick, self.run_delay)
    }

    fn take_epoch(&mut self, hot: &HotWords, tick: &Tick, policy: &Policy) {
        if job_pass(hot.epoch) != job_pass(self.epoch) {
            let new_job = hot.epoch.job() != self.epoch.job();
            if new_job {
                self.job_since = self.start(tick);
                self.beat_since = self.start(tick);
                self.phase_since = self.start(tick);
                self.phase = hot.phase;
                self.end_lease();
                self.lease_sum = 0;
            }
            if new_job || u64::from(hot.epoch.pass()) <= policy.max_passes {
                self.asides.clear();
                self.restart_count(hot, tick);
            } else {
                self.note_fall(hot.epoch);
            }
        }
        self.epoch = hot.epoch;
    }

    fn restart_count(&mut self, hot: &HotWords, tick: &Tick) {
        self.mark = None;
        self.falls_at_mark = hot.epoch.falls();
        self.progress_since = self.start(tick);
    }

    /// Notes a fall that the word's own count does not show.
    fn note_fall(&mut self, epoch: Epoch) {
        self.falls_at_mark = epoch.falls().wrapping_sub(1);
    }

    fn take_phase(&mut self, hot: &HotWords, tick: &Tick, policy: &Policy) {
        if hot.phase == self.phase {
            return;
        }
        // There and back between two polls: it was never left as far as anybody can tell.
        if !hot.phase.is_same_section(self.phase) {
            let age = |since: &Since| since.age(tick, self.run_delay, policy.max_stretch);
            let was = Aside {
                word: self.phase,
                progress: age(&self.progress_since),
                phase: age(&self.phase_since),
                mark: self.mark,
                fell: self.fell(hot.epoch),
            };
            match self.asides.exchange(was, hot.phase) {
                Some(back) => self.come_back(&back, hot, tick),
                None => {
                    self.restart_count(hot, tick);
                    self.phase_since = self.start(tick);
                }
            }
        }
        self.phase = hot.phase;
        self.end_lease();
    }

    /// A section is shown again: with its mark, and with what it had spent.
    fn come_back(&mut self, back: &Aside, hot: &HotWords, tick: &Tick) {
        self.mark = back.mark;
        self.falls_at_mark = hot.epoch.falls();
        // It may have fallen again before this poll saw it back: then it stands below its mark.
        let below = hot.progress != NO_PROGRESS && back.mark.is_some_and(|mark| hot.progress < mark);
        if back.fell || below {
            self.note_fall(hot.epoch);
        }
        self.progress_since = Since::aged(back.progress, tick, self.run_delay);
        self.phase_since = Since::aged(back.phase, tick, self.run_delay);
    }

    /// What of a lease was not used does not count towards the sum.
    fn end_lease(&mut self) {
        self.lease_sum = self.lease_sum.saturating_sub(self.lease_left);
        self.lease_left = 0;
    }

    /// A new lease counts from its first sight, clamped, and only as far as the sum between two advances allows.
    fn take_lease(&mut self, hot: &HotWords, policy: &Policy) {
        if hot.lease.seq() == self.lease_seq {
            return;
        }
        self.lease_seq = hot.lease.seq();
        let asked = hot.lease.ms().saturating_mul(1_000_000);
        self.end_lease();
        self.lease_left = asked.min(ns(policy.max_lease)).min(ns(policy.max_lease_sum).saturating_sub(self.lease_sum));
        self.lease_sum += self.lease_left;
    }

    fn take_beats(&mut self, beat: Beat, alive: Beat, tick: &Tick) {
        if beat != self.beat {
            self.beat = beat;
            self.beat_since = self.start(tick);
        }
        if alive != self.alive && alive.generation() == self.owner.generation() {
            self.alive = alive;
            self.alive_since = self.start(tick);
        }
    }

    fn take_progress(&mut self, hot: &HotWords, tick: &Tick) {
        if hot.progress == NO_PROGRESS || self.mark.is_some_and(|mark| hot.progress <= mark) {
            return;
        }
        self.mark = Some(hot.progress);
        self.falls_at_mark = hot.epoch.falls();
        self.progress_since = self.start(tick);
        self.lease_left = 0;
        self.lease_sum = 0;
    }

    fn helper_speaks(&self) -> bool {
        self.alive.generation() == self.owner.generation() && self.alive.count() > 0
    }

    fn fell(&self, epoch: Epoch) -> bool {
        self.mark.is_some() && epoch.falls() != self.falls_at_mark
    }

    fn observation(&self, snapshot: &SlotSnapshot, hot: &HotWords, tick: &Tick, policy: &Policy) -> Observation {
        let age = |since: &Since| since.age(tick, self.run_delay, policy.max_stretch);
        let (beat, alive) = (age(&self.beat_since), age(&self.alive_since));
        let reports = hot.total != TOTAL_NONE || self.mark.is_some();
        let job_open = hot.phase.job_open();
        Observation {
            now: tick.now,
            index: snapshot.index,
            owner: self.owner,
            phase: Phase::from_id(hot.phase.id()),
            user_phase: snapshot.user_phase.clone(),
            section: hot.phase.section(),
            job: job_open.then_some(hot.epoch.job()),
            pass: hot.epoch.pass(),
            done: hot.done(),
            total: hot.known_total(),
            ever_beat: self.beat.count() > 0,
            foreign: self.foreign.polls >= 2,
            unkillable: self.unkillable.map(|at| tick.now - at),
            fell_back: self.fell(hot.epoch),
            lease_left: (self.lease_left > 0).then_some(self.lease_left),
            ages: Ages {
                claim: age(&self.claim),
                beat,
                heartbeat: beat.min(alive),
                alive: self.helper_speaks().then_some(alive),
                progress: reports.then(|| age(&self.progress_since)),
                phase: age(&self.phase_since),
                job: job_open.then(|| age(&self.job_since)),
            },
            info: snapshot.info.clone(),
            probe: snapshot.probe,
        }
    }
}
