//! One slot's: what is being timed now, and whether it has taken too long.
//!
//! Two things are timed. **Progress**: from a phase's entry over each advance of its count (each beat, where the phase reports
//! no count) to its end. **Alive**: between the beats of a helper thread, where one speaks; a step is a sign of life there too.
//!
//! Slots are looked at when something in them changed or when [`Follower::due`] says so, and never else, so nothing here counts
//! calls: a gap is a difference of the monitor's clock, and its threshold is fixed when it opens. What ended it is seen up to a
//! poll late, and several steps may have been made in that poll: of `k` they are taken to lie at even distances in it. Up to 16
//! of them count, for a load that counts bytes would outweigh all else by their number.
//!
//! Not learnt: a gap whose beginning or whose end was not seen; one in which an acting episode opened; one in which the worker
//! was stopped, traced or under a lease; one in which a poll was more than a second late, or the machine was suspended. A gap
//! that was suspected and ended by itself is learnt: it is what shows that a threshold is too small.

use super::key::{Key, Part, bucket, is_timed, phase_name, waits};
use super::scheme::LONE;
use super::shapes::{self, Shape, Shapes};
use super::store::Learnt;
use super::timer::{RunDelay, Timer};
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::word::Owner;
use crate::observe::{Observation, Tick};
use std::sync::Arc;

/// A silence has lasted longer than what was learnt allows. Ages are in ns of the monitor's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// How long it has lasted: without the time that is excused, and without what the worker waited for a CPU.
    pub age: u64,
    /// What it has passed.
    pub threshold: u64,
    /// What it has to pass before anybody may act on it.
    pub acts_at: u64,
    /// How many gaps the threshold rests on; 0 where it is the ceiling for what nothing is known of.
    pub samples: u64,
    /// What is timed.
    pub key: Arc<Key>,
}

impl Suspicion {
    /// Whether it has lasted long enough to act on, where a policy allows it at all.
    pub fn may_act(&self) -> bool {
        self.age >= self.acts_at
    }
}

/// Which phase of which job, and since when.
type Place = (Option<u32>, Phase, u64);

/// What one slot's silence is timed by.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    owner: Option<Owner>,
    place: Option<Place>,
    info: Option<Arc<Info>>,
    /// The keys of this place, made when they are first needed.
    keys: [Option<Arc<Key>>; Part::ALL.len()],
    shape: Shape,
    done: Option<u64>,
    /// When progress was last seen to advance, or the working thread to beat where it reports none.
    sign: u64,
    alive_sign: u64,
    shapes: Shapes,
    /// A cold gap was long since the last load: a compiler is at work, and what it looks at is more than a size and a batch.
    compiles: bool,
    run_delay: RunDelay,
    progress: Option<Timer>,
    alive: Option<Timer>,
    now: u64,
}

impl Follower {
    /// Takes in a look at the slot. `learnt` must have been told of the poll.
    pub fn observe(&mut self, o: &Observation, tick: &Tick, learnt: &mut Learnt) -> Option<Suspicion> {
        let first_sight = self.owner != Some(o.owner);
        if first_sight {
            *self = Self { owner: Some(o.owner), ..Self::default() };
        }
        self.now = o.now;
        self.run_delay.read(o.probe.run_delay_ns, o.now, [&mut self.progress, &mut self.alive]);
        let place = (o.job, o.phase, o.now.saturating_sub(o.ages.phase.real));
        if self.place == Some(place) {
            self.timers().for_each(|timer| timer.excuse(excused(o)));
            self.take_info(o, learnt);
            self.advance(o, tick, learnt);
        } else {
            self.place = Some(place);
            // A claim that was seen to appear began in this poll; anything else may be older.
            self.enter(o, tick, learnt, !first_sight || o.ages.claim.real == 0 && tick.passed > 0);
        }
        self.follow_alive(o, learnt);
        if o.lease_left.is_some() || o.probe.process.is_held() {
            self.episode();
        }
        self.timers().for_each(|timer| timer.judge(o.now, tick));
        self.suspicion()
    }

    /// When the slot has to be looked at though nothing in it changed, by the monitor's clock; `None` where nothing more can
    /// come of it.
    pub fn due(&self) -> Option<u64> {
        [&self.progress, &self.alive].into_iter().flatten().filter_map(|timer| timer.due(self.now)).min()
    }

    /// Whether half of a threshold has passed: then it is worth a look what the worker's process does.
    pub fn is_past_half(&self) -> bool {
        [&self.progress, &self.alive].into_iter().flatten().any(Timer::is_past_half)
    }

    /// An acting episode opened: what is being timed is never learnt.
    pub fn episode(&mut self) {
        self.timers().for_each(Timer::spoil);
    }

    /// hangwatch killed the worker because of the suspicion: its threshold doubles until a gap of its key completes.
    pub fn acted(&mut self, learnt: &mut Learnt) {
        self.episode();
        if let Some(suspicion) = self.suspicion() {
            learnt.acted(&suspicion.key);
        }
    }

    /// What the latest look left: the graver of the two.
    pub fn suspicion(&self) -> Option<Suspicion> {
        let of = |timer: &Option<Timer>| timer.as_ref().and_then(Timer::suspicion);
        match (of(&self.progress), of(&self.alive)) {
            (Some(progress), Some(alive)) if alive.may_act() && !progress.may_act() => Some(alive),
            (progress, alive) => progress.or(alive),
        }
    }

    fn timers(&mut self) -> impl Iterator<Item = &mut Timer> {
        [&mut self.progress, &mut self.alive].into_iter().flatten()
    }

    /// Another phase or job: what was timed has ended, and the first gap here opens.
    fn enter(&mut self, o: &Observation, tick: &Tick, learnt: &mut Learnt, whole: bool) {
        let sign = sign(o);
        // Progress that came back with its phase was not made in it.
        let stepped = whole && sign == o.now && o.ages.progress.is_some() && o.done.is_some();
        let steps = if stepped { o.done.unwrap_or(0).max(1) } else { 0 };
        self.end(tick, steps.saturating_add(1), learnt);
        self.alive = None;
        self.keys = Default::default();
        (self.done, self.sign, self.info, self.shape) = (o.done, sign, o.info.clone(), shape(o));
        if o.phase == Phase::Loading {
            (self.shapes, self.compiles) = (Shapes::default(), false);
        }
        if !is_timed(o) {
            return;
        }
        if stepped {
            self.progress = Some(self.open(self.first_part(o), o, learnt));
            self.end(tick, steps, learnt);
            self.progress = Some(self.open(next_part(o), o, learnt));
        } else if whole {
            self.progress = Some(self.open(self.first_part(o), o, learnt));
        } else {
            let part = if o.done.is_some() { next_part(o) } else { self.first_part(o) };
            let mut timer = self.open(part, o, learnt);
            timer.began_before(o.now.saturating_sub(silence(o)));
            self.progress = Some(timer);
        }
    }

    fn first_part(&self, o: &Observation) -> Part {
        if may_compile(o) && !self.shapes.has_met(self.shape) { Part::Cold } else { Part::First }
    }

    /// The record of what is worked on can come after the phase's entry.
    fn take_info(&mut self, o: &Observation, learnt: &Learnt) {
        if self.info == o.info {
            return;
        }
        self.info.clone_from(&o.info);
        self.shape = shape(o);
        self.keys = Default::default();
        let Some(part) = self.progress.as_ref().map(|timer| timer.key.part) else { return };
        let part = if matches!(part, Part::Cold | Part::First) { self.first_part(o) } else { part };
        let renamed = self.open(part, o, learnt);
        self.progress.as_mut().expect("it was there").rename(renamed);
    }

    /// The same phase of the same job: has progress advanced?
    fn advance(&mut self, o: &Observation, tick: &Tick, learnt: &mut Learnt) {
        let sign = sign(o);
        if sign <= self.sign || !is_timed(o) {
            return;
        }
        let steps = match (o.done, self.done) {
            (Some(done), Some(former)) => done.saturating_sub(former).max(1),
            (done, _) => done.unwrap_or(0).max(1),
        };
        (self.done, self.sign) = (o.done, sign);
        self.end(tick, steps, learnt);
        self.progress = Some(self.open(next_part(o), o, learnt));
    }

    /// What was timed has ended, in this poll, with the first of so many steps.
    fn end(&mut self, tick: &Tick, steps: u64, learnt: &mut Learnt) {
        let Some(timer) = self.progress.take() else { return };
        let part = timer.key.part;
        let gap = timer.end(tick, steps, learnt);
        if matches!(part, Part::Cold | Part::First) {
            self.shapes.meet(self.shape);
        }
        self.compiles |= part == Part::Cold && gap > LONE;
    }

    fn open(&mut self, part: Part, o: &Observation, learnt: &Learnt) -> Timer {
        let timer = Timer::open(self.key(part, o), o.now, excused(o), learnt);
        let may_be_cold = part == Part::First && self.compiles && may_compile(o);
        if may_be_cold { timer.or_cold(self.key(Part::Cold, o), learnt) } else { timer }
    }

    fn key(&mut self, part: Part, o: &Observation) -> Arc<Key> {
        self.keys[part as usize].get_or_insert_with(|| Arc::new(key(part, o))).clone()
    }

    /// A helper's beats are timed from the phase's entry. What the working thread does is a sign of life here too, and ends no
    /// gap of the helper's.
    fn follow_alive(&mut self, o: &Observation, learnt: &mut Learnt) {
        let Some(alive) = o.ages.alive.filter(|_| is_timed(o)) else {
            self.alive = None;
            return;
        };
        let at = o.now.saturating_sub(alive.real);
        let spoke = at > self.alive_sign;
        self.alive_sign = at;
        match self.alive.take() {
            Some(timer) if spoke => {
                timer.end_at(at, learnt);
                self.alive = Some(self.open(Part::Alive, o, learnt));
            }
            Some(mut timer) => {
                timer.heard(o.now.saturating_sub(o.ages.heartbeat.real));
                self.alive = Some(timer);
            }
            None => self.alive = Some(self.open(Part::Alive, o, learnt)),
        }
    }
}

/// Whether a first meeting of a shape can take long here.
fn may_compile(o: &Observation) -> bool {
    o.job.is_some() && !waits(&phase_name(o))
}

/// When the latest sign of progress in this phase was seen: of a count that is reported, else of the working thread.
fn sign(o: &Observation) -> u64 {
    o.now.saturating_sub(o.ages.progress.unwrap_or(o.ages.beat).min(o.ages.phase).real)
}

/// How long it is silent, without what is excused.
fn silence(o: &Observation) -> u64 {
    o.ages.progress.unwrap_or(o.ages.beat).min(o.ages.phase).counted
}

/// How much of the phase is excused so far.
fn excused(o: &Observation) -> u64 {
    o.ages.phase.real.saturating_sub(o.ages.phase.counted)
}

/// What follows a sign of progress.
fn next_part(o: &Observation) -> Part {
    let at_the_end = o.total.is_some_and(|total| o.done.is_some_and(|done| done >= total));
    if at_the_end { Part::Tail } else { Part::Rest }
}

fn work(o: &Observation) -> (&str, u64, u64) {
    o.info.as_ref().map_or(("", 0, 0), |info| (info.model.as_str(), info.size, info.batch))
}

fn shape(o: &Observation) -> Shape {
    let (model, size, batch) = work(o);
    shapes::shape(o.phase.id(), model, size, batch)
}

fn key(part: Part, o: &Observation) -> Key {
    let (model, size, batch) = work(o);
    let phase = phase_name(o);
    // A model is loaded alike whatever the job.
    let bucket = if waits(&phase) { 0 } else { bucket(size, batch) };
    match part {
        Part::Alive => Key::new(phase, part, 0, String::new()),
        _ => Key::new(phase, part, bucket, model.into()),
    }
}
