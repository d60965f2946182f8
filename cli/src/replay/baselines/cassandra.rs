//! Phi-accrual as in Cassandra: gaps are taken to be exponential, so phi is the silence over their mean, by ln 10.

use super::Estimate;
use super::window::Window;
use crate::replay::session::Key;

/// Cassandra's first gap, in seconds. It leaves longer ones out; here they are kept, or a slow step would be an alarm for ever.
const FIRST: f64 = 2.0;

#[derive(Debug, Clone)]
pub(crate) struct Cassandra {
    gaps: Window,
    threshold: f64,
}

impl Cassandra {
    pub(crate) fn new(threshold: f64) -> Self {
        let mut gaps = Window::default();
        gaps.push(FIRST);
        Self { gaps, threshold }
    }
}

impl Estimate for Cassandra {
    fn learn(&mut self, gap: f64) {
        self.gaps.push(gap);
    }

    fn limit(&self, _: Key) -> Option<f64> {
        Some(self.threshold * std::f64::consts::LN_10 * self.gaps.mean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_phi_times_ln_10_means_is_the_limit() {
        let mut cassandra = Cassandra::new(8.0);
        (0..1000).for_each(|_| cassandra.learn(1.0));
        let limit = cassandra.limit(Key::default()).expect("it always has one");
        assert!((limit - 18.42).abs() < 0.01, "{limit}");
    }
}
