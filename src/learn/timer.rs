//! One gap, from its opening to its end, and the run delay that is not counted as silence.

use super::entry::Gap;
use super::follower::Suspicion;
use super::key::Key;
use super::scheme::Limit;
use super::store::Learnt;
use crate::observe::Tick;
use std::sync::Arc;

/// So many further steps of one poll count: bytes of a load must not outweigh all else by their number.
const MOST_FURTHER: u64 = 15;

/// A gap that is open. Instants are of the monitor's clock.
#[derive(Debug, Clone)]
pub(super) struct Timer {
    pub(super) key: Arc<Key>,
    limit: Limit,
    /// What it is if it lasts longer than this.
    or_cold: Option<(Arc<Key>, u64)>,
    /// When it opened.
    from: u64,
    /// Since when there was no sign of life.
    quiet: u64,
    /// How much of the phase was excused at `quiet`, and how much is now.
    excused_before: u64,
    excused: u64,
    /// How long the worker has waited for a CPU since `quiet`.
    delay: u64,
    spoiled: bool,
    /// The longest counted silence so far: what a late reading of the run delay takes back is not forgotten.
    age: u64,
    fired: bool,
}

impl Timer {
    /// Its threshold is fixed here, so that it does not depend on how often the slot is looked at.
    pub(super) fn open(key: Arc<Key>, now: u64, excused: u64, learnt: &Learnt) -> Self {
        let limit = learnt.limit(&key);
        Self {
            key,
            limit,
            or_cold: None,
            from: now,
            quiet: now,
            excused_before: excused,
            excused,
            delay: 0,
            spoiled: false,
            age: 0,
            fired: false,
        }
    }

    /// It turns out to be another key's gap.
    pub(super) fn rename(&mut self, other: Self) {
        (self.key, self.limit, self.or_cold) = (other.key, other.limit, other.or_cold);
    }

    /// It may also turn out to be a cold one, of that key, and may last as long.
    pub(super) fn or_cold(mut self, cold: Arc<Key>, learnt: &Learnt) -> Self {
        let limit = learnt.limit(&cold);
        if limit.at > self.limit.at {
            self.or_cold = Some((cold, std::mem::replace(&mut self.limit, limit).at));
        }
        self
    }

    /// It opened before anybody looked: its length is not known, its silence is.
    pub(super) fn began_before(&mut self, quiet: u64) {
        self.quiet = quiet.min(self.quiet);
        self.spoil();
    }

    /// A sign of life that does not end the gap.
    pub(super) fn heard(&mut self, at: u64) {
        if at > self.quiet {
            (self.quiet, self.excused_before, self.delay, self.age, self.fired) = (at, self.excused, 0, 0, false);
        }
    }

    /// It is never learnt.
    pub(super) fn spoil(&mut self) {
        self.spoiled = true;
    }

    /// How much of the phase is excused by now.
    pub(super) fn excuse(&mut self, excused: u64) {
        self.excused = self.excused.max(excused);
    }

    fn silence(&self, now: u64) -> u64 {
        now.saturating_sub(self.quiet).saturating_sub(self.excused - self.excused_before)
    }

    fn counted(&self, now: u64) -> u64 {
        without_delay(self.silence(now), self.delay)
    }

    /// It ended by itself, in the poll of `tick`, with the first of `steps` that the poll saw. How long it was: what of it was run
    /// delay is the worker's usual lot, and counts.
    pub(super) fn end(self, tick: &Tick, steps: u64, learnt: &mut Learnt) -> u64 {
        let whole = tick.now.saturating_sub(self.from);
        let seen_in = tick.grew.min(whole);
        let further = seen_in / (steps.max(1) + 1);
        let length = whole - seen_in + further;
        let further_steps = (steps.max(1) - 1).min(MOST_FURTHER);
        self.learn(length, further_steps as u32, further, learnt);
        length
    }

    /// It ended at `at`.
    pub(super) fn end_at(self, at: u64, learnt: &mut Learnt) {
        let length = at.saturating_sub(self.from);
        self.learn(length, 0, 0, learnt);
    }

    fn learn(self, length: u64, further_steps: u32, further: u64, learnt: &mut Learnt) {
        if !self.spoiled && !learnt.was_late_since(self.from) {
            let gap = Gap { length, further_steps, further };
            let cold = self.or_cold.filter(|(_, longer)| length > *longer).map(|(key, _)| key);
            learnt.learn(&cold.unwrap_or(self.key), &gap);
        }
    }

    /// Compares. Once suspect, it stays so until it ends: more silence never clears anybody. The poll after a gap judges nobody,
    /// and leaves the timer due.
    pub(super) fn judge(&mut self, now: u64, tick: &Tick) {
        if tick.gap {
            return;
        }
        let (silence, counted) = (self.silence(now), self.counted(now));
        let age = if silence >= self.limit.most { silence } else { counted };
        self.age = self.age.max(age);
        self.fired |= self.age >= self.limit.at;
    }

    fn acts_at(&self) -> u64 {
        self.limit.at.saturating_add(self.limit.at.max(self.limit.grace))
    }

    pub(super) fn suspicion(&self) -> Option<Suspicion> {
        self.fired.then(|| Suspicion {
            age: self.age,
            threshold: self.limit.at,
            acts_at: self.acts_at(),
            samples: self.limit.samples,
            key: self.key.clone(),
        })
    }

    /// Whether half of its threshold has passed.
    pub(super) fn is_past_half(&self) -> bool {
        self.age >= self.limit.at / 2
    }

    /// The earliest at which `judge` can find anything new.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        let (silence, counted) = (self.silence(now), self.counted(now));
        let next = if self.fired { self.acts_at() } else { self.limit.at };
        let by_count = next.saturating_sub(self.age.max(counted));
        let at_most = self.limit.most.max(next).saturating_sub(silence);
        (!self.fired || self.age < next).then(|| now.saturating_add(by_count.min(at_most)))
    }
}

/// A worker that waited for a CPU was not silent meanwhile; but a quarter of a silence always counts, for a worker that is given
/// no CPU at all is no use either.
fn without_delay(silence: u64, delay: u64) -> u64 {
    silence - delay.min(silence / 4 * 3)
}

/// The kernel's count of how long the claiming thread has waited for a CPU, as far as it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RunDelay {
    /// The latest reading, and when it was first seen.
    read: Option<(u64, u64)>,
}

impl RunDelay {
    /// Takes in a reading: what it grew by since the one before is spread evenly over the time between, for a look at a process
    /// is rare, and what was waited before the gap is not the gap's.
    pub(super) fn read<'a>(&mut self, reading: Option<u64>, now: u64, timers: impl IntoIterator<Item = &'a mut Option<Timer>>) {
        let Some(total) = reading else { return };
        let former = self.read;
        if former.is_some_and(|(former, _)| former == total) {
            return;
        }
        self.read = Some((total, now));
        let Some((former, at)) = former.filter(|&(former, at)| former < total && at < now) else { return };
        for timer in timers.into_iter().flatten() {
            let share = now.saturating_sub(timer.quiet.max(at));
            let delay = u128::from(total - former) * u128::from(share) / u128::from(now - at);
            timer.delay = timer.delay.saturating_add(u64::try_from(delay).unwrap_or(u64::MAX));
        }
    }
}
