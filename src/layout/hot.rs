//! The hot line: what a step costs, and what a reader may conclude from it.
//!
//! The guarantee of one reading: `progress`, stamps, `total` and `lease` are at least as new as the `beat` read with them;
//! `progress` and `total` belong to the `epoch` and the `phase` read with them, or are nobody's ([`NO_PROGRESS`],
//! [`TOTAL_NONE`]) while the writer goes from one count to the next; all belong to the `owner` read with them. It is not
//! a mutual snapshot beyond that.

use super::slot::{NO_PROGRESS, TOTAL_NONE, TOTAL_UNKNOWN};
use super::word::{Beat, Epoch, Lease, Owner, PhaseWord, Tag};
use super::{MAX_TRIES, Slot};
use crate::sync::{Ordering::*, Site, at, fence};

/// The writer's own state: everything a step branches on is here, in the process, never in the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Pen {
    /// The beat word last stored: gen16|count48.
    pub(crate) local: u64,
    /// `done` of the last step in this count; 0 before the first, so that the first is no fall.
    pub(crate) last: u64,
    /// The least `done` that would advance past this count's mark; 0 before the first step. Kept only while stamps are on.
    pub(crate) next_mark: u64,
    /// The epoch word last stored.
    pub(crate) epoch: u64,
}

/// A count that a phase change sets aside: `inference` gets its own back when the job returns to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) progress: u64,
    pub(crate) total: u64,
    pub(crate) last: u64,
    pub(crate) next_mark: u64,
}

impl Count {
    pub(crate) const fn fresh(total: u64) -> Self {
        Self { progress: NO_PROGRESS, total, last: 0, next_mark: 0 }
    }
}

impl Pen {
    /// The pen of a fresh claim.
    pub(crate) const fn new(generation: u16) -> Self {
        Self { local: Beat::start(generation).0, last: 0, next_mark: 0, epoch: 0 }
    }

    /// A pen that never writes.
    pub(crate) const fn dead() -> Self {
        Self::new(0)
    }

    pub(crate) const fn generation(&self) -> u16 {
        Beat(self.local).generation()
    }

    /// `done` units are done. `now` is the coarse clock, or `None` with stamps off.
    #[inline(always)]
    pub(crate) fn step(&mut self, slot: &Slot, done: u64, now: Option<u64>) {
        if done < self.last {
            self.epoch = Epoch(self.epoch).next_fall().0;
            // Relaxed: the job and pass are unchanged, and a reader that sees the fall late sees it at the next poll.
            slot.epoch.store(self.epoch, Relaxed);
        }
        self.last = done;
        // Relaxed, here and for the stamps: the beat below carries them.
        slot.progress.store(done, Relaxed);
        if let Some(now) = now
            && done >= self.next_mark
        {
            self.next_mark = done.wrapping_add(1);
            slot.progress_stamp_ns.store(now, Relaxed);
        }
        self.beat(slot, now);
    }

    /// The working thread lives.
    #[inline(always)]
    pub(crate) fn beat(&mut self, slot: &Slot, now: Option<u64>) {
        if let Some(now) = now {
            slot.stamp_ns.store(now, Relaxed);
        }
        self.local = self.local.wrapping_add(1);
        // Release: pairs with the Acquire after the epoch in `Slot::read_hot`; a beat that is seen implies its progress.
        slot.beat.store(self.local, at(Site::BeatStore, Release));
    }

    /// Starts another count: a new job, pass or phase. A reader never pairs the old count's words with the new epoch or
    /// phase, nor the other way round: at the border it sees nobody's count, no progress of no total.
    pub(crate) fn boundary(&mut self, slot: &Slot, epoch: Epoch, phase: PhaseWord, count: Count) {
        // Nobody's: the new count's own words here could be read with the old epoch, which still stands.
        slot.progress.store(NO_PROGRESS, Relaxed);
        slot.total.store(TOTAL_NONE, Relaxed);
        // Release: pairs with the Acquire after the epoch in `read_hot`: the new epoch implies that the old count is gone.
        fence(Site::BoundaryBefore, Release);
        slot.epoch.store(epoch.0, Relaxed);
        slot.phase.store(phase.0, Relaxed);
        // Release: pairs with the Acquire before the second reading: a word of the new count implies the new epoch.
        fence(Site::BoundaryAfter, Release);
        // Relaxed: the beat that follows carries them.
        slot.total.store(count.total, Relaxed);
        slot.progress.store(count.progress, Relaxed);
        self.epoch = epoch.0;
        self.last = count.last;
        self.next_mark = count.next_mark;
    }

    /// Goes on from what a device wrote into its slot since this pen's last store, so that the beat never goes back and no fall
    /// is lost. The kernel has ended, and the host has waited for that. Words of another generation, job or pass are nobody's
    /// to go on from.
    pub(crate) fn resync(&mut self, slot: &Slot) {
        // Relaxed: waiting for the kernel's end made its stores visible; they precede whatever this thread does next.
        let beat = slot.peek_beat();
        if beat.generation() == self.generation() && beat.0 > self.local {
            self.local = beat.0;
        }
        let (epoch, mine) = (Epoch(slot.epoch.load(Relaxed)), Epoch(self.epoch));
        if (epoch.job(), epoch.pass()) == (mine.job(), mine.pass()) {
            self.epoch = epoch.0;
        }
        let progress = slot.progress.load(Relaxed);
        self.last = if progress == NO_PROGRESS { 0 } else { progress };
    }

    /// The count as it stands, to be set aside.
    pub(crate) fn count(&self, slot: &Slot) -> Count {
        // Relaxed: our own words; nobody else writes them.
        Count {
            progress: slot.progress.load(Relaxed),
            total: slot.total.load(Relaxed),
            last: self.last,
            next_mark: self.next_mark,
        }
    }
}

/// One consistent reading of a slot's hot words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HotWords {
    /// Whose words these are; its tag is LIVE.
    pub owner: Owner,
    /// The beat; credited only if its generation is the owner's.
    pub beat: Beat,
    /// Job, pass and falls.
    pub epoch: Epoch,
    /// The phase.
    pub phase: PhaseWord,
    /// Units done; [`NO_PROGRESS`] before the first step.
    pub progress: u64,
    /// Units in all.
    pub total: u64,
    /// The lease.
    pub lease: Lease,
    /// The helper's beat.
    pub alive: Beat,
    /// Coarse monotonic ns of the last beat; 0 = none. Advisory.
    pub stamp_ns: u64,
    /// Coarse monotonic ns of the last advance; 0 = none. Advisory.
    pub progress_stamp_ns: u64,
}

impl HotWords {
    /// As plain words, the owner left out: the order in which a trace has them.
    pub fn to_words(&self) -> [u64; 9] {
        let Self { beat, epoch, phase, progress, total, lease, alive, stamp_ns, progress_stamp_ns, .. } = *self;
        [beat.0, epoch.0, phase.0, progress, total, lease.0, alive.0, stamp_ns, progress_stamp_ns]
    }

    /// From such words; any nine are some.
    pub fn from_words(owner: Owner, words: [u64; 9]) -> Self {
        let [beat, epoch, phase, progress, total, lease, alive, stamp_ns, progress_stamp_ns] = words;
        Self {
            owner,
            beat: Beat(beat),
            epoch: Epoch(epoch),
            phase: PhaseWord(phase),
            progress,
            total,
            lease: Lease(lease),
            alive: Beat(alive),
            stamp_ns,
            progress_stamp_ns,
        }
    }

    /// The beat, if the owner wrote it: one of another generation is a zombie's and says nothing of this owner.
    pub fn own_beat(&self) -> Option<Beat> {
        (self.beat.generation() == self.owner.generation()).then_some(self.beat)
    }

    /// Units done; `None` before the first step.
    pub fn done(&self) -> Option<u64> {
        (self.progress != NO_PROGRESS).then_some(self.progress)
    }

    /// Units in all, where they are known.
    pub fn known_total(&self) -> Option<u64> {
        (self.total != TOTAL_NONE && self.total != TOTAL_UNKNOWN).then_some(self.total)
    }
}

/// Why a slot gave no hot words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRead {
    /// Its tag is not LIVE.
    NotLive(Owner),
    /// The writer changed epoch, phase or owner during every try: keep the last judgement for this poll.
    Busy,
}

impl Slot {
    /// The owner word alone.
    pub fn peek_owner(&self) -> Owner {
        // Relaxed: whoever acts on it swaps this exact word or reads it again.
        Owner(self.owner.load(Relaxed))
    }

    /// The beat word alone, with nothing known of the words beside it.
    pub fn peek_beat(&self) -> Beat {
        // Relaxed: compared for inequality only.
        Beat(self.beat.load(Relaxed))
    }

    /// The helper's word alone; in the same cache line as the beat.
    pub fn peek_alive(&self) -> Beat {
        // Relaxed: compared for inequality only.
        Beat(self.alive.load(Relaxed))
    }

    /// Reads the hot words so that they belong together; at most 8 tries.
    pub fn read_hot(&self) -> Result<HotWords, NotRead> {
        for _ in 0..MAX_TRIES {
            let owner = self.peek_owner();
            if owner.tag() != Tag::Live {
                return Err(NotRead::NotLive(owner));
            }
            // Acquire: pairs with the LIVE store; this owner implies its own first words.
            fence(Site::HotAfterOwner, Acquire);
            let beat = self.peek_beat();
            // No fence here: an epoch older than the beat is read again below, after a fence that knows the beat, and differs.
            let epoch = self.epoch.load(Relaxed);
            let phase = self.phase.load(Relaxed);
            // Acquire: pairs with the beat's Release, what follows is at least as new as the beat; and with the fence before
            // the boundary, the count is this epoch's or a newer one's.
            fence(Site::HotAfterEpoch, Acquire);
            let progress = self.progress.load(Relaxed);
            let total = self.total.load(Relaxed);
            let lease = self.lease.load(Relaxed);
            let alive = self.alive.load(Relaxed);
            let stamp_ns = self.stamp_ns.load(Relaxed);
            let progress_stamp_ns = self.progress_stamp_ns.load(Relaxed);
            // Acquire: pairs with the fence after the boundary and after the claim; a newer count's word shows here.
            fence(Site::HotRecheck, Acquire);
            let same =
                self.epoch.load(Relaxed) == epoch && self.phase.load(Relaxed) == phase && self.owner.load(Relaxed) == owner.0;
            if same {
                let words = [beat.0, epoch, phase, progress, total, lease, alive, stamp_ns, progress_stamp_ns];
                return Ok(HotWords::from_words(owner, words));
            }
        }
        Err(NotRead::Busy)
    }
}

// Words of the owner that ride on no other.
impl Slot {
    /// A helper's beat.
    pub(crate) fn publish_alive(&self, alive: Beat) {
        // Release: what the helper did before it said so is seen by whoever sees it.
        self.alive.store(alive.0, Release);
    }

    pub(crate) fn publish_lease(&self, lease: Lease) {
        // Relaxed: the beat that follows carries it.
        self.lease.store(lease.0, Relaxed);
    }

    pub(crate) fn publish_jobs(&self, ok: u64, failed: u32, cancelled: u32) {
        // Relaxed: counters for statistics.
        self.jobs_ok.store(ok, Relaxed);
        self.jobs_bad.store(u64::from(failed) << 32 | u64::from(cancelled), Relaxed);
    }

    /// Jobs that ended well, failed, and were cancelled.
    pub fn peek_jobs(&self) -> (u64, u32, u32) {
        // Relaxed: counters for statistics.
        let bad = self.jobs_bad.load(Relaxed);
        (self.jobs_ok.load(Relaxed), (bad >> 32) as u32, bad as u32)
    }

    /// Whether the command word asks `generation` to stop.
    pub(crate) fn peek_stop(&self, generation: u16) -> bool {
        let cmd = super::word::Cmd(self.cmd.load(Relaxed)); // Relaxed: a flag, seen a little later at worst
        cmd.generation() == generation && cmd.command() == super::word::Command::Stop
    }

    /// Writes the command word.
    pub(crate) fn publish_command(&self, cmd: super::word::Cmd) {
        self.cmd.store(cmd.0, Relaxed); // Relaxed: as in `peek_stop`
    }
}
