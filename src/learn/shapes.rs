//! Which input shapes a worker has met since it loaded.

/// A phase's id, and the job's size and batch there.
pub(super) type Shape = (u16, u64, u64);

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
