//! One kind of gap, and the threshold that follows from its gaps.
//!
//! One gap alone can be a hang that ended by itself, so one gap alone sets nothing:
//!
//! | a gap | does |
//! |---|---|
//! | up to T | counts; from 30 gaps on it moves T by at most 5 % |
//! | beyond T | is an outlier. The longest of them is left out, the others count: the first moves nothing |
//! | beyond T, the third within 8 gaps | is proof that T was too small: T rises to F × the shortest of the three at once, until 100 gaps have passed without an outlier |
//!
//! Below 30 gaps M is the largest of them: a gap up to T counts at once, and can raise T by as much as F.
//! Below 3 there is no T: a gap is measured by its model's gaps of any size, and where those are below 3 too any gap counts. What
//! other models do is no measure: a model that is slower than them all would be suspected at every gap of its first runs, and
//! each time be held an outlier of theirs.

use super::bytes::Unreadable;
use super::histogram::Histogram;
use super::key::Key;
use super::scheme::{FEWEST, Limit, MOST_MOVED, Terms, WARMED_UP, rank, terms};

/// After so many acts in a row, with no gap of the key completed, its threshold doubles no further.
const MOST_DOUBLED: u8 = 6;

/// Three outliers are proof together where no more gaps lie between the first and the last.
const PROVE_WITHIN: u32 = 8;
/// By then the longest gaps of the histogram say the same, if it was true.
const PROOF_LASTS: u32 = 100;

/// What one look at an advance shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The gap that ended.
    pub(super) length: u64,
    /// The further steps seen in the same poll, and how long each took.
    pub(super) further_steps: u32,
    pub(super) further: u64,
}

/// A gap beyond the threshold of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outlier {
    pub(super) gap: u64,
    /// How many gaps have ended since.
    pub(super) since: u32,
}

/// What is known of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) histogram: Histogram,
    /// How long its gaps were in all, in ns.
    pub(super) watched: u64,
    /// In force; 0 below three gaps.
    pub(super) threshold: u64,
    /// No threshold of it exceeds this.
    most: u64,
    terms: Terms,
    /// The longest outlier, which is left out; 0 for none.
    pub(super) outlier: u64,
    /// What the latest outliers have proved; 0 for nothing.
    pub(super) proved: u64,
    /// The latest two outliers, the later first.
    pub(super) latest: [Outlier; 2],
    /// How often it was acted on since a gap of it completed.
    pub(super) doubled: u8,
    /// When it was last of use, in the store's count.
    pub(super) used: u64,
}

impl Entry {
    pub(super) fn new(key: Key) -> Self {
        let terms = terms(&key);
        Self {
            key,
            histogram: Histogram::default(),
            watched: 0,
            threshold: 0,
            most: terms.ceiling,
            terms,
            outlier: 0,
            proved: 0,
            latest: [Outlier::default(); 2],
            doubled: 0,
            used: 0,
        }
    }

    /// How many gaps its threshold rests on.
    pub(super) fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// A gap that ended by itself. `of_model`: how long it may last by its model's gaps, which counts until it has a threshold.
    pub(super) fn learn(&mut self, gap: &Gap, of_model: Option<u64>) {
        self.doubled = 0;
        for outlier in &mut self.latest {
            outlier.since = outlier.since.saturating_add(1 + gap.further_steps);
        }
        if self.latest[0].since >= PROOF_LASTS {
            self.proved = 0;
        }
        let allowed = if self.threshold > 0 { self.threshold } else { of_model.unwrap_or(u64::MAX) };
        let beyond = gap.length > allowed;
        let counts = if beyond { self.take_outlier(gap.length) } else { Some(gap.length) };
        let mut aged = self.count(gap.further, gap.further_steps);
        if let Some(length) = counts {
            aged |= self.count(length, 1);
        }
        if aged {
            self.outlier = 0;
        }
        // The outlier that is left out moves nothing at all.
        if counts.is_some() || self.threshold == 0 {
            self.move_threshold(beyond && self.proved > 0);
        }
    }

    fn count(&mut self, gap: u64, count: u32) -> bool {
        self.watched = self.watched.saturating_add(gap.saturating_mul(u64::from(count)));
        self.histogram.add(gap, count)
    }

    /// The shorter of this outlier and the longest before it, which counts from now on.
    fn take_outlier(&mut self, gap: u64) -> Option<u64> {
        let [later, earlier] = self.latest;
        if earlier.gap > 0 && earlier.since <= PROVE_WITHIN {
            self.proved = self.proved.max(gap.min(later.gap).min(earlier.gap));
        }
        self.latest = [Outlier { gap, since: 0 }, later];
        let longest = self.outlier;
        self.outlier = longest.max(gap);
        (longest > 0).then(|| longest.min(gap))
    }

    fn high_gap(&self) -> u64 {
        self.histogram.largest(rank(self.key.part, self.samples())).max(self.proved)
    }

    fn move_threshold(&mut self, at_once: bool) {
        let n = self.samples();
        if n < FEWEST {
            return;
        }
        let high = self.high_gap();
        self.most = self.terms.most(high);
        let target = self.terms.threshold(high, n, self.watched, self.key.is_summary());
        let step = (self.threshold as f64 * MOST_MOVED) as u64;
        let bounded = n >= WARMED_UP && !at_once && self.threshold > 0;
        self.threshold = if bounded { target.clamp(self.threshold - step, self.threshold.saturating_add(step)) } else { target };
    }

    /// Takes over what was read: whether a monitor can have come to it is all that can be asked of a file.
    pub(super) fn resume(mut self) -> Result<Self, Unreadable> {
        self.most = self.terms.most(self.high_gap());
        let n = self.samples();
        let known = n >= FEWEST;
        if n > Histogram::MOST || known != (self.threshold > 0) {
            return Err(Unreadable::Invalid("counts"));
        }
        if known && self.threshold < self.terms.floor || self.doubled > MOST_DOUBLED {
            return Err(Unreadable::Invalid("threshold"));
        }
        Ok(self)
    }

    /// It was acted on: until one of its gaps completes the threshold is twice what it was, for a gap that ends in a kill never
    /// completes, and never proves that the threshold was too small.
    pub(super) fn acted(&mut self) {
        self.doubled = (self.doubled + 1).min(MOST_DOUBLED);
    }

    /// How long its next gap may last; `None` where too little is known.
    pub(super) fn limit(&self) -> Option<Limit> {
        let most = self.most.max(self.threshold);
        (self.threshold > 0).then(|| Limit { at: self.threshold, most, grace: self.terms.grace, samples: self.samples() })
    }

    /// What its gaps say while they are too few for a threshold of their own: never that the next is to be shorter, so it is only
    /// ever the longer of two.
    pub(super) fn first_limit(&self) -> Limit {
        let (n, high) = (self.samples(), self.high_gap());
        let at = if n > 0 { self.terms.threshold(high, n, self.watched, self.key.is_summary()) } else { 0 };
        Limit { at, most: self.terms.most(high), grace: self.terms.grace, samples: n }
    }

    /// The limit, doubled as often as it was acted on.
    pub(super) fn doubled(&self, limit: Limit) -> Limit {
        let double = |ns: u64| ns.saturating_mul(1 << self.doubled.min(MOST_DOUBLED));
        Limit { at: double(limit.at), most: double(limit.most), ..limit }
    }
}
