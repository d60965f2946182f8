//! Which input shapes a worker has met since it loaded.

use super::key::words;
use crate::layout::fnv1a64;

/// A phase, and the model, size and batch of the job in it, as a number: two that share one are a shape met once too few.
pub(super) type Shape = u64;

pub(super) fn shape(phase: u16, model: &str, size: u64, batch: u64) -> Shape {
    fnv1a64(words(model).chain([u64::from(phase), size, batch]))
}

/// So many are remembered, the latest: one that is forgotten is met as if for the first time, and is given more patience.
const REMEMBERED: usize = 64;

/// The shapes met.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes {
    met: Vec<Shape>,
    next: usize,
}

impl Shapes {
    pub(super) fn has_met(&self, shape: Shape) -> bool {
        self.met.contains(&shape)
    }

    pub(super) fn meet(&mut self, shape: Shape) {
        if self.has_met(shape) {
            return;
        }
        if self.met.len() < REMEMBERED {
            self.met.push(shape);
        } else {
            self.met[self.next] = shape;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }
}
