//! Phi-accrual as in Akka: gaps are taken to be normal, with a pause that is acceptable added to their mean. The tail of the
//! normal distribution is its logistic approximation, as there.

use super::Estimate;
use super::window::Window;
use crate::replay::session::Key;

/// Akka's `min-std-deviation`, in seconds.
const LEAST_DEVIATION: f64 = 0.1;
/// Akka's estimate of the first gap, in seconds; its deviation is a quarter.
const FIRST: f64 = 1.0;

#[derive(Debug, Clone)]
pub(crate) struct Akka {
    gaps: Window,
    pause: f64,
    /// Deviations from the mean at which phi reaches the threshold.
    deviations: f64,
}

/// Suspicion after a silence so many deviations over the mean.
fn phi(y: f64) -> f64 {
    let e = (-y * (1.5976 + 0.070566 * y * y)).exp();
    if y > 0.0 { -(e / (1.0 + e)).log10() } else { -(1.0 - 1.0 / (1.0 + e)).log10() }
}

impl Akka {
    /// `threshold` of phi, acceptable `pause` in seconds.
    pub(crate) fn new(threshold: f64, pause: f64) -> Self {
        let mut gaps = Window::default();
        gaps.push(FIRST - FIRST / 4.0);
        gaps.push(FIRST + FIRST / 4.0);
        let (mut low, mut high) = (-20.0, 20.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if phi(middle) < threshold { low = middle } else { high = middle }
        }
        Self { gaps, pause, deviations: high }
    }
}

impl Estimate for Akka {
    fn learn(&mut self, gap: f64) {
        self.gaps.push(gap);
    }

    fn limit(&self, _: Key) -> Option<f64> {
        Some(self.gaps.mean() + self.pause + self.deviations * self.gaps.deviation().max(LEAST_DEVIATION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_where_phi_reaches_the_threshold() {
        for threshold in [1.0, 3.0, 8.0, 12.0] {
            let mut akka = Akka::new(threshold, 3.0);
            (0..1000).for_each(|i| akka.learn(if i % 2 == 0 { 1.0 } else { 2.0 }));
            let limit = akka.limit(Key::default()).expect("it always has one");
            let at = phi((limit - 1.5 - 3.0) / 0.5);
            assert!((at - threshold).abs() < 1e-6, "phi is {at} at the limit {limit}, expected {threshold}");
        }
    }

    #[test]
    fn before_the_first_gap_it_estimates_one_second() {
        let limit = Akka::new(8.0, 3.0).limit(Key::default()).expect("it always has one");
        assert!((4.0..7.0).contains(&limit), "mean 1 s, pause 3 s, deviation 0.25 s: {limit}");
    }
}
