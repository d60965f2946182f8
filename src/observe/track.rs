//! One slot's memory from poll to poll.
//!
//! | what is seen | what it does |
//! |---|---|
//! | another generation | all anew: it has no history |
//! | another job | both clocks and the mark anew, the lease's sum too |
//! | another pass of the job | progress clock and mark anew, for the first `max_passes`; a later one is a fall |
//! | another phase | its own count; inference's mark and spent age are set aside, and come back with it |
//! | beat changed | heartbeat clock anew |
//! | progress past its mark | progress clock anew, lease over |
//! | a beat of another generation | nothing: the words beside it may be its writer's, so the owner's last own ones stand |

use super::ages::{Age, Ages, Observation};
use super::clock::Tick;
use crate::layout::hot::HotWords;
use crate::layout::phase::Phase;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::{Beat, Epoch, Owner, PhaseWord};
use crate::policy::Policy;
use crate::snapshot::{Process, SlotSnapshot};

/// An instant of the monitor's clock, and how much since then is excused.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    at: u64,
    excused: u64,
}

impl Since {
    fn now(now: u64) -> Self {
        Self { at: now, excused: 0 }
    }

    /// No more than has passed: at first sight of a slot the poll's interval lies before it.
    fn excuse(&mut self, excused: u64, now: u64) {
        self.excused = self.excused.saturating_add(excused).min(now.saturating_sub(self.at));
    }

    fn age(self, now: u64) -> Age {
        let real = now.saturating_sub(self.at);
        Age { real, judged: real.saturating_sub(self.excused) }
    }
}

/// Inference's clock while another phase of the job runs.
#[derive(Debug, Clone, Copy)]
struct SetAside {
    job: u32,
    spent: Age,
    mark: Option<u64>,
    /// Whether progress had fallen back since the mark rose; falls of the other phase are not inference's.
    fell: bool,
}

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
    set_aside: Option<SetAside>,
    lease_seq: u16,
    lease_left: u64,
    lease_sum: u64,
}

fn job_pass(epoch: Epoch) -> (u32, u16) {
    (epoch.job(), epoch.pass())
}

impl Track {
    /// First sight of an owner.
    pub fn new(hot: &HotWords, now: u64) -> Self {
        let since = Since::now(now);
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
            set_aside: None,
            lease_seq: 0,
            lease_left: 0,
            lease_sum: 0,
        }
    }

    /// Whose memory it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Lets ages go on that a former monitor had counted, where its words still fit the slot's. A lease starts anew, and its
    /// ages with it: what of it was spent is not known.
    pub fn resume(&mut self, hot: &HotWords, former: Resume, now: u64) {
        if hot.lease.ms() != 0 || hot.own_beat() != Some(former.beat) {
            return;
        }
        self.beat = hot.beat;
        let beat_at = former.beat_at.min(now);
        self.beat_since.at = beat_at;
        // No helper speaks, so none can have spoken meanwhile. Where one does, nobody knows when it last did.
        if !self.helper_speaks() {
            self.alive_since.at = beat_at;
        }
        self.claim.at = beat_at;
        self.phase_since.at = beat_at;
        self.job_since.at = beat_at;
        if job_pass(former.epoch) == job_pass(hot.epoch) {
            self.mark = (former.mark != NO_PROGRESS).then_some(former.mark);
            self.falls_at_mark = former.epoch.falls();
            self.progress_since.at = former.progress_at.min(now);
        }
    }

    /// The words that let a successor resume: effective instants, so that what was excused stays excused.
    pub fn resumable(&self) -> Resume {
        Resume {
            beat: self.beat,
            beat_at: self.beat_since.at + self.beat_since.excused,
            epoch: Epoch::new(self.epoch.job(), self.epoch.pass(), self.falls_at_mark),
            mark: self.mark.unwrap_or(NO_PROGRESS),
            progress_at: self.progress_since.at + self.progress_since.excused,
        }
    }

    /// Takes in one poll's reading of the same owner and says what it means. `snapshot.hot` must be there.
    pub fn observe(&mut self, snapshot: &SlotSnapshot, hot: &HotWords, tick: Tick, policy: &Policy) -> Observation {
        if hot.own_beat().is_some() {
            self.words = *hot;
        }
        let own = self.words;
        self.excuse(snapshot.probe.process, tick);
        self.take_epoch(&own, tick.now, policy);
        self.take_phase(&own, tick.now);
        self.take_beats(own.beat, hot.alive, tick.now);
        self.take_progress(&own, tick.now);
        // After progress: of an advance and a new lease seen together, the advance is taken to have come first. A step
        // and then `extend` is what workers do, and the other order costs a delay, never a false alarm.
        self.take_lease(&own, policy);
        self.observation(snapshot, &own, tick.now)
    }

    /// A process that is stopped, and one under a lease, spends no budget. A job's deadline knows no lease.
    fn excuse(&mut self, process: Process, tick: Tick) {
        let leased = tick.grew.min(self.lease_left);
        self.lease_left -= leased;
        let stopped = if process.is_held() { tick.grew } else { 0 };
        let excused = leased.max(stopped);
        for since in
            [&mut self.claim, &mut self.beat_since, &mut self.alive_since, &mut self.phase_since, &mut self.progress_since]
        {
            since.excuse(excused, tick.now);
        }
        self.job_since.excuse(stopped, tick.now);
    }

    fn take_epoch(&mut self, hot: &HotWords, now: u64, policy: &Policy) {
        if job_pass(hot.epoch) != job_pass(self.epoch) {
            let new_job = hot.epoch.job() != self.epoch.job();
            if new_job {
                self.job_since = Since::now(now);
                self.beat_since = Since::now(now);
                self.lease_sum = 0;
            }
            if new_job || u64::from(hot.epoch.pass()) <= policy.max_passes {
                self.set_aside = None;
                self.restart_count(hot, now);
            } else {
                self.note_fall(hot.epoch);
            }
        }
        self.epoch = hot.epoch;
    }

    fn restart_count(&mut self, hot: &HotWords, now: u64) {
        self.mark = None;
        self.falls_at_mark = hot.epoch.falls();
        self.progress_since = Since::now(now);
    }

    /// Notes a fall that the word's own count does not show.
    fn note_fall(&mut self, epoch: Epoch) {
        self.falls_at_mark = epoch.falls().wrapping_sub(1);
    }

    fn take_phase(&mut self, hot: &HotWords, now: u64) {
        if hot.phase == self.phase {
            return;
        }
        let was = Phase::from_id(self.phase.id());
        let is = Phase::from_id(hot.phase.id());
        let same_job = hot.phase.job_open() && self.phase.job_open();
        if same_job && was == Phase::Inference && is != Phase::Inference {
            self.set_aside = Some(SetAside {
                job: hot.epoch.job(),
                spent: self.progress_since.age(now),
                mark: self.mark,
                fell: self.fell(hot.epoch),
            });
        }
        match self.set_aside.filter(|aside| aside.job == hot.epoch.job()) {
            // There and back between two polls: the count was never left as far as anybody can tell.
            _ if same_job && was == Phase::Inference && is == Phase::Inference => {}
            Some(aside) if hot.phase.job_open() && is == Phase::Inference => {
                self.mark = aside.mark;
                self.falls_at_mark = hot.epoch.falls();
                // It may have fallen again before this poll saw it back: then it stands below its mark.
                let below = hot.progress != NO_PROGRESS && aside.mark.is_some_and(|mark| hot.progress < mark);
                if aside.fell || below {
                    self.note_fall(hot.epoch);
                }
                self.progress_since =
                    Since { at: now.saturating_sub(aside.spent.real), excused: aside.spent.real - aside.spent.judged };
                self.set_aside = None;
            }
            _ => self.restart_count(hot, now),
        }
        self.phase = hot.phase;
        self.phase_since = Since::now(now);
        self.end_lease();
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
        let ns = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        self.end_lease();
        self.lease_left = asked.min(ns(policy.max_lease)).min(ns(policy.max_lease_sum).saturating_sub(self.lease_sum));
        self.lease_sum += self.lease_left;
    }

    fn take_beats(&mut self, beat: Beat, alive: Beat, now: u64) {
        if beat != self.beat {
            self.beat = beat;
            self.beat_since = Since::now(now);
        }
        if alive != self.alive && alive.generation() == self.owner.generation() {
            self.alive = alive;
            self.alive_since = Since::now(now);
        }
    }

    fn take_progress(&mut self, hot: &HotWords, now: u64) {
        if hot.progress == NO_PROGRESS || self.mark.is_some_and(|mark| hot.progress <= mark) {
            return;
        }
        self.mark = Some(hot.progress);
        self.falls_at_mark = hot.epoch.falls();
        self.progress_since = Since::now(now);
        self.lease_left = 0;
        self.lease_sum = 0;
    }

    fn helper_speaks(&self) -> bool {
        self.alive.generation() == self.owner.generation() && self.alive.count() > 0
    }

    fn fell(&self, epoch: Epoch) -> bool {
        self.mark.is_some() && epoch.falls() != self.falls_at_mark
    }

    fn observation(&self, snapshot: &SlotSnapshot, hot: &HotWords, now: u64) -> Observation {
        let beat = self.beat_since.age(now);
        let alive = self.alive_since.age(now);
        let reports = hot.total != TOTAL_NONE || self.mark.is_some();
        Observation {
            now,
            index: snapshot.index,
            owner: self.owner,
            phase: Phase::from_id(hot.phase.id()),
            user_phase: snapshot.user_phase.clone(),
            job: hot.phase.job_open().then_some(hot.epoch.job()),
            done: hot.done(),
            total: hot.known_total(),
            ever_beat: self.beat.count() > 0,
            fell_back: self.fell(hot.epoch),
            lease_left: (self.lease_left > 0).then_some(self.lease_left),
            ages: Ages {
                claim: self.claim.age(now),
                beat,
                heartbeat: beat.min(alive),
                alive: self.helper_speaks().then_some(alive),
                progress: reports.then(|| self.progress_since.age(now)),
                phase: self.phase_since.age(now),
                job: hot.phase.job_open().then(|| self.job_since.age(now)),
            },
            info: snapshot.info.clone(),
            probe: snapshot.probe,
        }
    }
}
