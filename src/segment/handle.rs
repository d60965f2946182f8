//! A worker's hold on its slot: the canary first, then the slot, in the order that the C header knows.

use super::Segment;
use crate::layout::Slot;
use crate::os::canary;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Canary and slot. `live()` is the one branch that detached, forked and finished handles share.
#[derive(Debug, Clone)]
#[repr(C)]
pub(crate) struct SlotHandle {
    /// Reads 1 while the handle lives, 0 in a forked child and on a detached handle.
    canary: &'static AtomicU8,
    slot: *const Slot,
    segment: Option<Arc<Segment>>,
}

// SAFETY: the slot is reached through atomics only and the segment that holds it goes along.
unsafe impl Send for SlotHandle {}
// SAFETY: the same.
unsafe impl Sync for SlotHandle {}

impl SlotHandle {
    /// A handle on which everything is a no-op.
    pub(crate) const fn detached() -> Self {
        Self { canary: &canary::DEAD, slot: std::ptr::null(), segment: None }
    }

    /// A handle on slot `index`; `None` past the end. `canary` must be this process's.
    pub(crate) fn new(segment: &Arc<Segment>, index: u32, canary: &'static AtomicU8) -> Option<Self> {
        let slot = std::ptr::from_ref(segment.slot(index)?);
        Some(Self { canary, slot, segment: Some(Arc::clone(segment)) })
    }

    /// The slot, unless this handle is detached or was inherited through a fork.
    #[inline(always)]
    pub(crate) fn live(&self) -> Option<&Slot> {
        // Relaxed: written once by this process before the handle was made; the kernel zeroes it in a forked child.
        if self.canary.load(Relaxed) == 0 {
            return None;
        }
        // SAFETY: the canary of a detached handle is 0, so `slot` came from `new`, and `segment` keeps it mapped.
        Some(unsafe { &*self.slot })
    }

    /// The same slot for the eye, and no-op for whoever asks for [`live`](Self::live).
    pub(crate) fn muted(&self) -> Self {
        Self { canary: &canary::DEAD, ..self.clone() }
    }

    pub(crate) fn segment(&self) -> Option<&Arc<Segment>> {
        self.segment.as_ref()
    }
}

/// Offsets that the C header's inline functions rely on.
pub(crate) const CANARY_OFFSET: usize = core::mem::offset_of!(SlotHandle, canary);
/// See [`CANARY_OFFSET`].
pub(crate) const SLOT_OFFSET: usize = core::mem::offset_of!(SlotHandle, slot);
