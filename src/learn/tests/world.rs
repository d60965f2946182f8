//! One worker's words, one monitor, and a time that passes only when it is told to.

use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::phase::{Class, FIRST_USER_ID, Phase};
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::user_phase::UserPhase;
use crate::layout::word::{Beat, Epoch, Kind, Lease, Owner, PhaseWord, Tag};
use crate::learn::{Follower, Key, Learnt, Part, Row, Suspicion};
use crate::observe::{PollClock, Tick, Track};
use crate::policy::Policy;
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use std::sync::Arc;
use std::time::Duration;

pub(super) const MS: u64 = 1_000_000;
pub(super) const S: u64 = 1000 * MS;
pub(super) const POLL: u64 = S;
/// A phase of the worker's own, without a ceiling or a floor of its own.
pub(super) const DENOISE: Phase = Phase::User(0);

pub(super) struct World {
    pub(super) words: HotWords,
    pub(super) info: Info,
    pub(super) process: Process,
    pub(super) run_delay: Option<u64>,
    pub(super) learnt: Learnt,
    pub(super) follower: Follower,
    pub(super) suspicion: Option<Suspicion>,
    /// Whether the slot is looked at only where something in it changed or it is due.
    pub(super) lazy: bool,
    pub(super) looks: u64,
    pub(super) tick: Tick,
    /// How long the machine was suspended so far.
    pub(super) suspended: u64,
    clock: PollClock,
    at: u64,
    seen: Option<HotWords>,
    track: Option<Track>,
}

impl World {
    /// A worker that has just claimed, of a monitor that has been there before.
    pub(super) fn new() -> Self {
        let owner = Owner::new(1, Tag::Live, Kind::Worker, 4821);
        let words = HotWords {
            owner,
            beat: Beat::start(1),
            epoch: Epoch(0),
            phase: PhaseWord::default(),
            progress: NO_PROGRESS,
            total: TOTAL_NONE,
            lease: Lease::default(),
            alive: Beat::start(1),
            stamp_ns: 0,
            progress_stamp_ns: 0,
        };
        let mut clock = PollClock::new(Duration::from_nanos(POLL), 0);
        clock.tick(&HostSnapshot { monotonic_ns: 100 * S, boottime_ns: 100 * S, ..HostSnapshot::default() });
        let info = Info { model: "sdxl".into(), size: 512, batch: 2, ..Info::default() };
        let mut world = Self {
            words,
            info,
            process: Process::Running,
            run_delay: None,
            learnt: Learnt::new(),
            follower: Follower::default(),
            suspicion: None,
            lazy: false,
            looks: 0,
            tick: Tick::default(),
            suspended: 0,
            clock,
            at: 100 * S,
            seen: None,
            track: None,
        };
        world.poll();
        world
    }

    /// In a job's denoising, whose first step has been seen.
    pub(super) fn denoising() -> Self {
        let mut world = Self::new();
        world.begin_job(DENOISE, 1 << 40);
        world.poll();
        world.step(1);
        world.poll();
        world
    }

    /// Another owner begins the same job; the gap of its first step is nobody's lesson.
    pub(super) fn begin_again(&mut self) {
        self.claim_anew();
        self.poll();
        self.begin_job(DENOISE, 1 << 40);
        self.poll();
        self.follower.episode();
        self.advance();
        self.poll();
    }

    /// Another owner in the slot.
    pub(super) fn claim_anew(&mut self) {
        let generation = self.words.owner.generation() + 1;
        self.words = HotWords {
            owner: Owner::new(generation, Tag::Live, Kind::Worker, 4822),
            beat: Beat::start(generation),
            alive: Beat::start(generation),
            epoch: Epoch(0),
            phase: PhaseWord::default(),
            progress: NO_PROGRESS,
            total: TOTAL_NONE,
            ..self.words
        };
    }

    pub(super) fn beat(&mut self) {
        self.words.beat = Beat(self.words.beat.0 + 1);
    }

    pub(super) fn alive(&mut self) {
        self.words.alive = Beat(self.words.alive.0 + 1);
    }

    pub(super) fn step(&mut self, done: u64) {
        self.words.progress = done;
        self.beat();
    }

    /// One step more.
    pub(super) fn advance(&mut self) {
        let done = if self.words.progress == NO_PROGRESS { 0 } else { self.words.progress };
        self.step(done + 1);
    }

    pub(super) fn enter(&mut self, phase: Phase, total: u64) {
        let word = self.words.phase;
        self.words.phase = PhaseWord::new(phase.id(), word.flags(), word.entry().wrapping_add(1));
        (self.words.progress, self.words.total) = (NO_PROGRESS, total);
        self.beat();
    }

    pub(super) fn begin_job(&mut self, phase: Phase, total: u64) {
        self.words.epoch = self.words.epoch.next_job();
        self.info.job = self.words.epoch.job();
        self.words.phase = PhaseWord::new(0, PhaseWord::JOB_OPEN, self.words.phase.entry());
        self.enter(phase, total);
    }

    pub(super) fn end_job(&mut self) {
        self.words.phase = PhaseWord::new(0, 0, self.words.phase.entry());
        self.enter(Phase::Idle, TOTAL_NONE);
    }

    pub(super) fn lease(&mut self, ms: u64) {
        self.words.lease = Lease::new(self.words.lease.seq() + 1, ms);
        self.beat();
    }

    /// A poll after the usual interval.
    pub(super) fn poll(&mut self) -> bool {
        self.poll_after(POLL)
    }

    /// A poll after so many ns; whether the worker is suspect at it.
    pub(super) fn poll_after(&mut self, passed: u64) -> bool {
        self.at += passed;
        self.tick = self.clock.tick(&HostSnapshot {
            monotonic_ns: self.at,
            boottime_ns: self.at + self.suspended,
            ..HostSnapshot::default()
        });
        self.learnt.begin(&self.tick);
        let is_due = self.follower.due().is_some_and(|due| due <= self.tick.now);
        if !self.lazy || is_due || self.seen != Some(self.words) {
            self.look();
        }
        self.suspicion.is_some()
    }

    fn look(&mut self) {
        let user_phase = (self.words.phase.id() >= FIRST_USER_ID)
            .then(|| Arc::new(UserPhase { index: 0, class: Class::Work, budget_ns: 0, name: "denoise".into() }));
        let snapshot = SlotSnapshot {
            index: 0,
            owner: self.words.owner,
            hot: Some(self.words),
            info: Some(Arc::new(self.info.clone())),
            user_phase,
            probe: Probe { process: self.process, run_delay_ns: self.run_delay, ..Probe::default() },
        };
        let track = match self.track.take() {
            Some(track) if track.owner() == self.words.owner => self.track.insert(track),
            _ => self.track.insert(Track::new(&self.words, &self.tick)),
        };
        let observation = track.observe(&snapshot, &self.words, &self.tick, &Policy::default());
        self.suspicion = self.follower.observe(&observation, &self.tick, &mut self.learnt);
        self.seen = Some(self.words);
        self.looks += 1;
    }

    /// So many polls in which nothing happens; whether the worker is suspect at the last.
    pub(super) fn wait(&mut self, polls: u64) -> bool {
        (0..polls).fold(self.suspicion.is_some(), |_, _| self.poll())
    }

    /// So many steps, each after so many polls.
    pub(super) fn steps(&mut self, count: u64, polls: u64) {
        for _ in 0..count {
            self.wait(polls - 1);
            self.advance();
            self.poll();
        }
    }

    /// After how many polls of silence the worker becomes suspect.
    pub(super) fn polls_until_suspect(&mut self) -> u64 {
        (1..10_000).find(|_| self.poll()).expect("a silence without an end is suspect")
    }

    /// What is known of a part, by model and size; the worker's start, which every world has seen, is left out.
    pub(super) fn rows(&self, part: Part) -> Vec<Row> {
        let is_asked = |row: &Row| row.key.part == part && !row.key.is_summary() && row.key.phase != "starting";
        self.learnt.rows().into_iter().filter(is_asked).collect()
    }

    /// The only row of its part.
    #[track_caller]
    pub(super) fn row(&self, part: Part) -> Row {
        let rows = self.rows(part);
        assert_eq!(rows.len(), 1, "one key of that part: {rows:?}");
        rows.into_iter().next().unwrap()
    }

    pub(super) fn samples(&self, part: Part) -> u64 {
        self.rows(part).iter().map(|row| row.samples).sum()
    }

    /// The threshold of the only row of its part, in ns.
    #[track_caller]
    pub(super) fn threshold(&self, part: Part) -> u64 {
        self.row(part).threshold.expect("enough gaps for a threshold")
    }
}

/// All thresholds, by key.
pub(super) fn thresholds(learnt: &Learnt) -> Vec<(Key, Option<u64>)> {
    learnt.rows().into_iter().map(|row| (row.key, row.threshold)).collect()
}
