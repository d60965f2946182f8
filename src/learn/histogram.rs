//! Gaps by length: four bins an octave, from 1/64 s to 36 h.

use std::sync::LazyLock;

/// Below this all gaps are alike: with the largest factor they stay below the floor.
const SMALLEST_NS: f64 = 1e9 / 64.0;
const PER_OCTAVE: f64 = 4.0;
/// 23 octaves: the last bin ends at 1.5 days.
pub(super) const BINS: usize = 92;
/// At so many gaps all counts are halved, so that what a worker was long ago is forgotten.
const AGED_AT: u64 = 1 << 14;

/// Counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    bins: [u32; BINS],
    len: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::of([0; BINS])
    }
}

/// The bins' upper ends: made once, for every gap asks for some.
static UPPER: LazyLock<[u64; BINS]> =
    LazyLock::new(|| std::array::from_fn(|bin| (SMALLEST_NS * ((bin + 1) as f64 / PER_OCTAVE).exp2()) as u64));

fn bin(gap_ns: u64) -> usize {
    UPPER.partition_point(|upper| *upper <= gap_ns).min(BINS - 1)
}

impl Histogram {
    /// It never holds more.
    pub(super) const MOST: u64 = AGED_AT;

    /// From counts.
    pub(super) fn of(bins: [u32; BINS]) -> Self {
        Self { bins, len: bins.iter().map(|&count| u64::from(count)).sum() }
    }

    pub(super) fn bins(&self) -> &[u32; BINS] {
        &self.bins
    }

    /// Adds so many gaps of one length; whether the counts were halved.
    pub(super) fn add(&mut self, gap_ns: u64, count: u32) -> bool {
        self.bins[bin(gap_ns)] += count;
        self.len += u64::from(count);
        let full = self.len >= AGED_AT;
        if full {
            // Rounded up: a long gap that was met once stays met, until the rank passes it by.
            *self = Self::of(self.bins.map(|count| count.div_ceil(2)));
        }
        full
    }

    /// How many gaps.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The upper end of the bin that holds the `rank`-th largest gap, from 1; 0 where there are fewer.
    pub(super) fn largest(&self, rank: u64) -> u64 {
        let mut left = rank.max(1);
        for (i, &count) in self.bins.iter().enumerate().rev() {
            if u64::from(count) >= left {
                return UPPER[i];
            }
            left -= u64::from(count);
        }
        0
    }
}
