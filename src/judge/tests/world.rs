//! One worker, one monitor, and a time that passes only when it is told to.

use crate::judge::{Hints, Judgement, Verdict, judge};
use crate::layout::claim::Identity;
use crate::layout::hot::{Count, Pen};
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
use crate::layout::word::{Beat, Epoch, Kind, Lease, Owner, PhaseWord};
use crate::layout::{Slot, UserPhase};
use crate::observe::{Observation, PollClock, Tick, Track};
use crate::policy::Policy;
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use std::sync::Arc;
use std::time::Duration;

pub(super) const NS: Duration = Duration::from_nanos(1);
pub(super) const POLL: Duration = Duration::from_secs(1);
pub(super) const HEARTBEAT: Duration = Duration::from_secs(6);
pub(super) const PROGRESS: Duration = Duration::from_secs(10);

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The worker writes through the layout's own pen; what stands beside it follows the worker side's rules.
pub(super) struct World {
    pub(super) slot: Box<Slot>,
    pub(super) kind: Kind,
    pub(super) pen: Pen,
    pub(super) policy: Policy,
    pub(super) process: Process,
    pub(super) run_delay: Option<Duration>,
    pub(super) thread_gone: bool,
    pub(super) pressure_us: Option<u64>,
    pub(super) hints: Hints,
    pub(super) info: Info,
    pub(super) user: Option<UserPhase>,
    pub(super) clock: PollClock,
    pub(super) track: Option<Track>,
    pub(super) seen: Option<Observation>,
    pub(super) judged: Option<Judgement>,
    pub(super) now: Duration,
    phase: PhaseWord,
    lease: Lease,
    /// Sections around the one that is shown, and the job's inference while another phase has its place.
    around: Vec<(PhaseWord, Count)>,
    aside: Option<(PhaseWord, Count)>,
    section: u16,
    job_total: u64,
    alive: u64,
}

impl World {
    /// A worker that has claimed and not beaten, seen once.
    pub(super) fn claimed() -> Self {
        let slot = Box::new(Slot::zeroed());
        let mut world = Self {
            pen: Pen::new(0),
            slot,
            kind: Kind::Worker,
            policy: Policy {
                poll_interval: POLL,
                heartbeat_timeout: HEARTBEAT,
                progress_timeout: PROGRESS,
                max_lease: s(30),
                max_lease_sum: s(45),
                ..Policy::default()
            },
            process: Process::Running,
            run_delay: None,
            thread_gone: false,
            pressure_us: None,
            hints: Hints::default(),
            info: Info::default(),
            user: None,
            clock: PollClock::new(POLL, 0),
            track: None,
            seen: None,
            judged: None,
            now: s(1000),
            phase: PhaseWord::default(),
            lease: Lease::default(),
            around: Vec::new(),
            aside: None,
            section: 0,
            job_total: TOTAL_NONE,
            alive: 0,
        };
        world.claim();
        world.poll();
        world
    }

    /// In a phase, seen there.
    pub(super) fn in_phase(phase: Phase) -> Self {
        let mut world = Self::claimed();
        world.phase(phase, TOTAL_NONE);
        world.poll();
        world
    }

    /// In a job's inference, seen there.
    pub(super) fn in_job(total: u64) -> Self {
        let mut world = Self::claimed();
        world.begin_job(total);
        world.poll();
        world
    }

    /// The slot's next owner.
    pub(super) fn claim(&mut self) {
        let owner = self.slot.peek_owner();
        self.slot.release(owner);
        let freed = self.slot.peek_owner();
        let owner = self.slot.claim(freed, self.kind, 4821, &Identity::default(), |_, _| {}).expect("a free slot");
        self.pen = Pen::new(owner.generation());
        (self.phase, self.lease, self.alive) = (PhaseWord::default(), Lease::default(), 0);
        (self.aside, self.section) = (None, 0);
        self.around.clear();
    }

    pub(super) fn owner(&self) -> Owner {
        self.slot.peek_owner()
    }

    pub(super) fn beat(&mut self) {
        self.pen.beat(&self.slot, None);
    }

    pub(super) fn step(&mut self, done: u64) {
        self.pen.step(&self.slot, done, None);
    }

    pub(super) fn alive(&mut self) {
        self.alive += 1;
        self.slot.publish_alive(Beat(Beat::start(self.pen.generation()).0 + self.alive));
    }

    pub(super) fn begin_job(&mut self, total: u64) {
        let epoch = Epoch(self.pen.epoch).next_job();
        (self.job_total, self.aside, self.info.job) = (total, None, epoch.job());
        self.around.clear();
        let flags = self.next_flags(true);
        self.show(epoch, Phase::Inference.id(), flags, Count::fresh(total));
    }

    pub(super) fn end_job(&mut self) {
        self.aside = None;
        self.around.clear();
        let flags = self.next_flags(false);
        self.show(Epoch(self.pen.epoch), Phase::Idle.id(), flags, Count::fresh(TOTAL_NONE));
    }

    pub(super) fn begin_pass(&mut self) {
        self.cross_to_next_pass();
        self.beat();
    }

    /// `begin_pass` without the beat at its end: where a writer may be met, or killed.
    pub(super) fn cross_to_next_pass(&mut self) {
        let total = self.pen.count(&self.slot).total;
        for (_, count) in self.around.iter_mut().chain(&mut self.aside) {
            *count = Count::fresh(count.total);
        }
        self.pen.boundary(&self.slot, Epoch(self.pen.epoch).next_pass(), self.phase, Count::fresh(total));
    }

    pub(super) fn phase(&mut self, phase: Phase, total: u64) {
        let job_open = self.phase.job_open();
        self.around.push((self.phase, self.pen.count(&self.slot)));
        let outermost = self.around[0];
        self.around.clear();
        if job_open && Phase::from_id(outermost.0.id()) == Phase::Inference {
            self.aside = Some(outermost);
        }
        let back = job_open && phase == Phase::Inference;
        let (flags, count) = match self.aside.filter(|_| back) {
            Some((word, count)) => (word.flags(), count),
            None => (self.next_flags(job_open), Count::fresh(if back { self.job_total } else { total })),
        };
        self.show(Epoch(self.pen.epoch), phase.id(), flags, count);
    }

    /// A section within the one that is shown.
    pub(super) fn enter(&mut self, phase: Phase, total: u64) {
        self.around.push((self.phase, self.pen.count(&self.slot)));
        let flags = self.next_flags(self.phase.job_open());
        self.show(Epoch(self.pen.epoch), phase.id(), flags, Count::fresh(total));
    }

    pub(super) fn leave(&mut self) {
        let (word, count) = self.around.pop().expect("a section is open");
        self.show(Epoch(self.pen.epoch), word.id(), word.flags(), count);
    }

    fn next_flags(&mut self, job_open: bool) -> u16 {
        self.section += 1;
        PhaseWord::flags_of(job_open, self.around.len() as u16, self.section)
    }

    fn show(&mut self, epoch: Epoch, phase: u16, flags: u16, count: Count) {
        if self.lease.ms() != 0 {
            self.publish_lease(0);
        }
        self.phase = PhaseWord::new(phase, flags, self.phase.entry().wrapping_add(1));
        self.pen.boundary(&self.slot, epoch, self.phase, count);
        self.beat();
    }

    pub(super) fn extend(&mut self, silence: Duration) {
        self.publish_lease(u64::try_from(silence.as_millis()).unwrap());
        self.beat();
    }

    fn publish_lease(&mut self, ms: u64) {
        self.lease = Lease::new(self.lease.seq().wrapping_add(1), ms);
        self.slot.publish_lease(self.lease);
    }

    /// What a monitor reads now.
    pub(super) fn snapshot(&self) -> SlotSnapshot {
        let hot = self.slot.read_hot().expect("a LIVE slot that nobody writes meanwhile");
        SlotSnapshot {
            index: 0,
            owner: hot.owner,
            hot: Some(hot),
            info: Some(Arc::new(self.info.clone())),
            user_phase: self.user.clone().map(Arc::new),
            probe: Probe {
                process: self.process,
                thread_gone: self.thread_gone,
                run_delay_ns: self.run_delay.map(|d| u64::try_from(d.as_nanos()).unwrap()),
            },
        }
    }

    /// A poll at the present instant.
    pub(super) fn poll(&mut self) -> Verdict {
        let snapshot = self.snapshot();
        self.observe(&snapshot)
    }

    /// A poll of the clock at the present instant.
    pub(super) fn tick(&mut self) -> Tick {
        let monotonic_ns = u64::try_from(self.now.as_nanos()).unwrap();
        self.clock.tick(&HostSnapshot { monotonic_ns, cpu_pressure_us: self.pressure_us, ..HostSnapshot::default() })
    }

    pub(super) fn observe(&mut self, snapshot: &SlotSnapshot) -> Verdict {
        let hot = snapshot.hot.as_ref().unwrap();
        let tick = self.tick();
        let track = match self.track.take() {
            Some(track) if track.owner() == hot.owner => self.track.insert(track),
            _ => self.track.insert(Track::new(hot, &tick)),
        };
        let seen = track.observe(snapshot, hot, &tick, &self.policy);
        let judged = judge(&seen, &self.policy, &self.hints);
        (self.seen, self.judged) = (Some(seen), Some(judged));
        judged.verdict
    }

    pub(super) fn seen(&self) -> &Observation {
        self.seen.as_ref().expect("a poll")
    }

    /// Lets time pass, with `act` before each poll. The last verdict.
    pub(super) fn live(&mut self, time: Duration, mut act: impl FnMut(&mut Self)) -> Verdict {
        let mut left = time;
        while left > POLL {
            self.now += POLL;
            left -= POLL;
            act(self);
            self.poll();
        }
        self.now += left;
        act(self);
        self.poll()
    }

    /// Lets time pass in which the worker does nothing.
    pub(super) fn wait(&mut self, time: Duration) -> Verdict {
        self.live(time, |_| {})
    }

    /// The rule's edge: a nanosecond before `budget` the verdict is `before`, at `budget` it is `at`, and `clock` proves it.
    #[track_caller]
    pub(super) fn edge(&mut self, clock: &str, budget: Duration, before: Verdict, at: Verdict, act: impl FnMut(&mut Self)) {
        self.edge_after(clock, budget, budget, before, at, act);
    }

    /// The same for an idle hand, where the clock has spent more or less than the time from now.
    #[track_caller]
    pub(super) fn edge_at(&mut self, clock: &str, time: Duration, budget: Duration, before: Verdict, at: Verdict) {
        self.edge_after(clock, time, budget, before, at, |_| {});
    }

    #[track_caller]
    pub(super) fn edge_after(
        &mut self,
        clock: &str,
        time: Duration,
        budget: Duration,
        before: Verdict,
        at: Verdict,
        mut act: impl FnMut(&mut Self),
    ) {
        assert_eq!(self.live(time - NS, &mut act), before, "a nanosecond before its budget of {budget:?} a clock accuses nobody");
        assert_eq!(self.live(NS, &mut act), at, "at its budget of {budget:?} a clock fires");
        let spent = self.judged.unwrap().spent.expect("the clock that proves it");
        let budget = u64::try_from(budget.as_nanos()).unwrap();
        assert_eq!((spent.clock, spent.age, spent.budget), (clock, budget, budget), "the proof names the clock that expired");
    }
}

/// Steps to the same unit, fails, loads again: each round beats, loads and advances as far as the one before.
pub(super) fn retries(load: impl Fn(&mut World), back: impl Fn(&mut World), poll_at_return: impl Fn(&mut World)) -> Verdict {
    let mut world = World::in_job(50);
    let mut verdict = Verdict::Ok;
    for _ in 0..6 {
        for done in 1..=3 {
            world.step(done);
            verdict = world.wait(s(1));
            if verdict != Verdict::Ok {
                return verdict;
            }
        }
        load(&mut world);
        world.poll();
        world.live(s(20), World::beat);
        back(&mut world);
        poll_at_return(&mut world);
    }
    verdict
}
