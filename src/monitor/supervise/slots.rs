//! Slots of replicas: setting them aside, finding a tree's, freeing a dead tree's.

use crate::layout::Slot;
use crate::layout::claim::Freed;
use crate::layout::word::{Cmd, Command, Owner, Tag};
use crate::os::{identity, proc};
use crate::segment::{Presence, Segment, death};
use std::sync::Arc;

/// A replica's slot as it was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) index: u32,
    pub(super) generation: u16,
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

    /// Gives back a slot that was reserved and not claimed.
    pub(super) fn unreserve(&self, reserved: Reserved) {
        if let Some(slot) = self.slot(reserved.index) {
            let owner = slot.peek_owner();
            if owner.tag() == Tag::Reserved && owner.pid() == self.supervisor && owner.generation() == reserved.generation {
                slot.reclaim(owner, Freed::Free);
            }
        }
    }

    /// Whether the LIVE slot is one of the tree that `child` leads: claimed through its reservation, or by a process that
    /// the kernel places in its group.
    pub(super) fn is_of_tree(&self, index: u32, owner: Owner, reserved: Reserved, child: u32) -> bool {
        let by_reservation = index == reserved.index && owner.generation() == reserved.generation.wrapping_add(1);
        let here = || {
            let identity = self.slot(index).and_then(|slot| slot.read_identity());
            identity.is_some_and(|(read, id)| read == owner && id.pid_namespace == self.pid_namespace as u32)
        };
        let in_group = || owner.pid() == child || proc::stat(owner.pid()).is_ok_and(|stat| stat.group as u32 == child);
        owner.tag() == Tag::Live && (by_reservation || here() && in_group())
    }

    /// All LIVE slots of the tree.
    pub(super) fn of_tree(&self, reserved: Reserved, child: u32) -> Vec<(u32, Owner)> {
        if !self.readable() {
            return Vec::new();
        }
        let live = self.segment.slots().map(|(index, slot)| (index, slot.peek_owner()));
        live.filter(|(index, owner)| self.is_of_tree(*index, *owner, reserved, child)).collect()
    }

    /// Asks every worker of the tree to stop, through its command word.
    pub(super) fn ask_to_stop(&self, reserved: Reserved, child: u32) {
        for (index, owner) in self.of_tree(reserved, child) {
            if let Some(slot) = self.segment.slot(index) {
                slot.publish_command(Cmd::new(owner.generation(), Command::Stop, 0));
            }
        }
    }

    /// Sets a slot aside whose owner should be dead and is not proven so: nobody gets it before there is proof.
    pub(super) fn quarantine(&self, index: u32) {
        if let Some(slot) = self.segment.slot(index) {
            let owner = slot.peek_owner();
            if owner.tag() == Tag::Live {
                slot.reclaim(owner, Freed::Quarantined);
            }
        }
    }

    /// Frees a slot of a tree whose leader was reaped and whose group was killed, if its owner is proven dead.
    pub(super) fn free_if_dead(&self, index: u32) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        death::proven(&self.segment, slot, self.pid_namespace).is_some_and(|dead| slot.reclaim(dead, Freed::Free))
    }
}
