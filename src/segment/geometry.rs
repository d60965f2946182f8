//! The size of a segment.

use super::validate::MAX_SLOTS;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::header::HEADER_LEN;
use crate::layout::slot::SLOT_LEN;

/// How many slots, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Number of slots.
    pub slots: u32,
    /// Bytes from one slot to the next: 1024, or 4096 where devices register a slot's page.
    pub slot_size: u32,
}

impl Default for Geometry {
    fn default() -> Self {
        Self { slots: 64, slot_size: SLOT_LEN as u32 }
    }
}

impl Geometry {
    pub(super) fn total_len(self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.slots) * u64::from(self.slot_size)
    }

    /// How many slots of this size so many bytes have room for.
    pub(super) fn fit(self, bytes: u64) -> u64 {
        (bytes.saturating_sub(HEADER_LEN as u64) / u64::from(self.slot_size)).min(MAX_SLOTS)
    }

    pub(super) fn check(self, what: &str) -> Result<()> {
        let bad = |why: String| Err(Error::new(ErrorKind::Usage, what, why));
        if self.slots == 0 || u64::from(self.slots) > MAX_SLOTS {
            return bad(format!("{} slots, expected 1 to {}", self.slots, MAX_SLOTS));
        }
        if !matches!(self.slot_size, 1024 | 4096) {
            return bad(format!("slot size {}, expected 1024, or 4096 for device slots", self.slot_size));
        }
        Ok(())
    }
}
