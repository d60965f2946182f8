//! The monitor's words: one writer, the monitor that holds the lock; readers are told what it last saw. All Relaxed: each is
//! advisory for display, or checked against the worker's own words before an age goes on.

use super::word::{Beat, Epoch, Owner};
use super::{Header, Slot};
use crate::sync::Ordering::Relaxed;

/// What a monitor wrote into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The last beat it saw.
    pub beat: Beat,
    /// Its clock then, excused time added.
    pub beat_at: u64,
    /// The mark; `u64::MAX` for none.
    pub mark: u64,
    /// Its clock when that rose, excused time added.
    pub progress_at: u64,
    /// The epoch that these belong to, with the falls at the mark.
    pub epoch: Epoch,
    /// The verdict: verdict8|reason8|gen16|entry32.
    pub verdict: VerdictWord,
    /// Number of the open episode; 0 = none.
    pub episode: u64,
}

/// verdict8|reason8|gen16|entry32: the generation says whose verdict it is, the entry which phase the mark is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerdictWord(pub u64);

impl VerdictWord {
    /// Packs it. `reason` is the clock that expired, 0 = none.
    pub const fn new(verdict: u8, reason: u8, generation: u16, entry: u32) -> Self {
        Self((verdict as u64) << 56 | (reason as u64) << 48 | (generation as u64) << 32 | entry as u64)
    }

    /// The verdict's number.
    pub const fn verdict(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// The clock that expired.
    pub const fn reason(self) -> u8 {
        (self.0 >> 48) as u8
    }

    /// Number of the phase's entry.
    pub const fn entry(self) -> u32 {
        self.0 as u32
    }

    /// Whose verdict.
    pub const fn generation(self) -> u16 {
        (self.0 >> 32) as u16
    }
}

impl Slot {
    /// What the monitor wrote here.
    pub fn peek_seen(&self) -> Seen {
        Seen {
            beat: Beat(self.seen_beat.load(Relaxed)),
            beat_at: self.beat_at.load(Relaxed),
            mark: self.high_mark.load(Relaxed),
            progress_at: self.progress_at.load(Relaxed),
            epoch: Epoch(self.epoch_seen.load(Relaxed)),
            verdict: VerdictWord(self.verdict.load(Relaxed)),
            episode: self.episode.load(Relaxed),
        }
    }

    /// Writes it down, for readers and for the next monitor.
    pub(crate) fn publish_seen(&self, seen: &Seen) {
        for (word, value) in [
            (&self.seen_beat, seen.beat.0),
            (&self.beat_at, seen.beat_at),
            (&self.high_mark, seen.mark),
            (&self.progress_at, seen.progress_at),
            (&self.epoch_seen, seen.epoch.0),
            (&self.verdict, seen.verdict.0),
            (&self.episode, seen.episode),
        ] {
            word.store(value, Relaxed);
        }
    }

    /// How often this slot's worker was replaced.
    pub fn peek_restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Counts a replacement.
    pub(crate) fn publish_restarts(&self, restarts: u64) {
        self.restarts.store(restarts, Relaxed);
    }
}

/// What a monitor wrote into the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorWords {
    /// One a poll.
    pub beat: Beat,
    /// CLOCK_MONOTONIC of the last poll, in the monitor's time namespace.
    pub stamp_ns: u64,
    /// The monitor: informs, the lock decides.
    pub owner: Owner,
    /// Its poll interval.
    pub interval_ns: u64,
    /// Inode of its time namespace.
    pub timens_ino: u64,
    /// Its accumulated clock.
    pub clock_ns: u64,
    /// Inference's longer budget and two polls.
    pub worst_case_detection_ns: u64,
}

impl Header {
    /// What the monitor wrote here.
    pub fn peek_monitor(&self) -> MonitorWords {
        MonitorWords {
            beat: Beat(self.mon_beat.load(Relaxed)),
            stamp_ns: self.mon_stamp_ns.load(Relaxed),
            owner: Owner(self.mon_owner.load(Relaxed)),
            interval_ns: self.mon_interval_ns.load(Relaxed),
            timens_ino: self.mon_timens_ino.load(Relaxed),
            clock_ns: self.mon_clock_ns.load(Relaxed),
            worst_case_detection_ns: self.worst_case_detection_ns.load(Relaxed),
        }
    }

    /// A monitor takes over: who it is and how it polls.
    pub(crate) fn publish_monitor(&self, words: &MonitorWords, starttime: u64, pidfd_ino: u64) {
        for (word, value) in [
            (&self.mon_owner, words.owner.0),
            (&self.mon_starttime, starttime),
            (&self.mon_pidfd_ino, pidfd_ino),
            (&self.mon_interval_ns, words.interval_ns),
            (&self.mon_timens_ino, words.timens_ino),
            (&self.worst_case_detection_ns, words.worst_case_detection_ns),
        ] {
            word.store(value, Relaxed);
        }
        self.publish_poll(words.beat, words.stamp_ns, words.clock_ns);
    }

    /// One poll more.
    pub(crate) fn publish_poll(&self, beat: Beat, stamp_ns: u64, clock_ns: u64) {
        self.mon_clock_ns.store(clock_ns, Relaxed);
        self.mon_stamp_ns.store(stamp_ns, Relaxed);
        self.mon_beat.store(beat.0, Relaxed);
    }
}
