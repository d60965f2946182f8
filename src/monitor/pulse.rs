//! How a monitor is: for whoever watches the watcher.

use super::scan::Poll;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Tells from any thread whether the monitor still sees.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beats>);

// Each is a statistic, with which nothing is published: all Relaxed.
#[derive(Debug, Default)]
struct Beats {
    all: AtomicU64,
    good: AtomicU64,
    seen_by_newcomers: AtomicU64,
    late: AtomicU64,
    worst_late: AtomicU64,
    last: AtomicU64,
}

impl Pulse {
    /// Polls so far, good or not.
    pub fn scans(&self) -> u64 {
        self.0.all.load(Relaxed)
    }

    /// Polls that were completed and not blind so far: every slot could be read and judged. Neither a poll after a gap of the
    /// monitor's own nor one that found the segment lost is counted.
    pub fn good_scans(&self) -> u64 {
        self.0.good.load(Relaxed)
    }

    /// Of these, the polls of a segment that its name leads to: at the others workers that come would not be seen.
    pub fn good_scans_of_all(&self) -> u64 {
        self.0.seen_by_newcomers.load(Relaxed)
    }

    /// By how much the last poll came late, in ns.
    pub fn late_ns(&self) -> u64 {
        self.0.late.load(Relaxed)
    }

    /// By how much the latest of all polls came late, in ns.
    pub fn worst_late_ns(&self) -> u64 {
        self.0.worst_late.load(Relaxed)
    }

    /// CLOCK_MONOTONIC of the last poll, in ns; 0 before the first.
    pub fn last_scan_ns(&self) -> u64 {
        self.0.last.load(Relaxed)
    }

    /// A poll was made at `now`, `interval` ns after the one before if it was on time.
    pub(super) fn count(&self, poll: &Poll, interval: u64, now: u64) {
        self.0.last.store(now, Relaxed);
        self.0.all.fetch_add(1, Relaxed);
        let late = poll.tick.passed.saturating_sub(interval);
        self.0.late.store(late, Relaxed);
        self.0.worst_late.fetch_max(late, Relaxed);
        if !poll.lost && !poll.tick.gap {
            self.0.good.fetch_add(1, Relaxed);
            self.0.seen_by_newcomers.fetch_add(u64::from(poll.is_found), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Tick;

    #[test]
    fn a_scan_after_a_gap_and_one_that_lost_the_segment_are_blind() {
        let pulse = Pulse::default();
        let gap = Tick { gap: true, ..Tick::default() };
        for (poll, good) in [
            (Poll::default(), 1),
            (Poll { tick: gap, ..Poll::default() }, 1),
            (Poll { lost: true, ..Poll::default() }, 1),
            (Poll::default(), 2),
        ] {
            pulse.count(&poll, 1, 7);
            assert_eq!(pulse.good_scans(), good, "only a scan that saw is counted: {poll:?}");
        }
        assert_eq!((pulse.scans(), pulse.last_scan_ns()), (4, 7), "the blind ones are scans too");
    }

    #[test]
    fn a_poll_is_late_by_what_passed_beyond_the_interval() {
        let pulse = Pulse::default();
        for (passed, late, worst) in [(0, 0, 0), (130, 30, 30), (100, 0, 30), (90, 0, 30), (150, 50, 50)] {
            pulse.count(&Poll { tick: Tick { passed, ..Tick::default() }, ..Poll::default() }, 100, 7);
            assert_eq!((pulse.late_ns(), pulse.worst_late_ns()), (late, worst), "{passed} ns after the poll before");
        }
    }
}
