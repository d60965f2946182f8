//! The monitor's accumulated clock: it grows by `min(dt, 2 × interval)` a poll, so a suspend, a paused machine or a monitor
//! that was stopped or starved adds at most two intervals to any age.

use std::time::Duration;

/// How many past polls the usual lateness is taken from.
const REMEMBERED: usize = 8;

/// More than a former monitor can have counted: 146 years. Its word stands in shared memory, and a clock near the end of 64
/// bits would stop, and judge nobody ever after.
const MAX_ELAPSED: u64 = u64::MAX / 4;

/// The clock of one monitor. All in ns.
#[derive(Debug, Clone)]
pub struct PollClock {
    interval: u64,
    elapsed: u64,
    last: Option<u64>,
    recent: [u64; REMEMBERED],
    polls: usize,
}

/// One poll's reading of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The accumulated clock.
    pub now: u64,
    /// By how much it grew since the last poll.
    pub grew: u64,
    /// What really passed since the last poll.
    pub passed: u64,
    /// The poll came too late for anybody to be judged by it.
    pub gap: bool,
}

impl PollClock {
    /// A clock that starts at `elapsed` (0, or where a former monitor's stopped). Beyond `MAX_ELAPSED` it is garbage, and
    /// the clock starts at 0.
    pub fn new(interval: Duration, elapsed: u64) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX / 4).clamp(1, u64::MAX / 4);
        let elapsed = if elapsed > MAX_ELAPSED { 0 } else { elapsed };
        Self { interval, elapsed, last: None, recent: [interval; REMEMBERED], polls: 0 }
    }

    /// A poll at `monotonic`. A gap is a poll later than twice the larger of the interval and the median of the last 8.
    pub fn tick(&mut self, monotonic: u64) -> Tick {
        let passed = self.last.map_or(0, |last| monotonic.saturating_sub(last));
        self.last = Some(monotonic);
        let grew = passed.min(2 * self.interval);
        self.elapsed = self.elapsed.saturating_add(grew);
        let mut sorted = self.recent;
        sorted.sort_unstable();
        let usual = sorted[REMEMBERED / 2].max(self.interval);
        let gap = passed > usual.saturating_mul(2);
        if passed > 0 {
            self.recent[self.polls % REMEMBERED] = passed;
            self.polls += 1;
        }
        Tick { now: self.elapsed, grew, passed, gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn clock() -> PollClock {
        let mut clock = PollClock::new(Duration::from_millis(100), 0);
        clock.tick(0);
        clock
    }

    #[test]
    fn polls_on_time_add_what_passed() {
        let mut clock = clock();
        let tick = clock.tick(100 * MS);
        assert_eq!((tick.now, tick.gap), (100 * MS, false));
        assert_eq!(clock.tick(210 * MS).now, 210 * MS);
    }

    #[test]
    fn a_gap_of_any_length_adds_two_intervals_at_most_and_is_called_one() {
        let mut clock = clock();
        clock.tick(100 * MS);
        let tick = clock.tick(u64::MAX / 2);
        assert!(tick.gap);
        assert_eq!(tick.now, 300 * MS);
    }

    #[test]
    fn a_clock_that_steps_back_adds_nothing() {
        let mut clock = clock();
        clock.tick(500 * MS);
        let before = clock.tick(600 * MS).now;
        assert_eq!(clock.tick(10 * MS).now, before);
    }

    #[test]
    fn a_former_monitors_clock_goes_on_and_a_garbage_one_starts_anew() {
        for (former, start) in [(7 * MS, 7 * MS), (u64::MAX, 0), (u64::MAX - 1, 0)] {
            let mut clock = PollClock::new(Duration::from_millis(100), former);
            assert_eq!(clock.tick(5).now, start);
            assert_eq!(clock.tick(5 + 100 * MS).now, start + 100 * MS, "it must go on, or nobody is ever judged");
        }
    }

    #[test]
    fn a_poll_is_a_gap_only_past_twice_the_larger_of_the_interval_and_the_usual_lateness() {
        let mut clock = clock();
        assert!(!clock.tick(200 * MS).gap, "twice the interval is not past it");
        assert!(clock.tick(400 * MS + 1).gap);
    }

    #[test]
    fn a_machine_that_is_always_late_is_not_always_a_gap() {
        let mut clock = clock();
        let mut at = 0;
        let gaps: Vec<bool> = (0..20)
            .map(|_| {
                at += 350 * MS;
                clock.tick(at).gap
            })
            .collect();
        assert!(gaps[0], "the first late poll is a gap");
        assert!(!gaps[19], "lateness that has become usual is not: somebody must be judged");
    }
}
