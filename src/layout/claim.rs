//! Who owns a slot: claim, release, reserve, reclaim, and the reading of an identity.
//!
//! ```text
//!            reserve                 claim                     LIVE store
//!   FREE g ───────────► RESERVED g ─────────► CLAIMING g+1 ───────────────► LIVE g+1
//!     ▲  └───────────────── claim ───────────────▲   │                        │   │
//!     │                                              │ reclaim (proof of      │   │ take over, same
//!     └──────────────── release by the owner ◄───────┴ death only) ◄──────────┘   │ identity after exec
//!                                                                CLAIMING g+2 ◄───┘
//! ```
//!
//! The generation grows by one at every claim, and where a reservation is made anew: for the next child, when the one that it was
//! made for has gone and never claimed it. So no straggler of that one gets it, and whoever watches sees that it is another one.
//! Freeing swaps the exact word, never stores blindly: a late release must not free the next owner's slot.

use super::Slot;
use super::hot::Count;
use super::word::{Beat, Kind, Owner, PhaseWord, Tag};
use crate::sync::{Ordering::*, Site, at, fence};

/// Words that name a claimer, as it read them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// Field 22 of its stat, in its own time namespace.
    pub starttime: u64,
    /// Inode of its pidfd; 0 where the kernel has none (before 6.9).
    pub pidfd_ino: u64,
    /// Low 32 bits of its pid namespace's inode.
    pub pid_namespace: u32,
    /// Low 32 bits of its time namespace's inode.
    pub time_namespace: u32,
    /// The claiming thread.
    pub tid: u32,
    /// Device or stream number; 0 where there is none.
    pub sub: u32,
    /// CLOCK_BOOTTIME of the claim.
    pub claimed_boottime_ns: u64,
}

/// Where a slot goes when its owner is proven dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freed {
    /// To anyone.
    Free,
    /// To the child that the supervisor with this pid will spawn.
    Reserved(u32),
    /// To nobody, until the owner's exit is proven.
    Quarantined,
}

impl Slot {
    /// Claims the slot if its owner word is still `expected`, which must be FREE, RESERVED, or LIVE with the caller's own
    /// identity (after exec). `while_claiming` runs before the slot becomes LIVE. Returns the new owner word.
    pub(crate) fn claim(
        &self,
        expected: Owner,
        kind: Kind,
        pid: u32,
        identity: &Identity,
        while_claiming: impl FnOnce(&Self, u16),
    ) -> Result<Owner, Owner> {
        let generation = expected.generation().wrapping_add(1);
        let claiming = Owner::new(generation, Tag::Claiming, kind, pid);
        // Acquire: pairs with the freeing CAS; the last owner's words are seen before ours replace them.
        self.owner.compare_exchange(expected.0, claiming.0, at(Site::ClaimCas, Acquire), Relaxed).map_err(Owner)?;
        // Release: no ordering of the swap (AcqRel neither) holds our stores behind its own; with this fence a word of ours
        // that is seen implies CLAIMING.
        fence(Site::ClaimFence, Release);
        self.beat.store(Beat::start(generation).0, Relaxed);
        self.alive.store(Beat::start(generation).0, Relaxed);
        let fresh = Count::fresh(super::slot::TOTAL_NONE);
        self.progress.store(fresh.progress, Relaxed);
        self.total.store(fresh.total, Relaxed);
        self.phase.store(PhaseWord::default().0, Relaxed);
        for zeroed in [&self.epoch, &self.lease, &self.stamp_ns, &self.progress_stamp_ns, &self.jobs_ok, &self.jobs_bad] {
            zeroed.store(0, Relaxed);
        }
        self.starttime.store(identity.starttime, Relaxed);
        self.pidfd_ino.store(identity.pidfd_ino, Relaxed);
        self.namespaces.store(u64::from(identity.pid_namespace) << 32 | u64::from(identity.time_namespace), Relaxed);
        self.tid.store(u64::from(identity.tid) << 32 | u64::from(identity.sub), Relaxed);
        self.claimed_boottime_ns.store(identity.claimed_boottime_ns, Relaxed);
        while_claiming(self, generation);
        let live = Owner::new(generation, Tag::Live, kind, pid);
        // Release: pairs with the Acquire after the owner in `read_hot` and `read_identity`.
        self.owner.store(live.0, at(Site::LiveStore, Release));
        Ok(live)
    }

    /// The owner frees its slot; `false` if it is no longer its own.
    pub(crate) fn release(&self, own: Owner) -> bool {
        // Release: pairs with the claiming CAS; the next owner sees all of ours.
        self.owner.compare_exchange(own.0, own.freed().0, at(Site::ReleaseCas, Release), Relaxed).is_ok()
    }

    /// Sets a free slot aside for a child of `supervisor`. Returns the word that the child may claim.
    pub(crate) fn reserve(&self, expected: Owner, supervisor: u32) -> Result<Owner, Owner> {
        if expected.tag() != Tag::Free {
            return Err(expected);
        }
        let reserved = Owner::new(expected.generation(), Tag::Reserved, Kind::Worker, supervisor);
        // Relaxed: a swap passes on what the freeing swap published, and the reserver has nothing to add.
        self.owner.compare_exchange(expected.0, reserved.0, Relaxed, Relaxed).map(|_| reserved).map_err(Owner)
    }

    /// Makes a reservation anew that its child did not claim. Returns the word that the next child may claim.
    pub(crate) fn renew(&self, reserved: Owner) -> Result<Owner, Owner> {
        if reserved.tag() != Tag::Reserved {
            return Err(reserved);
        }
        let next = Owner::new(reserved.generation().wrapping_add(1), Tag::Reserved, reserved.kind(), reserved.pid());
        // Relaxed: as in `reserve`.
        self.owner.compare_exchange(reserved.0, next.0, Relaxed, Relaxed).map(|_| next).map_err(Owner)
    }

    /// Takes the slot from a dead owner: `observed` is the exact word that was there when the death was proven.
    pub(crate) fn reclaim(&self, observed: Owner, to: Freed) -> bool {
        let next = match to {
            Freed::Free => observed.freed(),
            Freed::Reserved(supervisor) => Owner::new(observed.generation(), Tag::Reserved, Kind::Worker, supervisor),
            Freed::Quarantined => Owner::new(observed.generation(), Tag::Quarantined, observed.kind(), observed.pid()),
        };
        // Release: pairs with the claiming CAS; the next owner sees what the dead one wrote, as the proof of death showed it.
        self.owner.compare_exchange(observed.0, next.0, at(Site::ReclaimCas, Release), Relaxed).is_ok()
    }

    /// The identity that belongs to a LIVE or QUARANTINED owner word, or `None` when there is none or it changed meanwhile.
    pub fn read_identity(&self) -> Option<(Owner, Identity)> {
        let owner = self.peek_owner();
        // A slot is quarantined by a swap of the LIVE word, which passes on what the LIVE store published.
        if !matches!(owner.tag(), Tag::Live | Tag::Quarantined) {
            return None;
        }
        // Acquire: pairs with the LIVE store.
        fence(Site::IdentityAfterOwner, Acquire);
        let namespaces = self.namespaces.load(Relaxed);
        let tid = self.tid.load(Relaxed);
        let identity = Identity {
            starttime: self.starttime.load(Relaxed),
            pidfd_ino: self.pidfd_ino.load(Relaxed),
            pid_namespace: (namespaces >> 32) as u32,
            time_namespace: namespaces as u32,
            tid: (tid >> 32) as u32,
            sub: tid as u32,
            claimed_boottime_ns: self.claimed_boottime_ns.load(Relaxed),
        };
        // Acquire: pairs with the fence after the claiming CAS; a later claimer's word shows in the owner.
        fence(Site::IdentityRecheck, Acquire);
        (self.peek_owner() == owner).then_some((owner, identity))
    }
}
