//! The monitor's accumulated clock: it grows by `min(dt, 2 × interval)` a poll, so a suspend, a paused machine or a monitor
//! that was stopped or starved adds at most two intervals to any age.

use crate::snapshot::HostSnapshot;
use std::time::Duration;

/// How many past polls the usual lateness is taken from.
const REMEMBERED: usize = 8;

/// More than a former monitor can have counted: 146 years. Its word stands in shared memory, and a clock near the end of 64
/// bits would stop, and judge nobody ever after.
const MAX_ELAPSED: u64 = u64::MAX / 4;

/// The most that the monitor's own health counts: at 7 an eighth of the time is held against a worker.
const WORST_HEALTH: u64 = 7;

/// Time in which the machine, not the worker, is to be suspected. Cumulative, in ns of the monitor's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strain {
    /// While the monitor's own polls came late, and for some polls after.
    pub late: u64,
    /// While some task waited for a CPU.
    pub pressure: u64,
}

/// The clock of one monitor. All in ns.
#[derive(Debug, Clone)]
pub struct PollClock {
    interval: u64,
    elapsed: u64,
    last: Option<HostSnapshot>,
    recent: [u64; REMEMBERED],
    polls: usize,
    /// 0 well; one up at a late poll, one down at a punctual one.
    health: u64,
    strain: Strain,
}

/// One poll's reading of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// The accumulated clock.
    pub now: u64,
    /// By how much it grew since the last poll.
    pub grew: u64,
    /// What really passed since the last poll.
    pub passed: u64,
    /// How long the machine was suspended since the last poll.
    pub suspended: u64,
    /// The poll came too late for anybody to be judged by it, or the machine was suspended before it.
    pub gap: bool,
    /// What the machine is to be suspected of, so far.
    pub strain: Strain,
}

impl PollClock {
    /// A clock that starts at `elapsed` (0, or where a former monitor's stopped). Beyond `MAX_ELAPSED` it is garbage, and
    /// the clock starts at 0.
    pub fn new(interval: Duration, elapsed: u64) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX / 4).clamp(1, u64::MAX / 4);
        let elapsed = if elapsed > MAX_ELAPSED { 0 } else { elapsed };
        Self { interval, elapsed, last: None, recent: [interval; REMEMBERED], polls: 0, health: 0, strain: Strain::default() }
    }

    /// Polls at another interval from now on.
    pub fn set_interval(&mut self, interval: Duration) {
        let Self { elapsed, last, strain, .. } = *self;
        *self = Self { last, strain, ..Self::new(interval, elapsed) };
    }

    /// A poll. A gap is a poll later than twice the larger of the interval and the median of the last 8, and the first one
    /// after a suspend, in which CLOCK_MONOTONIC stood still and CLOCK_BOOTTIME went on.
    pub fn tick(&mut self, host: &HostSnapshot) -> Tick {
        let last = self.last.replace(*host).unwrap_or(*host);
        let passed = host.monotonic_ns.saturating_sub(last.monotonic_ns);
        let slept = match (last.boottime_ns, host.boottime_ns) {
            (0, _) | (_, 0) => 0,
            (before, after) => after.saturating_sub(before).saturating_sub(passed),
        };
        // The two clocks are not read at the same instant: less than an interval is no suspend.
        let suspended = if slept > self.interval { slept } else { 0 };
        let grew = passed.min(2 * self.interval);
        self.elapsed = self.elapsed.saturating_add(grew);
        let mut sorted = self.recent;
        sorted.sort_unstable();
        let usual = sorted[REMEMBERED / 2].max(self.interval);
        let gap = suspended > 0 || passed > usual.saturating_mul(2);
        if passed > 0 {
            self.recent[self.polls % REMEMBERED] = passed;
            self.polls += 1;
            let late = passed > usual.saturating_add(usual / 2);
            self.health = if late { (self.health + 1).min(WORST_HEALTH) } else { self.health.saturating_sub(1) };
        }
        self.strain.late += grew / (self.health + 1) * self.health;
        if let (Some(before), Some(after)) = (last.cpu_pressure_us, host.cpu_pressure_us) {
            self.strain.pressure += after.saturating_sub(before).saturating_mul(1000).min(grew);
        }
        Tick { now: self.elapsed, grew, passed, suspended, gap, strain: self.strain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A poll at that instant of a machine of which nothing else is known.
    fn at(monotonic_ns: u64) -> HostSnapshot {
        HostSnapshot { monotonic_ns, ..HostSnapshot::default() }
    }

    fn clock() -> PollClock {
        let mut clock = PollClock::new(Duration::from_millis(100), 0);
        clock.tick(&at(0));
        clock
    }

    #[test]
    fn polls_on_time_add_what_passed() {
        let mut clock = clock();
        let tick = clock.tick(&at(100 * MS));
        assert_eq!((tick.now, tick.gap), (100 * MS, false));
        assert_eq!(clock.tick(&at(210 * MS)).now, 210 * MS);
    }

    #[test]
    fn a_gap_of_any_length_adds_two_intervals_at_most_and_is_called_one() {
        let mut clock = clock();
        clock.tick(&at(100 * MS));
        let tick = clock.tick(&at(u64::MAX / 2));
        assert!(tick.gap);
        assert_eq!(tick.now, 300 * MS);
    }

    #[test]
    fn a_clock_that_steps_back_adds_nothing() {
        let mut clock = clock();
        clock.tick(&at(500 * MS));
        let before = clock.tick(&at(600 * MS)).now;
        assert_eq!(clock.tick(&at(10 * MS)).now, before);
    }

    #[test]
    fn a_former_monitors_clock_goes_on_and_a_garbage_one_starts_anew() {
        for (former, start) in [(7 * MS, 7 * MS), (u64::MAX, 0), (u64::MAX - 1, 0)] {
            let mut clock = PollClock::new(Duration::from_millis(100), former);
            assert_eq!(clock.tick(&at(5)).now, start);
            assert_eq!(clock.tick(&at(5 + 100 * MS)).now, start + 100 * MS, "it must go on, or nobody is ever judged");
        }
    }

    #[test]
    fn a_poll_is_a_gap_only_past_twice_the_larger_of_the_interval_and_the_usual_lateness() {
        let mut clock = clock();
        assert!(!clock.tick(&at(200 * MS)).gap, "twice the interval is not past it");
        assert!(clock.tick(&at(400 * MS + 1)).gap);
    }

    #[test]
    fn a_machine_that_is_always_late_is_not_always_a_gap() {
        let mut clock = clock();
        let mut now = 0;
        let gaps: Vec<bool> = (0..20)
            .map(|_| {
                now += 350 * MS;
                clock.tick(&at(now)).gap
            })
            .collect();
        assert!(gaps[0], "the first late poll is a gap");
        assert!(!gaps[19], "lateness that has become usual is not: somebody must be judged");
    }

    #[test]
    fn the_first_poll_after_a_suspend_judges_nobody_and_says_how_long_it_was() {
        let both = |monotonic_ns, boottime_ns| HostSnapshot { monotonic_ns, boottime_ns, cpu_pressure_us: None };
        let mut clock = PollClock::new(Duration::from_millis(100), 0);
        clock.tick(&both(0, 7));
        assert_eq!(clock.tick(&both(100 * MS, 7 + 101 * MS)).suspended, 0, "two clocks are never read at one instant");
        let tick = clock.tick(&both(200 * MS, 7 + 3_600_000 * MS));
        assert!(tick.gap, "a machine that slept accuses nobody");
        assert_eq!((tick.grew, tick.suspended), (100 * MS, 3_600_000 * MS - 201 * MS));
        assert!(!clock.tick(&both(300 * MS, 7 + 3_600_100 * MS)).gap);
        assert_eq!(clock.tick(&at(400 * MS)).suspended, 0, "a clock that was not read says nothing");
    }

    #[test]
    fn late_polls_suspect_the_machine_and_punctual_ones_restore_it() {
        let mut clock = clock();
        let mut now = 0;
        let mut poll = |passed: u64| {
            now += passed * MS;
            let before = clock.strain.late;
            let tick = clock.tick(&at(now));
            (tick.strain.late - before) as f64 / tick.grew as f64
        };
        assert_eq!(poll(100), 0.0);
        assert_eq!(poll(160), 0.5, "after one late poll half of the time counts");
        assert!((poll(160) - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!((poll(100), poll(100)), (0.5, 0.0), "and it decays poll by poll");
    }

    #[test]
    fn pressure_is_the_time_that_some_task_waited_and_never_more_than_passed() {
        let mut clock = PollClock::new(Duration::from_millis(100), 0);
        let mut poll = |ms: u64, us| clock.tick(&HostSnapshot { cpu_pressure_us: us, ..at(ms * MS) }).strain.pressure;
        assert_eq!(poll(0, Some(5)), 0);
        assert_eq!(poll(100, Some(40_005)), 40 * MS);
        assert_eq!(poll(200, Some(u64::MAX)), 140 * MS, "a count that leaps is garbage");
        assert_eq!(poll(300, None), 140 * MS);
        assert_eq!(poll(400, Some(1)), 140 * MS);
    }
}
