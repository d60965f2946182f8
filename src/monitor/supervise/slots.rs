//! Slots of replicas: setting them aside, finding a tree's, freeing a dead tree's.

use crate::layout::Slot;
use crate::layout::claim::{Freed, Identity};
use crate::layout::word::{Cmd, Command, Kind, Owner, Tag};
use crate::os::{identity, proc};
use crate::reader::Reader;
use crate::segment::{Presence, Segment, death};
use std::sync::Arc;

/// A replica's slot as it was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) index: u32,
    pub(super) generation: u16,
}

/// Whose slots are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The tree of a child that was given this slot.
    Spawned(Reserved),
    /// A process that others spawned, by a slot of which it was proven the owner.
    Other(u32, Owner),
}

impl Of {
    /// The slot that stands for all of them.
    pub(super) fn index(self) -> u32 {
        match self {
            Self::Spawned(reserved) => reserved.index,
            Self::Other(index, _) => index,
        }
    }
}

/// The slots, as a supervisor handles them.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) segment: Arc<Segment>,
    pid_namespace: u64,
    supervisor: u32,
}

impl Slots {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, pid_namespace: identity::pid_namespace(), supervisor: std::process::id() }
    }

    /// Whether the slots may be touched: in a file that was cut short that would be a SIGBUS. Asked before each use below.
    pub(super) fn readable(&self) -> bool {
        !matches!(self.segment.presence(), Presence::Truncated | Presence::Erased)
    }

    /// The segment, as events name it.
    pub(super) fn name(&self) -> String {
        self.segment.path().display().to_string()
    }

    /// A reader of all slots.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.segment))
    }

    /// Slot `index`, if it may be touched.
    pub(super) fn slot(&self, index: u32) -> Option<&Slot> {
        if self.readable() { self.segment.slot(index) } else { None }
    }

    /// Reserves slot `index`, if it is free, ours already, or proven dead.
    pub(super) fn reserve(&self, index: u32) -> Option<Reserved> {
        let slot = self.slot(index)?;
        let owner = slot.peek_owner();
        let reserved = match owner.tag() {
            Tag::Free => slot.reserve(owner, self.supervisor).ok()?,
            Tag::Reserved if owner.pid() == self.supervisor => owner,
            _ => {
                let dead = death::proven(&self.segment, slot, self.pid_namespace)?;
                slot.reclaim(dead, Freed::Reserved(self.supervisor)).then_some(dead)?
            }
        };
        Some(Reserved { index, generation: reserved.generation() })
    }

    /// A reservation of ours that a child was given which never claimed it, made anew for the next one; `None` where it is claimed
    /// by now.
    pub(super) fn renew(&self, reserved: Reserved) -> Option<Reserved> {
        let renewed = self.slot(reserved.index)?.renew(self.word(reserved)).ok()?;
        Some(Reserved { index: reserved.index, generation: renewed.generation() })
    }

    /// Reserves the first slot that can be had.
    pub(super) fn reserve_any(&self) -> Option<Reserved> {
        let ours = |index: u32| {
            self.slot(index).is_some_and(|slot| {
                let owner = slot.peek_owner();
                owner.tag() == Tag::Reserved && owner.pid() == self.supervisor
            })
        };
        (0..self.segment.len()).filter(|index| !ours(*index)).find_map(|index| self.reserve(index))
    }

    /// The word of a reservation of ours.
    fn word(&self, reserved: Reserved) -> Owner {
        Owner::new(reserved.generation, Tag::Reserved, Kind::Worker, self.supervisor)
    }

    /// Whether nobody has claimed it.
    pub(super) fn is_unclaimed(&self, reserved: Reserved) -> bool {
        self.slot(reserved.index).is_some_and(|slot| slot.peek_owner() == self.word(reserved))
    }

    /// Gives back a slot that was reserved and not claimed.
    pub(super) fn unreserve(&self, reserved: Reserved) {
        if let Some(slot) = self.slot(reserved.index) {
            slot.reclaim(self.word(reserved), Freed::Free);
        }
    }

    /// Takes a reservation over that a former supervisor made and nobody claimed yet.
    pub(super) fn take_over(&self, reserved: Reserved) {
        let owner = self.slot(reserved.index).map(Slot::peek_owner);
        if owner.is_some_and(|owner| owner.tag() == Tag::Reserved && owner.generation() == reserved.generation) {
            self.reserve(reserved.index);
        }
    }

    /// Whether an owner's pid means the same here as it does to itself.
    pub(super) fn is_here(&self, identity: &Identity) -> bool {
        self.pid_namespace != 0 && identity.pid_namespace == self.pid_namespace as u32
    }

    /// The owner of a slot, if it is proven dead.
    pub(super) fn proven_dead(&self, slot: &Slot) -> Option<Owner> {
        death::proven(&self.segment, slot, self.pid_namespace)
    }

    /// Whether the LIVE slot is theirs: of a tree that `pid` leads if it was claimed through its reservation, or by a process
    /// that the kernel places in its group or session; of another process if the kernel's name of its owner is the same.
    pub(super) fn is_of(&self, index: u32, owner: Owner, of: Of, pid: u32) -> bool {
        if owner.tag() != Tag::Live {
            return false;
        }
        let identity = |index: u32| self.slot(index).and_then(Slot::read_identity);
        match of {
            Of::Spawned(reserved) => {
                let by_reservation = index == reserved.index && owner.generation() == reserved.generation.wrapping_add(1);
                let here = || identity(index).is_some_and(|(read, id)| read == owner && self.is_here(&id));
                let with_leader =
                    || proc::stat(owner.pid()).is_ok_and(|stat| stat.group as u32 == pid || stat.session as u32 == pid);
                by_reservation || here() && (owner.pid() == pid || with_leader())
            }
            Of::Other(first, its) if first == index => its == owner,
            Of::Other(first, its) => match (identity(first), identity(index)) {
                (Some((a, one)), Some((b, other))) => {
                    a == its && b == owner && one.pidfd_ino != 0 && one.pidfd_ino == other.pidfd_ino
                }
                _ => false,
            },
        }
    }

    /// All LIVE slots of theirs.
    pub(super) fn of(&self, of: Of, pid: u32) -> Vec<(u32, Owner)> {
        if !self.readable() {
            return Vec::new();
        }
        let live = self.segment.slots().map(|(index, slot)| (index, slot.peek_owner()));
        live.filter(|(index, owner)| self.is_of(*index, *owner, of, pid)).collect()
    }

    /// Asks every worker of theirs to stop, through its command word.
    pub(super) fn ask_to_stop(&self, of: Of, pid: u32) {
        for (index, owner) in self.of(of, pid) {
            if let Some(slot) = self.segment.slot(index) {
                slot.publish_command(Cmd::new(owner.generation(), Command::Stop, 0));
            }
        }
    }

    /// Sets the slot of a reservation aside whose claimer should be dead and is not proven so: nobody gets it before there is
    /// proof. `false` where its owner is another one: a worker that came when the slot was free, and may well work.
    pub(super) fn quarantine(&self, reserved: Reserved) -> bool {
        let Some(slot) = self.segment.slot(reserved.index) else { return false };
        let owner = slot.peek_owner();
        let is_its_claimer = owner.tag() == Tag::Live && owner.generation() == reserved.generation.wrapping_add(1);
        is_its_claimer && slot.reclaim(owner, Freed::Quarantined)
    }

    /// Frees the slot of an owner whose exit was seen; `false` if it is not its own any more.
    pub(super) fn free(&self, index: u32, owner: Owner) -> bool {
        self.slot(index).is_some_and(|slot| slot.reclaim(owner, Freed::Free))
    }

    /// Frees the slot of this very owner, quarantined meanwhile or not, if it is proven dead. A later owner is not meant, dead
    /// or not: its own job would be lost without a word.
    pub(super) fn free_if_dead(&self, index: u32, owner: Owner) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let dead = death::proven(&self.segment, slot, self.pid_namespace);
        let dead = dead.filter(|dead| (dead.generation(), dead.pid()) == (owner.generation(), owner.pid()));
        dead.is_some_and(|dead| slot.reclaim(dead, Freed::Free))
    }
}
