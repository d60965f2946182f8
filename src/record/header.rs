//! The first 32 bytes of a trace. Little-endian.
//!
//! ```text
//! 00 magic[8]   08 version u16   0A zero u16   0C slots u32   10 slot_size u32   14 poll_interval_ns u64   1C crc u32
//! ```

use super::crc::crc32;

/// What a trace begins with.
pub const MAGIC: [u8; 8] = *b"hwtrace\0";
/// The version that this build writes, and the only one that it reads.
pub const VERSION: u16 = 1;
/// Bytes of a header.
pub const HEADER_LEN: usize = 32;
/// More slots than any segment has: a header that says more is garbage.
pub const MAX_SLOTS: u32 = 1 << 20;

/// What holds for a whole trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Slots of the segment.
    pub slots: u32,
    /// Bytes of a slot.
    pub slot_size: u32,
    /// The pause between two polls, in ns.
    pub poll_interval_ns: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.slots.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.slot_size.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.poll_interval_ns.to_le_bytes());
        let crc = crc32(&[&bytes[..28]]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, or where and why it is none.
    pub(super) fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, (u64, String)> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..8] != MAGIC {
            return Err((0, "it does not begin like a trace".into()));
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err((8, format!("version {version}, this build reads {VERSION}")));
        }
        if u32_at(28) != crc32(&[&bytes[..28]]) {
            return Err((28, "the header's checksum is wrong".into()));
        }
        let slots = u32_at(12);
        if slots > MAX_SLOTS {
            return Err((12, format!("{slots} slots, at most {MAX_SLOTS} are believed")));
        }
        let poll_interval_ns = u64::from(u32_at(24)) << 32 | u64::from(u32_at(20));
        Ok(Self { slots, slot_size: u32_at(16), poll_interval_ns })
    }
}
