//! An instant of the monitor's clock, and what of the time since then is not held against the worker.

use super::ages::Age;
use super::clock::{Strain, Tick};

/// Where an age starts. What starvation excuses is the growth of cumulative counts, so it needs no visit at every poll.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Since {
    /// May lie ahead: a lease that a former monitor granted is paid for in advance.
    at: u64,
    excused: u64,
    strain: Strain,
    /// The standing count when this began: of a look before it, so no start to measure from.
    stale_delay: Option<u64>,
    /// The first count that was read after it began.
    first_delay: Option<u64>,
}

impl Since {
    /// From now on.
    pub(super) fn now(tick: &Tick, run_delay: Option<u64>) -> Self {
        Self { at: tick.now, excused: 0, strain: tick.strain, stale_delay: run_delay, first_delay: None }
    }

    /// From an instant that a former monitor noted, its excuses included.
    pub(super) fn resumed(at: u64, tick: &Tick) -> Self {
        Self { at, ..Self::now(tick, None) }
    }

    /// With an age that was set aside.
    pub(super) fn aged(age: Age, tick: &Tick, run_delay: Option<u64>) -> Self {
        Self { at: tick.now.saturating_sub(age.real), excused: age.real - age.judged, ..Self::now(tick, run_delay) }
    }

    /// No more than has passed: at first sight of a slot the poll's interval lies before it.
    pub(super) fn excuse(&mut self, excused: u64, now: u64) {
        self.excused = self.excused.saturating_add(excused).min(now.saturating_sub(self.at));
    }

    /// Takes in what a look found.
    pub(super) fn look(&mut self, run_delay: Option<u64>) {
        if self.first_delay.is_none() && run_delay != self.stale_delay {
            // Not looked at in between: what is found next is fresh, even if it is the same.
            (self.first_delay, self.stale_delay) = (run_delay, None);
        }
    }

    /// The instant that a successor may count from.
    pub(super) fn effective(&self, ahead: u64) -> u64 {
        self.at.saturating_add(self.excused).saturating_add(ahead)
    }

    /// The age now. Starvation excuses all but `1 / max_stretch` of it.
    pub(super) fn age(&self, tick: &Tick, run_delay: Option<u64>, max_stretch: f64) -> Age {
        let real = tick.now.saturating_sub(self.at);
        let counted = real.saturating_sub(self.excused);
        let late = tick.strain.late.saturating_sub(self.strain.late);
        let waited = match (self.first_delay, run_delay) {
            // The kernel says how long this very thread waited; nothing need be guessed.
            (Some(first), Some(last)) => last.saturating_sub(first),
            // Somebody waited, not necessarily this worker: half of it counts.
            _ => tick.strain.pressure.saturating_sub(self.strain.pressure) / 2,
        };
        // Cast: lossy beyond 2^53 ns, 104 days of silence.
        let most = (counted as f64 * (1.0 - 1.0 / max_stretch.max(1.0))) as u64;
        Age { real, counted, judged: counted - late.max(waited).min(most) }
    }
}
