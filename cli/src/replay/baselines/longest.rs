//! A factor times the longest gap so far, as NVIDIA's resiliency extension sets its timeouts.

use super::Estimate;
use crate::replay::session::Key;

#[derive(Debug, Clone)]
pub(crate) struct Longest {
    factor: f64,
    longest: Option<f64>,
}

impl Longest {
    pub(crate) fn new(factor: f64) -> Self {
        Self { factor, longest: None }
    }
}

impl Estimate for Longest {
    fn learn(&mut self, gap: f64) {
        self.longest = Some(self.longest.map_or(gap, |longest| longest.max(gap)));
    }

    fn limit(&self, _: Key) -> Option<f64> {
        Some(self.factor * self.longest?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_no_limit_before_the_first_gap_and_never_a_smaller_one_after() {
        let mut longest = Longest::new(5.0);
        assert_eq!(longest.limit(Key::default()), None);
        longest.learn(2.0);
        longest.learn(1.0);
        assert_eq!(longest.limit(Key::default()), Some(10.0));
    }
}
