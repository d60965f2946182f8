//! The header: 4096 bytes. Its first 256 bytes never change once the magic is there; the rest is the monitor's and the
//! workers' shared state.

use super::phase::USER_PHASES;
use super::user_phase::Entry;
use super::{VERSION_MAJOR, VERSION_MINOR, fnv1a64};
use crate::sync::AtomicU64;

/// "HGWTCH01", little endian; stored last, with Release.
pub const MAGIC: u64 = 0x3130_4843_5457_4748;
/// Reads as another number on a machine of the other endianness.
pub const ABI_TAG: u64 = 0x0807_0605_0403_0201;
/// Bytes of the header that this version writes.
pub const HEADER_LEN: usize = 4096;
/// Incompatible features that this version knows: none.
pub const KNOWN_INCOMPAT: u64 = 0;
/// Words of the fixed part: 000 to 0FF.
pub const FIXED_WORDS: usize = 32;

/// State of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// In use.
    Open,
    /// Its owner is shutting down.
    Closing,
    /// A newer segment has its name.
    Superseded,
    /// Not written by this version.
    Unknown(u64),
}

impl SegmentState {
    /// From the word.
    pub const fn from_bits(bits: u64) -> Self {
        match bits {
            1 => Self::Open,
            2 => Self::Closing,
            3 => Self::Superseded,
            other => Self::Unknown(other),
        }
    }

    /// To the word.
    pub const fn bits(self) -> u64 {
        match self {
            Self::Open => 1,
            Self::Closing => 2,
            Self::Superseded => 3,
            Self::Unknown(other) => other,
        }
    }
}

/// The header as it lies in the segment.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Header {
    /// 000 to 0FF: [`Fixed`], written before the magic.
    pub(crate) fixed: [AtomicU64; FIXED_WORDS],
    /// 100 gen16|count48, one a poll.
    pub(crate) mon_beat: AtomicU64,
    /// 108 CLOCK_MONOTONIC of the last poll.
    pub(crate) mon_stamp_ns: AtomicU64,
    /// 110 as a slot's owner word; informs, the lock decides.
    pub(crate) mon_owner: AtomicU64,
    /// 118
    pub(crate) mon_starttime: AtomicU64,
    /// 120
    pub(crate) mon_pidfd_ino: AtomicU64,
    /// 128
    pub(crate) mon_interval_ns: AtomicU64,
    /// 130 [`SegmentState`].
    pub(crate) seg_state: AtomicU64,
    /// 138 inode of the monitor's time namespace.
    pub(crate) mon_timens_ino: AtomicU64,
    /// 140 the sum of clamped poll intervals; every age is a difference of it.
    pub(crate) mon_clock_ns: AtomicU64,
    /// 148 inference budget + 2 polls.
    pub(crate) worst_case_detection_ns: AtomicU64,
    reserved_150: [AtomicU64; 6],
    /// 180 where the next free claim starts looking; on a line of its own.
    pub(crate) claim_hint: AtomicU64,
    reserved_188: [AtomicU64; 79],
    /// 400 user phases.
    pub(crate) user_phases: [Entry; USER_PHASES],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Header>() == HEADER_LEN && offset_of!(Header, mon_beat) == 0x100);
    assert!(offset_of!(Header, mon_owner) == 0x110 && offset_of!(Header, mon_interval_ns) == 0x128);
    assert!(offset_of!(Header, seg_state) == 0x130 && offset_of!(Header, mon_clock_ns) == 0x140);
    assert!(offset_of!(Header, worst_case_detection_ns) == 0x148 && offset_of!(Header, claim_hint) == 0x180);
    assert!(offset_of!(Header, user_phases) == 0x400);
};

/// The fixed part as plain data. `Fixed::words` and `Fixed::from_words` are the only code that knows its offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fixed {
    /// 010 major<<32 | minor.
    pub version: u64,
    /// 018 bytes of the header.
    pub header_len: u64,
    /// 020 bytes of a slot.
    pub slot_size: u64,
    /// 028 number of slots.
    pub slot_count: u64,
    /// 030 where slot 0 starts.
    pub slots_off: u64,
    /// 038 bytes of the segment.
    pub total_len: u64,
    /// 040 features without which it cannot be read.
    pub feat_incompat: u64,
    /// 048 features that may be ignored.
    pub feat_compat: u64,
    /// 050 random.
    pub segment_id: [u64; 2],
    /// 060 the boot that made it.
    pub boot_id: [u64; 2],
    /// 070 CLOCK_BOOTTIME of its creation.
    pub created_boottime_ns: u64,
    /// 078 CLOCK_REALTIME of its creation.
    pub created_realtime_ns: u64,
    /// 080 the creator's pid, in its own namespace.
    pub creator_pid: u64,
    /// 088
    pub creator_starttime: u64,
    /// 090
    pub creator_pidns_ino: u64,
    /// 098 0 none, 1 CLOCK_MONOTONIC.
    pub stamp_clock: u64,
    /// 0A0 inode of the creator's time namespace.
    pub timens_ino: u64,
}

impl Fixed {
    /// This version's number as a word.
    pub const VERSION: u64 = (VERSION_MAJOR as u64) << 32 | VERSION_MINOR as u64;

    /// The words of 000 to 0FF, magic and check included.
    pub fn words(&self) -> [u64; FIXED_WORDS] {
        let mut words = [0; FIXED_WORDS];
        words[0] = MAGIC;
        words[1] = ABI_TAG;
        words[2..21].copy_from_slice(&[
            self.version,
            self.header_len,
            self.slot_size,
            self.slot_count,
            self.slots_off,
            self.total_len,
            self.feat_incompat,
            self.feat_compat,
            self.segment_id[0],
            self.segment_id[1],
            self.boot_id[0],
            self.boot_id[1],
            self.created_boottime_ns,
            self.created_realtime_ns,
            self.creator_pid,
            self.creator_starttime,
            self.creator_pidns_ino,
            self.stamp_clock,
            self.timens_ino,
        ]);
        words[31] = check(&words);
        words
    }

    /// The fields of any words; validation is the segment's.
    pub fn from_words(words: &[u64; FIXED_WORDS]) -> Self {
        Self {
            version: words[2],
            header_len: words[3],
            slot_size: words[4],
            slot_count: words[5],
            slots_off: words[6],
            total_len: words[7],
            feat_incompat: words[8],
            feat_compat: words[9],
            segment_id: [words[10], words[11]],
            boot_id: [words[12], words[13]],
            created_boottime_ns: words[14],
            created_realtime_ns: words[15],
            creator_pid: words[16],
            creator_starttime: words[17],
            creator_pidns_ino: words[18],
            stamp_clock: words[19],
            timens_ino: words[20],
        }
    }

    /// Major version.
    pub const fn major(&self) -> u32 {
        (self.version >> 32) as u32
    }

    /// Minor version.
    pub const fn minor(&self) -> u32 {
        self.version as u32
    }
}

/// `hdr_check` of the fixed words: FNV-1a of 008 to 0F7.
pub fn check(words: &[u64; FIXED_WORDS]) -> u64 {
    fnv1a64(words[1..31].iter().copied())
}
