//! A helper thread's beat: a word of its own, so that two threads never write one word.

use crate::layout::hot::HotWords;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
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

    /// The same, but not while the worker is in a job that reports no progress: there signs of life are all that is judged, and
    /// one that comes whatever the working thread does would hide its hang for ever.
    pub fn alive_beside_progress(&self) {
        let hot = self.handle.live().and_then(|slot| slot.read_hot().ok());
        // Words that change while they are read are a worker's that works.
        if !hot.is_some_and(|hot| is_judged_by_life_alone(&hot)) {
            self.alive();
        }
    }
}

fn is_judged_by_life_alone(hot: &HotWords) -> bool {
    Phase::from_id(hot.phase.id()) == Phase::Inference && hot.total == TOTAL_NONE && hot.done().is_none()
}
