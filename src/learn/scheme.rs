//! The formula: from a high gap that one outlier cannot set to a threshold.
//!
//! ```text
//! T = min(max(F × M, floor), most)        most = max(ceiling, 2 M)
//! F = clamp(max((1000 h / H)^ξ, 2 + 12 / n), 2, 40)
//! ```
//! | part | floor | ceiling |
//! |---|---|---|
//! | rest | 2 s | 60 s |
//! | first, tail | 4 s | 60 s |
//! | cold | 4 s | 300 s |
//! | of starting, loading, downloading, downloading_aux | 10 s, ξ 0.2 instead of 0.1 | 180 s, 300 s, 60 s, 60 s |
//! | of compiling | as above | 1800 s |
//! | alive | 3 s, F ≥ 4 | 60 s, never more |
//!
//! A threshold that acts does so at T + max(T, floor); of cold and alive at T + max(T, ceiling).
//!
//! `M` is the largest gap of fewer than 30, the 2nd of fewer than 100, then the n/100-th, at least the 3rd. `H` is how long gaps of this kind have been watched in all, `n` how many there were. `F` falls as the evidence grows: with
//! few samples the longest yet to come is far beyond the longest yet seen.

use super::key::{Key, Part, waits};
use crate::layout::phase::Phase;

const S: u64 = 1_000_000_000;
/// The floor where a gap is one long piece of work, not one of many alike. A cold gap beyond it is a compiler's.
pub(super) const LONE: u64 = 4 * S;
const HOUR: f64 = 3600e9;

/// Fewer gaps than this are no evidence of their own.
pub(super) const FEWEST: u64 = 3;
/// From here on they are enough of their own.
pub(super) const ENOUGH: u64 = 12;
/// From here on a key is warmed up: no gap moves its threshold by more than [`MOST_MOVED`].
pub(super) const WARMED_UP: u64 = 30;
/// By what share one gap may move the threshold of a key that is warmed up.
pub(super) const MOST_MOVED: f64 = 0.05;

/// What differs from key to key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Terms {
    /// No threshold is lower.
    pub(super) floor: u64,
    /// The threshold while nothing is known, and the most that few gaps can make of it.
    pub(super) ceiling: u64,
    /// How fast the factor falls with the hours watched.
    xi: f64,
    least_factor: f64,
    /// No threshold is higher, whatever was learnt.
    cap: u64,
    /// What is added to a threshold before anybody may act, at the least. A compiler whose cache was thrown away takes a hundred
    /// times what it usually does, and a library may hold a helper up for as long: a kill would make them begin again.
    pub(super) grace: u64,
}

/// How long a silence may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Counted silence is suspect from here on.
    pub(super) at: u64,
    /// Silence is from here on, whatever of it is excused by run delay.
    pub(super) most: u64,
    /// The least that is added before anybody may act.
    pub(super) grace: u64,
    /// How many gaps it rests on.
    pub(super) samples: u64,
}

impl Limit {
    pub(super) fn scaled(self, factor: f64) -> Self {
        // Saturates: a float beyond 64 bits becomes the largest of them.
        let times = |ns: u64| (ns as f64 * factor) as u64;
        Self { at: times(self.at), most: times(self.most), grace: times(self.grace), samples: self.samples }
    }

    /// The longer of two, resting on the gaps of this one.
    pub(super) fn or_longer(self, other: Self) -> Self {
        Self { at: self.at.max(other.at), most: self.most.max(other.most), ..self }
    }

    /// As long as the other, up to the most that this one's gaps can make of it.
    pub(super) fn or_up_to_most(self, other: Self) -> Self {
        Self { at: self.at.max(other.at.min(self.most)), ..self }
    }
}

pub(super) fn terms(key: &Key) -> Terms {
    if key.part == Part::Alive {
        return Terms { floor: 3 * S, ceiling: 60 * S, xi: 0.1, least_factor: 4.0, cap: 60 * S, grace: 60 * S };
    }
    let is = |phase: Phase| phase.row().is_some_and(|row| row.name == key.phase);
    let of_phase = match () {
        () if is(Phase::Starting) => 180 * S,
        () if is(Phase::Loading) => 300 * S,
        () if is(Phase::Compiling) => 1800 * S,
        () => 60 * S,
    };
    // A compiler that meets a shape for the first time may take a thousand times as long as the steps that follow.
    let ceiling = if key.part == Part::Cold { of_phase.max(300 * S) } else { of_phase };
    let (floor, xi) = match key.part {
        _ if waits(&key.phase) => (10 * S, 0.2),
        Part::Rest => (2 * S, 0.1),
        _ => (LONE, 0.1),
    };
    let grace = if key.part == Part::Cold { ceiling } else { floor };
    Terms { floor, ceiling, xi, least_factor: 2.0, cap: u64::MAX, grace }
}

/// Which gap from the top is taken for M. Of cold gaps few are long, and those are the ones that count.
pub(super) fn rank(part: Part, n: u64) -> u64 {
    match n {
        0..30 => 1,
        30..100 => 2,
        _ if part == Part::Cold => 2,
        _ => (n / 100).max(3),
    }
}

impl Terms {
    /// The limit while nothing is known.
    pub(super) fn unknown(&self) -> Limit {
        Limit { at: self.ceiling, most: self.ceiling, grace: self.grace, samples: 0 }
    }

    /// No threshold of a key whose high gap is `m` exceeds this.
    pub(super) fn most(&self, m: u64) -> u64 {
        self.ceiling.max(m.saturating_mul(2)).min(self.cap)
    }

    /// The threshold; of a summary with twice the factor.
    pub(super) fn threshold(&self, m: u64, n: u64, watched_ns: u64, summary: bool) -> u64 {
        let by_hours = (1000.0 * HOUR / (watched_ns.max(1) as f64)).powf(self.xi);
        let by_count = 2.0 + 12.0 / n.max(1) as f64;
        let factor = by_hours.max(by_count).clamp(self.least_factor, 40.0) * if summary { 2.0 } else { 1.0 };
        // Saturates: a float beyond 64 bits becomes the largest of them.
        ((m as f64 * factor) as u64).max(self.floor).min(self.most(m))
    }
}
