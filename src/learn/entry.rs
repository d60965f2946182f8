//! One key's gaps, and the threshold that follows from them.
//!
//! One gap alone can be a hang that ended by itself, so one gap alone sets nothing:
//!
//! | a gap | does |
//! |---|---|
//! | up to T | is counted; from 30 gaps on it moves T by at most 5 % |
//! | beyond T, the first | waits as an outlier, and moves nothing |
//! | beyond T, another | is proof, with the first, that T was too small: both count, and T rises to F × the shorter of the two at once |
//!
//! Below 30 gaps M is the largest of them: a gap up to T counts at once, and can raise T by as much as F.
//! Below 3 there is no T, and any gap counts. Outliers are forgotten when the histogram is aged.

use super::bytes::Unreadable;
use super::histogram::Histogram;
use super::key::Key;
use super::scheme::{FEWEST, Limit, MOST_MOVED, WARMED_UP, rank, terms};

/// After so many acts in a row, with no gap of the key completed, its threshold doubles no further.
const MOST_DOUBLED: u8 = 6;

/// What is known of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The key stands for its phase over all models.
    pub(super) over_all_models: bool,
    pub(super) histogram: Histogram,
    /// How long its gaps were in all, in ns.
    pub(super) watched: u64,
    /// In force; 0 below three gaps.
    pub(super) threshold: u64,
    /// The longest gap beyond T that nothing has confirmed; 0 for none.
    pub(super) outlier: u64,
    /// The longest that was confirmed; 0 for none.
    pub(super) confirmed: u64,
    /// How often it was acted on since a gap of it completed.
    pub(super) doubled: u8,
    /// When it was last of use, in the store's count.
    pub(super) used: u64,
}

impl Entry {
    pub(super) fn new(key: Key, over_all_models: bool) -> Self {
        let (histogram, watched, threshold) = (Histogram::default(), 0, 0);
        Self { key, over_all_models, histogram, watched, threshold, outlier: 0, confirmed: 0, doubled: 0, used: 0 }
    }

    /// How many gaps its threshold rests on.
    pub(super) fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// A gap that ended by itself.
    pub(super) fn learn(&mut self, gap: u64) {
        self.doubled = 0;
        self.watched = self.watched.saturating_add(gap);
        let mut confirmed = false;
        if self.threshold > 0 && gap > self.threshold {
            let former = self.outlier;
            self.outlier = former.max(gap);
            if former == 0 {
                return;
            }
            self.confirmed = self.confirmed.max(former.min(gap));
            confirmed = true;
        }
        if self.histogram.add(gap) {
            (self.outlier, self.confirmed) = (0, 0);
        }
        self.move_threshold(confirmed);
    }

    fn high_gap(&self) -> u64 {
        self.histogram.largest(rank(self.samples())).max(self.confirmed)
    }

    fn move_threshold(&mut self, at_once: bool) {
        let n = self.samples();
        if n < FEWEST {
            return;
        }
        let target = terms(&self.key).threshold(self.high_gap(), n, self.watched, self.over_all_models);
        let step = (self.threshold as f64 * MOST_MOVED) as u64;
        let bounded = n >= WARMED_UP && !at_once && self.threshold > 0;
        self.threshold = if bounded { target.clamp(self.threshold - step, self.threshold.saturating_add(step)) } else { target };
    }

    /// Whether a monitor can have come to it: no more than that can be asked of a file.
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        let n = self.samples();
        let known = n >= FEWEST;
        if n > Histogram::MOST || known != (self.threshold > 0) {
            return Err(Unreadable::Invalid("counts"));
        }
        if known && self.threshold < terms(&self.key).floor || self.doubled > MOST_DOUBLED {
            return Err(Unreadable::Invalid("threshold"));
        }
        Ok(())
    }

    /// It was acted on: until one of its gaps completes the threshold is twice what it was, for a gap that ends in a kill never
    /// completes, and never proves that the threshold was too small.
    pub(super) fn acted(&mut self) {
        self.doubled = (self.doubled + 1).min(MOST_DOUBLED);
    }

    /// How long its next gap may last; `None` where too little is known.
    pub(super) fn limit(&self) -> Option<Limit> {
        let terms = terms(&self.key);
        let most = terms.most(self.high_gap()).max(self.threshold);
        (self.threshold > 0).then(|| Limit { at: self.threshold, most, floor: terms.floor, samples: self.samples() })
    }

    /// The limit, doubled as often as it was acted on.
    pub(super) fn doubled(&self, limit: Limit) -> Limit {
        let double = |ns: u64| ns.saturating_mul(1 << self.doubled.min(MOST_DOUBLED));
        Limit { at: double(limit.at), most: double(limit.most), ..limit }
    }
}
