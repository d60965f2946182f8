//! Workers that step at a set rate, and a monitor that polls them once a second.

use crate::layout::info::{Info, NO_DEVICE};
use crate::layout::phase::Phase;
use crate::layout::word::{Kind, Owner, Tag};
use crate::observe::{Age, Ages, Observation, Tick};
use crate::rate::{Limits, RateFollower, Rates, Slow, Why};
use crate::snapshot::{Probe, Process};
use std::sync::Arc;

pub(super) const S: u64 = 1_000_000_000;
pub(super) const LIMITS: Limits = Limits { factor: 3.0, floor: 0.0, poll_ns: S };

/// One slot and the worker in it.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) o: Observation,
    pub(super) follower: RateFollower,
    pub(super) said: Option<Slow>,
    /// Units a second.
    pub(super) rate: f64,
    units: f64,
    /// How long it has been in its phase, and how much of that is excused, and starved.
    real: u64,
    excused: u64,
    pub(super) starved: u64,
}

impl Actor {
    pub(super) fn new(index: u32, rate: f64) -> Self {
        let info = Info { model: "sdxl".into(), device: NO_DEVICE, ..Info::default() };
        let o = Observation {
            now: 0,
            index,
            owner: Owner::new(1, Tag::Live, Kind::Worker, 4821),
            phase: Phase::Inference,
            user_phase: None,
            section: 1,
            job: Some(1),
            pass: 0,
            done: None,
            total: Some(1_000_000),
            ever_beat: true,
            foreign: false,
            unkillable: None,
            fell_back: false,
            lease_left: None,
            ages: Ages::default(),
            info: Some(Arc::new(info)),
            probe: Probe { process: Process::Running, ..Probe::default() },
        };
        Self { o, follower: RateFollower::new(), said: None, rate, units: 0.0, real: 0, excused: 0, starved: 0 }
    }

    /// Says more of the job.
    pub(super) fn about(mut self, about: impl FnOnce(&mut Info)) -> Self {
        about(Arc::make_mut(self.o.info.as_mut().expect("set above")));
        self
    }

    pub(super) fn next_job(&mut self) {
        self.o.job = self.o.job.map(|job| job + 1);
        self.o.pass = 0;
        self.begin_count();
    }

    pub(super) fn next_pass(&mut self) {
        self.o.pass += 1;
        self.begin_count();
    }

    /// A new count, with no progress yet.
    fn begin_count(&mut self) {
        self.o.section += 1;
        (self.o.done, self.units, self.real, self.excused, self.starved) = (None, 0.0, 0, 0, 0);
    }

    /// Works for `ns`, so much of it excused.
    pub(super) fn work(&mut self, ns: u64, excused: u64) {
        self.real += ns;
        self.excused += excused;
        self.units += self.rate * (ns as f64 / S as f64);
        // A fifth five times is a unit.
        let whole = (self.units + 1e-6) as u64;
        if whole >= 1 {
            self.o.done = Some(whole.min(self.o.total.unwrap_or(u64::MAX - 1)));
        }
    }

    /// What a monitor sees of it at `now`.
    pub(super) fn seen(&mut self, now: u64) -> &Observation {
        self.o.now = now;
        let counted = self.real - self.excused;
        self.o.ages.phase = Age { real: self.real, counted, judged: counted - self.starved.min(counted) };
        &self.o
    }

    pub(super) fn show(&mut self, now: u64, rates: &mut Rates, limits: &Limits) -> Option<Slow> {
        self.seen(now);
        self.said = self.follower.observe(&self.o, rates, limits);
        self.said
    }

    pub(super) fn why(&self) -> Option<Why> {
        self.said.map(|slow| slow.why)
    }
}

/// All slots and their monitor.
pub(super) struct Stage {
    pub(super) rates: Rates,
    pub(super) limits: Limits,
    pub(super) now: u64,
    pub(super) actors: Vec<Actor>,
}

impl Stage {
    pub(super) fn of(actors: Vec<Actor>) -> Self {
        Self { rates: Rates::new(), limits: LIMITS, now: 100 * S, actors }
    }

    /// One worker on the stage.
    pub(super) fn solo(rate: f64) -> Self {
        Self::of(vec![Actor::new(0, rate)])
    }

    /// `n` workers at these rates.
    pub(super) fn at(rates: &[f64]) -> Self {
        Self::of(rates.iter().zip(0..).map(|(rate, index)| Actor::new(index, *rate)).collect())
    }

    pub(super) fn tick(&mut self, gap: bool) {
        self.now += S;
        self.rates.begin(&Tick { now: self.now, grew: S, passed: S, gap, ..Tick::default() });
    }

    /// So many polls, a second apart; whether the first worker was slow at any.
    pub(super) fn polls(&mut self, polls: u64) -> bool {
        let mut slow = false;
        for _ in 0..polls {
            self.tick(false);
            for actor in &mut self.actors {
                actor.work(S, 0);
                actor.show(self.now, &mut self.rates, &self.limits);
            }
            slow |= self.actors[0].said.is_some();
        }
        slow
    }

    /// Jobs of 60 s each by all workers: their history.
    pub(super) fn jobs(&mut self, jobs: usize) {
        for _ in 0..jobs {
            self.polls(60);
            self.actors.iter_mut().for_each(Actor::next_job);
        }
    }

    pub(super) fn first(&mut self) -> &mut Actor {
        &mut self.actors[0]
    }
}
