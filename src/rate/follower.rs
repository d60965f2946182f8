//! One slot's rate, from observation to observation.

use super::key::OwnKey;
use super::pace::Pace;
use super::shared::{Limits, Rates};
use crate::layout::word::Owner;
use crate::observe::{Age, Observation};

/// Gaps before anything is said: with them three advances were seen, and the first of them is cold.
const MIN_GAPS: u32 = 2;
/// Seconds, and polls, before anything is said.
const MIN_SECONDS: f64 = 5.0;
const MIN_POLLS: f64 = 5.0;
/// Gaps after which a count with no history is held against its own mean.
const OWN_GAPS: u32 = 20;
/// A share of a gap that was leased or stopped, and spoils it: a fifth cannot make a rate a third.
const SPOILT: u64 = 5;
/// The most of a second that starvation is taken to have cost.
const MOST_STARVED: f64 = 0.99;
/// Slow against the floor until it is passed by so much.
const FLOOR_LEFT: f64 = 1.25;
/// When one that is slow, held or starved is looked at again, in ns: its ETA grows, and starvation ends with no word of its.
const LOOK_AGAIN: u64 = 10_000_000_000;

/// Why a job is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Below what its like did before.
    Own,
    /// Below its peers, which work now.
    Peers,
    /// Below the configured floor.
    Floor,
}

/// A slow job. A warning, never a reason to act.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// Against what.
    pub why: Why,
    /// Units a second, as it is.
    pub rate: f64,
    /// Units a second, as it should be.
    pub expected: f64,
    /// Seconds to the total at this rate; `None` where the total is not known.
    pub eta_s: Option<f64>,
}

/// Time in the phase, as its age tells it: it shows what was excused since, whoever was looking meanwhile.
#[derive(Debug, Clone, Copy, Default)]
struct Instant {
    now: u64,
    age: Age,
}

/// Time between two of them, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Between {
    counted: f64,
    /// How much of it the worker was starved for.
    starved: f64,
}

impl Instant {
    fn of(o: &Observation) -> Self {
        Self { now: o.now, age: o.ages.phase }
    }

    /// Time from `self` to `later`; `None` where too much of it was leased or stopped.
    fn to(&self, later: &Self) -> Option<Between> {
        let real = later.age.real.checked_sub(self.age.real)?;
        let counted = later.age.counted.saturating_sub(self.age.counted).min(real);
        let judged = later.age.judged.saturating_sub(self.age.judged).min(counted);
        let between = Between { counted: seconds(counted), starved: seconds(counted - judged) };
        (real == 0 || real - counted < real.div_ceil(SPOILT)).then_some(between)
    }
}

/// What is counted without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    owner: Owner,
    job: Option<u32>,
    pass: u16,
    phase: u16,
    section: u16,
}

/// A level and why it is one.
#[derive(Debug, Clone, Copy)]
struct Level {
    why: Why,
    expected: f64,
    begins_below: f64,
    ends_at: f64,
}

/// Follows the rate of one slot.
#[derive(Debug, Clone, Default)]
pub struct RateFollower {
    count: Option<Count>,
    key: Option<OwnKey>,
    pace: Pace,
    /// The highest that was seen, and when.
    mark: Option<(u64, Instant)>,
    rate: Option<f64>,
    due: Option<u64>,
    said: Option<Slow>,
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl RateFollower {
    /// Nothing is known of the slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in an observation and says whether the job is slow.
    pub fn observe(&mut self, o: &Observation, rates: &mut Rates, limits: &Limits) -> Option<Slow> {
        self.follow_count(o, rates);
        let Some(done) = o.done else {
            (self.said, self.due) = (None, None);
            return None;
        };
        let here = Instant::of(o);
        let advanced = self.take_progress(o, done, here, rates, limits);
        let silent = self.mark.and_then(|(_, since)| since.to(&here));
        self.rate = (self.pace.gaps() > 0).then(|| self.pace.rate_after(silent.unwrap_or_default().counted));
        if o.total.is_some_and(|total| done >= total) {
            // What comes after the last unit is not counted in units.
            rates.peers.leave(o.index);
            (self.said, self.due) = (None, None);
            return None;
        }
        let held = o.lease_left.is_some() || o.probe.process.is_held();
        let is_due = advanced || self.due.is_some_and(|due| o.now >= due);
        // Nothing else may be judged: who is shown every poll must come to the same as who is shown the changes.
        if is_due || held && self.said.is_some() {
            let after = |ns| Some(o.now.saturating_add(ns));
            match silent.filter(|_| !held) {
                _ if rates.is_gap(o.now) => self.due = after(1),
                Some(silent) => self.judge(o, silent, rates, limits),
                None => (self.said, self.due) = (None, after(o.lease_left.unwrap_or(LOOK_AGAIN))),
            }
        }
        self.said
    }

    /// Its slot is nobody's any more.
    pub fn leave(&self, index: u32, rates: &mut Rates) {
        rates.peers.leave(index);
    }

    /// Units a second of this count, as last observed.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Whether enough was seen of this count to call it slow, or to say that it is not.
    pub fn can_judge(&self, limits: &Limits) -> bool {
        self.pace.gaps() >= MIN_GAPS && self.pace.seconds() >= least_seconds(limits)
    }

    /// Seconds to the known total.
    pub fn eta(&self, o: &Observation) -> Option<f64> {
        eta(o, self.rate?)
    }

    /// The monitor's clock at which it wants to be shown the slot though nothing in it changed: a job that did ten units a
    /// second and takes ever longer for the next is slow before that one ends.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Another owner, job, pass or section: the last count has ended. A fall is no new count: it stands below its mark until
    /// it passes it.
    fn follow_count(&mut self, o: &Observation, rates: &mut Rates) {
        let count = Count { owner: o.owner, job: o.job, pass: o.pass, phase: o.phase.id(), section: o.section };
        if self.count == Some(count) {
            return;
        }
        // Another owner has no history: the count that it found was cut short.
        if let Some((key, was)) = self.key.zip(self.count)
            && was.owner == o.owner
            && self.pace.gaps() >= MIN_GAPS
        {
            rates.learn(key, &self.pace);
        }
        rates.peers.leave(o.index);
        *self = Self { count: Some(count), ..Self::default() };
    }

    /// Whether it has advanced. Only a gap of which all counts is evidence.
    fn take_progress(&mut self, o: &Observation, done: u64, here: Instant, rates: &mut Rates, limits: &Limits) -> bool {
        let Some((mark, since)) = self.mark else {
            // The first unit is cold: the rate counts from here.
            self.mark = Some((done, here));
            return false;
        };
        if done <= mark {
            if here.age.real < since.age.real {
                // A former age came back with the section, or the clock is garbage: time counts from here.
                self.mark = Some((mark, here));
            }
            return false;
        }
        self.mark = Some((done, here));
        self.key = self.key.or_else(|| OwnKey::of(o));
        match since.to(&here).filter(|between| between.counted > 0.0 && !rates.gap_since(since.now)) {
            Some(Between { counted, starved }) => {
                self.pace.advance((done - mark) as f64, counted, starved, least_seconds(limits));
            }
            None => return true,
        }
        if let Some(key) = self.key.filter(|_| self.pace.gaps() >= MIN_GAPS) {
            rates.peers.sit(o.index, key.key, self.pace, o.now);
        }
        true
    }

    fn judge(&mut self, o: &Observation, since: Between, rates: &Rates, limits: &Limits) {
        let silent = since.counted;
        self.due = None;
        let was = self.said.take();
        if self.pace.gaps() < MIN_GAPS {
            return;
        }
        let in_s = |s: f64| Some(o.now.saturating_add(((s - silent).max(0.001) * 1e9).ceil() as u64));
        let missing = least_seconds(limits) - self.pace.seconds();
        if silent < missing {
            self.due = in_s(missing);
            return;
        }
        let rate = self.pace.rate_after(silent);
        // What it would do were it not starved: another verdict says that it is.
        let fed = rate / (1.0 - self.pace.starved_after(silent, since.starved).min(MOST_STARVED));
        let levels = self.levels(o, rates, limits);
        let below = |level: &&Level| fed < if was.is_some() { level.ends_at } else { level.begins_below };
        let same = levels.iter().flatten().find(|level| was.is_some_and(|was| was.why == level.why)).filter(below);
        if let Some(level) = same.or_else(|| levels.iter().flatten().find(below)) {
            self.said = Some(Slow { why: level.why, rate, expected: level.expected, eta_s: eta(o, rate) });
            self.due = Some(o.now.saturating_add(LOOK_AGAIN));
        } else {
            let next =
                levels.iter().flatten().map(|level| self.pace.silence_to(level.begins_below)).fold(f64::INFINITY, f64::min);
            // Past the silence at which it would be slow: starvation alone keeps it from being called so.
            let next = if next > silent { next } else { silent + seconds(LOOK_AGAIN) };
            self.due = next.is_finite().then(|| in_s(next)).flatten();
        }
    }

    /// What is expected of it, where anything is.
    fn levels(&self, o: &Observation, rates: &Rates, limits: &Limits) -> [Option<Level>; 3] {
        let own = self.key.and_then(|key| rates.expected(&key));
        let own = own.or_else(|| self.pace.mean().filter(|_| self.pace.gaps() >= OWN_GAPS));
        let peers = self.key.and_then(|key| rates.peers.expected(o.index, key.key, o.now));
        let floor = o.total.map(|total| total as f64 * limits.floor / 100.0 / 60.0);
        let by_factor = |why, expected: f64| {
            let begins_below = expected / limits.factor;
            let holds = limits.factor >= 1.0 && begins_below > 0.0;
            holds.then_some(Level { why, expected, begins_below, ends_at: (begins_below + expected) / 2.0 })
        };
        [
            own.and_then(|expected| by_factor(Why::Own, expected)),
            peers.and_then(|expected| by_factor(Why::Peers, expected)),
            floor.filter(|floor| *floor > 0.0 && floor.is_finite()).map(|floor| Level {
                why: Why::Floor,
                expected: floor,
                begins_below: floor,
                ends_at: floor * FLOOR_LEFT,
            }),
        ]
    }
}

/// The shortest time that a rate may rest on.
fn least_seconds(limits: &Limits) -> f64 {
    MIN_SECONDS.max(MIN_POLLS * seconds(limits.poll_ns))
}

fn eta(o: &Observation, rate: f64) -> Option<f64> {
    super::mean::eta(o.done?, o.total?, rate)
}
