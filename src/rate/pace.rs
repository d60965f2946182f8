//! The rate of one count, from its advances: a mean over a window that forgets, in a handful of numbers.

/// Mean gaps that the window holds: a step that takes twice as long as the others is no change of the rate.
const WINDOW_GAPS: f64 = 4.0;
/// How slowly the mean gap follows: an eighth of the difference a gap.
const GAP_FOLLOWS: f64 = 8.0;

/// Advances of one count. Only sums, products and quotients, so a replay gives the same bits on every machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    /// Units a second, over the window.
    rate: f64,
    /// The window, in seconds.
    span: f64,
    /// Of each second in it, how much the worker was starved for.
    starved: f64,
    /// The usual time between two advances that were seen.
    gap: f64,
    /// Units of the last advance: what the next may bring at any moment.
    quantum: f64,
    /// All of the count.
    gaps: u32,
    units: f64,
    seconds: f64,
}

impl Pace {
    /// `units` more after `seconds`, of which it was starved for some. `least_span` is the shortest window that polls can
    /// fill.
    pub(super) fn advance(&mut self, units: f64, seconds: f64, starved: f64, least_span: f64) {
        self.rate = (self.rate * self.span + units) / (self.span + seconds);
        self.starved = self.starved_after(seconds, starved);
        self.gap = if self.gaps == 0 { seconds } else { self.gap + (seconds - self.gap) / GAP_FOLLOWS };
        self.quantum = units;
        self.gaps = self.gaps.saturating_add(1);
        self.units += units;
        self.seconds += seconds;
        self.span = self.seconds.min(least_span.max(WINDOW_GAPS * self.gap));
    }

    /// The highest that the rate can still be after so many seconds without an advance.
    pub(super) fn rate_after(&self, silent: f64) -> f64 {
        self.rate.min((self.rate * self.span + self.quantum) / (self.span + silent))
    }

    /// Of each second, how much it is starved for, after so many without an advance.
    pub(super) fn starved_after(&self, silent: f64, starved: f64) -> f64 {
        if silent > 0.0 { (self.starved * self.span + starved) / (self.span + silent) } else { self.starved }
    }

    /// After how many seconds without an advance the rate falls to `level`.
    pub(super) fn silence_to(&self, level: f64) -> f64 {
        (self.rate * self.span + self.quantum) / level - self.span
    }

    /// Over the whole count.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.gaps > 0).then(|| self.units / self.seconds)
    }

    /// How many gaps it rests on.
    pub(super) fn gaps(&self) -> u32 {
        self.gaps
    }

    /// The time that it rests on.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The usual time between two advances.
    pub(super) fn gap(&self) -> f64 {
        self.gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(advances: &[(f64, f64)]) -> Pace {
        let mut pace = Pace::default();
        advances.iter().for_each(|(units, seconds)| pace.advance(*units, *seconds, 0.0, 5.0));
        pace
    }

    #[test]
    fn a_steady_count_has_its_rate_from_the_first_gap_on() {
        for n in 1..50 {
            assert!((pace(&vec![(10.0, 1.0); n]).rate_after(0.0) - 10.0).abs() < 1e-9);
            assert!((pace(&vec![(1.0, 40.0); n]).rate_after(0.0) - 0.025).abs() < 1e-9);
        }
    }

    #[test]
    fn silence_lowers_the_rate_only_once_the_next_advance_is_late() {
        let pace = pace(&[(10.0, 1.0); 20]);
        assert_eq!(pace.rate_after(1.0), pace.rate_after(0.0), "the next ten units may come at this moment");
        assert!(pace.rate_after(2.0) < pace.rate_after(1.0));
        assert!(pace.rate_after(1e9) < 1e-6);
    }

    #[test]
    fn the_silence_to_a_level_is_where_the_rate_meets_it() {
        let pace = pace(&[(10.0, 1.0); 20]);
        for level in [9.0, 3.3, 0.01] {
            assert!((pace.rate_after(pace.silence_to(level)) - level).abs() < 1e-9);
        }
    }

    #[test]
    fn the_window_forgets_and_the_mean_does_not() {
        let mut pace = pace(&[(10.0, 1.0); 100]);
        (0..40).for_each(|_| pace.advance(1.0, 5.0, 0.0, 5.0));
        assert!((pace.rate_after(0.0) - 0.2).abs() < 0.01, "forty slow steps are the rate now: {}", pace.rate_after(0.0));
        assert!((pace.mean().unwrap() - 1040.0 / 300.0).abs() < 1e-9);
    }
}
