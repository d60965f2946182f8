//! What past counts of a key did. A slow one moves it little, so that a machine that throttles stays slow, and a change that
//! lasts becomes the normal in the end.

/// Rates that a median is taken of: it takes more than half of them to move it.
const REMEMBERED: usize = 15;
/// Counts before the first of them is held against anybody.
const ENOUGH_COUNTS: usize = 3;
/// Gaps that are enough in fewer counts: a job of an hour need not be seen thrice.
const ENOUGH_GAPS: u32 = 100;
/// The most that one count may differ from what was expected, once something is: with a tenth, ten times slower is the new
/// normal after some hundred counts, and is still slow after fifty.
const DAMPING: f64 = 1.1;

/// Past counts of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    rates: [f32; REMEMBERED],
    len: u8,
    next: u8,
    gaps: u32,
    /// Number of the last use: the longest unused is forgotten first.
    pub(super) used: u64,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { rates: [0.0; REMEMBERED], len: 0, next: 0, gaps: 0, used: 0 }
    }

    /// The rate to expect; `None` before there is enough.
    pub(super) fn expected(&self) -> Option<f64> {
        let enough = usize::from(self.len) >= ENOUGH_COUNTS || self.gaps >= ENOUGH_GAPS;
        let mut sorted = self.rates;
        let sorted = &mut sorted[..usize::from(self.len)];
        sorted.sort_unstable_by(f32::total_cmp);
        sorted.get(sorted.len() / 2).filter(|_| enough).map(|median| f64::from(*median))
    }

    /// A count has ended.
    pub(super) fn learn(&mut self, rate: f64, gaps: u32) {
        let rate = match self.expected() {
            Some(expected) => rate.max(expected / DAMPING).min(expected * DAMPING),
            None => rate,
        };
        self.rates[usize::from(self.next)] = rate as f32;
        self.next = (self.next + 1) % REMEMBERED as u8;
        self.len = (self.len + 1).min(REMEMBERED as u8);
        self.gaps = self.gaps.saturating_add(gaps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(rates: &[f64]) -> History {
        let mut history = History::new();
        rates.iter().for_each(|rate| history.learn(*rate, 10));
        history
    }

    #[test]
    fn nothing_is_expected_before_three_counts_or_a_hundred_gaps() {
        assert_eq!(learnt(&[]).expected(), None);
        assert_eq!(learnt(&[8.0, 8.0]).expected(), None);
        assert_eq!(learnt(&[8.0; 3]).expected(), Some(8.0));
        let mut long = History::new();
        long.learn(8.0, ENOUGH_GAPS);
        assert_eq!(long.expected(), Some(8.0));
    }

    #[test]
    fn one_outlier_among_the_first_moves_nothing() {
        assert_eq!(learnt(&[8.0, 0.1, 8.0]).expected(), Some(8.0));
        assert_eq!(learnt(&[8.0, 900.0, 8.0]).expected(), Some(8.0));
    }

    #[test]
    fn ten_times_slower_is_slow_for_fifty_counts_and_normal_in_the_end() {
        for before in [3, REMEMBERED] {
            let mut history = learnt(&vec![8.0; before]);
            (0..50).for_each(|_| history.learn(0.8, 10));
            let expected = history.expected().unwrap();
            assert!(expected / 3.0 > 0.8, "after 50 slow counts {expected} is expected: what lasts an hour is no normal");
            (0..250).for_each(|_| history.learn(0.8, 10));
            assert!((history.expected().unwrap() - 0.8).abs() < 1e-6, "nobody is warned for ever");
        }
    }

    #[test]
    fn a_fast_count_raises_what_is_expected_no_quicker() {
        let mut history = learnt(&[8.0; REMEMBERED]);
        (0..7).for_each(|_| history.learn(8e9, 10));
        assert_eq!(history.expected(), Some(8.0), "half of the memory moves no median");
        history.learn(8e9, 10);
        assert!(history.expected().unwrap() <= 8.0 * DAMPING * 1.0001);
    }
}
