//! A slot: 1024 bytes, 128-aligned, one writer a line. Offsets are the contract; the asserts below hold them.

use super::info::INFO_WORDS;
use crate::sync::AtomicU64;

/// No progress reported yet in this count: not the same as 0.
pub const NO_PROGRESS: u64 = u64::MAX;
/// `total`: the job reports progress, its total is not known (a decoder's tokens).
pub const TOTAL_UNKNOWN: u64 = u64::MAX;
/// `total`: the job reports no progress; it is judged by its heartbeat alone.
pub const TOTAL_NONE: u64 = 0;
/// Bytes of a slot that this version knows. Strides come from the header and may be larger (4096 for devices).
pub const SLOT_LEN: usize = 1024;

/// One info record's words. Under loom it is shorter, so that models stay small; the code is the same.
#[repr(C)]
#[derive(Debug)]
pub struct InfoWords(pub(crate) [AtomicU64; INFO_WORDS]);

/// A slot. `seen_*` and the words after it belong to the monitor, so that ages outlive it.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Slot {
    /// 000 gen16|count48, Release, last of every report.
    pub(crate) beat: AtomicU64,
    /// 008 units done in this count; [`NO_PROGRESS`] before the first.
    pub(crate) progress: AtomicU64,
    /// 010 id16|flags16|entry32.
    pub(crate) phase: AtomicU64,
    /// 018 coarse monotonic ns of the last beat; 0 = none.
    pub(crate) stamp_ns: AtomicU64,
    /// 020 seq16|ms48.
    pub(crate) lease: AtomicU64,
    /// 028 job32|pass16|falls16.
    pub(crate) epoch: AtomicU64,
    /// 030 coarse monotonic ns of the last advance past the writer's own mark.
    pub(crate) progress_stamp_ns: AtomicU64,
    /// 038 gen16|count48, by a helper thread. Here, so that one cache line shows a monitor every sign of life; a helper
    /// speaks too seldom for the line's sharing to be felt.
    pub(crate) alive: AtomicU64,
    /// 040 units in all: [`TOTAL_NONE`], [`TOTAL_UNKNOWN`], or a number.
    pub(crate) total: AtomicU64,
    /// 048 jobs that ended well.
    pub(crate) jobs_ok: AtomicU64,
    /// 050 failed32|cancelled32.
    pub(crate) jobs_bad: AtomicU64,
    /// 058 to 07F, written as 0.
    pub(crate) reserved: [AtomicU64; 5],
    /// 080 gen16|tag8|kind8|pid32.
    pub(crate) owner: AtomicU64,
    /// 088 field 22 of the claimer's stat, as the claimer read it.
    pub(crate) starttime: AtomicU64,
    /// 090 inode of the claimer's pidfd; 0 unknown.
    pub(crate) pidfd_ino: AtomicU64,
    /// 098 pidns32|timens32, low halves of the namespaces' inode numbers.
    pub(crate) namespaces: AtomicU64,
    /// 0A0 tid32|sub32.
    pub(crate) tid: AtomicU64,
    /// 0A8 CLOCK_BOOTTIME ns of the claim.
    pub(crate) claimed_boottime_ns: AtomicU64,
    /// 0B0 gen16|cmd8|arg40.
    pub(crate) cmd: AtomicU64,
    /// 0B8 number of info records published; its low bit names the readable copy.
    pub(crate) info_seq: AtomicU64,
    /// 0C0 the monitor's last seen beat.
    pub(crate) seen_beat: AtomicU64,
    /// 0C8 the monitor's clock when it changed.
    pub(crate) beat_at: AtomicU64,
    /// 0D0 verdict8|reason8|gen16|entry32.
    pub(crate) verdict: AtomicU64,
    /// 0D8 replacements of this slot's worker.
    pub(crate) restarts: AtomicU64,
    /// 0E0 the highest progress the monitor saw in this count.
    pub(crate) high_mark: AtomicU64,
    /// 0E8 the monitor's clock when it rose.
    pub(crate) progress_at: AtomicU64,
    /// 0F0 the epoch those two belong to.
    pub(crate) epoch_seen: AtomicU64,
    /// 0F8 number of the open episode; 0 = none.
    pub(crate) episode: AtomicU64,
    /// 100 and 280.
    pub(crate) info: [InfoWords; 2],
}

/// The words of a slot before its info records, in order: name, offset. The drawing that C, the golden bytes and
/// `inspect` are tested against.
pub const FIELDS: [(&str, usize); 32] = [
    ("beat", 0x00),
    ("progress", 0x08),
    ("phase", 0x10),
    ("stamp_ns", 0x18),
    ("lease", 0x20),
    ("epoch", 0x28),
    ("progress_stamp_ns", 0x30),
    ("alive", 0x38),
    ("total", 0x40),
    ("jobs_ok", 0x48),
    ("jobs_bad", 0x50),
    ("reserved0", 0x58),
    ("reserved1", 0x60),
    ("reserved2", 0x68),
    ("reserved3", 0x70),
    ("reserved4", 0x78),
    ("owner", 0x80),
    ("starttime", 0x88),
    ("pidfd_ino", 0x90),
    ("namespaces", 0x98),
    ("tid", 0xa0),
    ("claimed_boottime_ns", 0xa8),
    ("cmd", 0xb0),
    ("info_seq", 0xb8),
    ("seen_beat", 0xc0),
    ("beat_at", 0xc8),
    ("verdict", 0xd0),
    ("restarts", 0xd8),
    ("high_mark", 0xe0),
    ("progress_at", 0xe8),
    ("epoch_seen", 0xf0),
    ("episode", 0xf8),
];

impl Slot {
    /// The raw words, for tools that show them. Each is read once; the set is no mutual snapshot.
    pub fn raw_words(&self) -> [u64; 32] {
        use crate::sync::Ordering::Relaxed; // nothing rides on a display
        let r = &self.reserved;
        [
            &self.beat,
            &self.progress,
            &self.phase,
            &self.stamp_ns,
            &self.lease,
            &self.epoch,
            &self.progress_stamp_ns,
            &self.alive,
            &self.total,
            &self.jobs_ok,
            &self.jobs_bad,
            &r[0],
            &r[1],
            &r[2],
            &r[3],
            &r[4],
            &self.owner,
            &self.starttime,
            &self.pidfd_ino,
            &self.namespaces,
            &self.tid,
            &self.claimed_boottime_ns,
            &self.cmd,
            &self.info_seq,
            &self.seen_beat,
            &self.beat_at,
            &self.verdict,
            &self.restarts,
            &self.high_mark,
            &self.progress_at,
            &self.epoch_seen,
            &self.episode,
        ]
        .map(|word| word.load(Relaxed))
    }

    /// A slot on the heap, all zero, for tests and models.
    #[cfg(test)]
    pub(crate) fn zeroed() -> Self {
        let word = || AtomicU64::new(0);
        let info = || InfoWords(std::array::from_fn(|_| word()));
        Self {
            beat: word(),
            progress: word(),
            phase: word(),
            stamp_ns: word(),
            lease: word(),
            epoch: word(),
            progress_stamp_ns: word(),
            total: word(),
            alive: word(),
            jobs_ok: word(),
            jobs_bad: word(),
            reserved: std::array::from_fn(|_| word()),
            owner: word(),
            starttime: word(),
            pidfd_ino: word(),
            namespaces: word(),
            tid: word(),
            claimed_boottime_ns: word(),
            cmd: word(),
            info_seq: word(),
            seen_beat: word(),
            beat_at: word(),
            verdict: word(),
            restarts: word(),
            high_mark: word(),
            progress_at: word(),
            epoch_seen: word(),
            episode: word(),
            info: [info(), info()],
        }
    }
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<Slot>() == SLOT_LEN && align_of::<Slot>() == 128);
    assert!(offset_of!(Slot, beat) == 0x00 && offset_of!(Slot, progress) == 0x08 && offset_of!(Slot, phase) == 0x10);
    assert!(offset_of!(Slot, stamp_ns) == 0x18 && offset_of!(Slot, lease) == 0x20 && offset_of!(Slot, epoch) == 0x28);
    assert!(offset_of!(Slot, progress_stamp_ns) == 0x30 && offset_of!(Slot, alive) == 0x38);
    assert!(offset_of!(Slot, total) == 0x40 && offset_of!(Slot, jobs_ok) == 0x48 && offset_of!(Slot, jobs_bad) == 0x50);
    assert!(offset_of!(Slot, reserved) == 0x58 && offset_of!(Slot, owner) == 0x80 && offset_of!(Slot, starttime) == 0x88);
    assert!(offset_of!(Slot, pidfd_ino) == 0x90 && offset_of!(Slot, namespaces) == 0x98 && offset_of!(Slot, tid) == 0xa0);
    assert!(offset_of!(Slot, claimed_boottime_ns) == 0xa8 && offset_of!(Slot, cmd) == 0xb0);
    assert!(offset_of!(Slot, info_seq) == 0xb8 && offset_of!(Slot, seen_beat) == 0xc0 && offset_of!(Slot, beat_at) == 0xc8);
    assert!(offset_of!(Slot, verdict) == 0xd0 && offset_of!(Slot, restarts) == 0xd8 && offset_of!(Slot, high_mark) == 0xe0);
    assert!(offset_of!(Slot, progress_at) == 0xe8 && offset_of!(Slot, epoch_seen) == 0xf0);
    assert!(offset_of!(Slot, episode) == 0xf8 && offset_of!(Slot, info) == 0x100 && size_of::<InfoWords>() == 384);
};
