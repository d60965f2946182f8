//! The last gaps, with their sum and their sum of squares.

use std::collections::VecDeque;

/// As many as Akka and Cassandra keep.
const GAPS: usize = 1000;

#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    gaps: VecDeque<f64>,
    sum: f64,
    squares: f64,
}

impl Window {
    pub(super) fn push(&mut self, gap: f64) {
        if self.gaps.len() == GAPS
            && let Some(oldest) = self.gaps.pop_front()
        {
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        self.gaps.push_back(gap);
        self.sum += gap;
        self.squares += gap * gap;
    }

    pub(super) fn len(&self) -> usize {
        self.gaps.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = f64> {
        self.gaps.iter().copied()
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.len().max(1) as f64
    }

    pub(super) fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.squares / self.len().max(1) as f64 - mean * mean).max(0.0).sqrt()
    }
}
