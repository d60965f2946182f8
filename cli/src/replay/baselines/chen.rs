//! Chen, Toueg and Aguilera: the next sign is expected where the line through the last ones has it, and alpha later is too late.
//! They know the sender's period; here it is the mean gap.

use super::Estimate;
use super::window::Window;
use crate::replay::session::Key;

#[derive(Debug, Clone)]
pub(crate) struct Chen {
    gaps: Window,
    alpha: f64,
    /// How long after the last sign the next one is expected.
    expected: Option<f64>,
}

impl Chen {
    /// `alpha` in seconds.
    pub(crate) fn new(alpha: f64) -> Self {
        Self { gaps: Window::default(), alpha, expected: None }
    }

    /// Arrivals A(i) are sums of gaps; the estimate is the mean of A(i) - i × period, carried on by one more than there are.
    fn estimate(&self) -> f64 {
        let period = self.gaps.mean();
        let (mut arrival, mut drift) = (0.0, 0.0);
        for (i, gap) in (1u32..).zip(self.gaps.iter()) {
            arrival += gap;
            drift += arrival - f64::from(i) * period;
        }
        let signs = self.gaps.len() as f64 + 1.0;
        drift / signs + signs * period - arrival
    }
}

impl Estimate for Chen {
    fn learn(&mut self, gap: f64) {
        self.gaps.push(gap);
        self.expected = Some(self.estimate());
    }

    fn limit(&self, _: Key) -> Option<f64> {
        Some(self.expected?.max(0.0) + self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_one_period_are_expected_a_period_apart() {
        let mut chen = Chen::new(5.0);
        assert_eq!(chen.limit(Key::default()), None, "nothing is expected before a gap is known");
        (0..2000).for_each(|_| chen.learn(2.0));
        let limit = chen.limit(Key::default()).expect("it has learnt");
        assert!((limit - 7.0).abs() < 1e-6, "{limit}");
    }
}
