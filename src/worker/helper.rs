//! A helper thread's beat: a word of its own, so that two threads never write one word.

use crate::layout::word::Beat;
use crate::segment::SlotHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a worker and its helpers share inside their process.
#[derive(Debug)]
pub(crate) struct Shared {
    /// False once the worker has detached: its slot may be another's by then.
    pub(crate) attached: AtomicBool,
    alive: AtomicU64,
}

impl Shared {
    pub(crate) fn new(generation: u16) -> Self {
        Self { attached: AtomicBool::new(true), alive: AtomicU64::new(Beat::start(generation).0) }
    }

    pub(crate) fn say_alive(&self, handle: &SlotHandle) {
        if let Some(slot) = handle.live()
            && self.attached.load(Relaxed)
        {
            // Relaxed: the counter publishes nothing, and two helpers that store out of order still change the word.
            let next = self.alive.fetch_add(1, Relaxed).wrapping_add(1);
            slot.publish_alive(Beat(next));
        }
    }
}

/// Says `alive` for a worker, from any thread. It shows that the process runs, never that the work advances.
#[derive(Debug, Clone)]
pub struct Helper {
    pub(crate) handle: SlotHandle,
    pub(crate) shared: Arc<Shared>,
}

impl Helper {
    /// This process runs: another thread than the working one says so. Does nothing once the worker has detached.
    pub fn alive(&self) {
        self.shared.say_alive(&self.handle);
    }
}
