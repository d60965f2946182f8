//! What the system says of the machine and of workers' processes: exits through pidfds, and /proc for those past half a
//! budget, at most 64 a poll. A pid from shared memory is looked at, never signalled.

use super::exits::{Exits, Found, Watch};
use super::look::Looker;
use crate::clock;
use crate::layout::Slot;
use crate::layout::claim::Identity;
use crate::layout::word::{Owner, Tag};
use crate::os::proc::pressure::CpuPressure;
use crate::os::{identity, proc};
use crate::snapshot::{HostSnapshot, Probe, Process, SlotSnapshot};
use std::io;

/// Slots whose /proc is read in one poll.
const MAX_LOOKS: usize = 64;

/// What proves a slot's process dead.
#[derive(Debug, Clone, Copy)]
enum Exit {
    /// Nothing: it is in a pid namespace that cannot be seen from here.
    Unknowable,
    /// Nothing yet: each look asks anew.
    Unwatched,
    Watched(Watch),
    Proven,
}

#[derive(Debug)]
struct Known {
    owner: Owner,
    /// Its number here; 0 where it has none that is known.
    pid: u32,
    /// Its claiming thread's number here; 0 where that is not known.
    tid: u32,
    inode: u64,
    exit: Exit,
    /// What the last look found.
    found: Probe,
}

/// The probes of all slots.
#[derive(Debug)]
pub(super) struct Probes {
    exits: Exits,
    looker: Looker,
    pressure: CpuPressure,
    slots: Vec<Option<Known>>,
    pid_namespace: u64,
    turns: Turns,
    any_exit: bool,
}

impl Probes {
    pub(super) fn new(slots: u32) -> io::Result<Self> {
        Ok(Self {
            exits: Exits::new()?,
            looker: Looker::new(),
            pressure: CpuPressure::open(),
            slots: (0..slots).map(|_| None).collect(),
            pid_namespace: identity::pid_namespace(),
            turns: Turns::default(),
            any_exit: false,
        })
    }

    /// Begins a poll: takes in who has exited since the last one, and reads the machine.
    pub(super) fn begin(&mut self, monotonic_ns: u64) -> HostSnapshot {
        self.any_exit = self.exits.take_in();
        self.turns.begin();
        HostSnapshot { monotonic_ns, boottime_ns: clock::boottime_ns(), cpu_pressure_us: self.pressure.total_us() }
    }

    /// Slots whose process was found at the beginning of this poll to have exited.
    pub(super) fn exited(&self) -> Vec<u32> {
        if !self.any_exit {
            return Vec::new();
        }
        let has_exited = |known: &Known| matches!(known.exit, Exit::Watched(watch) if self.exits.has_exited(watch));
        let slots = self.slots.iter().enumerate().filter(|(_, known)| known.as_ref().is_some_and(has_exited));
        slots.map(|(index, _)| index as u32).collect()
    }

    /// Forgets a slot that is nobody's.
    fn forget(&mut self, index: u32) {
        if let Some(Known { exit: Exit::Watched(watch), .. }) = self.slots[index as usize].take() {
            self.exits.release(watch);
        }
    }

    /// Adds to what was read of a slot what is known of its process.
    pub(super) fn complete(&mut self, snapshot: &mut SlotSnapshot, slot: &Slot, look: bool) {
        if snapshot.hot.is_some() {
            snapshot.probe = self.process(snapshot.index, snapshot.owner, || slot.read_identity(), look);
        } else if snapshot.owner.tag() != Tag::Live {
            self.forget(snapshot.index);
        }
    }

    /// What is known of the owner's process. `look`: the slot is past half a budget. What a look found stands until the next
    /// one; a slot that is not past half a budget has given a sign of life since, and nothing stands.
    fn process(
        &mut self,
        index: u32,
        owner: Owner,
        read_identity: impl FnOnce() -> Option<(Owner, Identity)>,
        look: bool,
    ) -> Probe {
        let at = index as usize;
        if self.slots[at].as_ref().is_none_or(|known| known.owner != owner) {
            self.forget(index);
            match read_identity() {
                Some((read, identity)) if read == owner => self.slots[at] = Some(self.meet(owner, &identity)),
                _ => return Probe::default(),
            }
        }
        let Self { exits, looker, slots, turns, .. } = self;
        let Some(known) = &mut slots[at] else { return Probe::default() };
        if let Exit::Watched(watch) = known.exit
            && exits.has_exited(watch)
        {
            exits.release(watch);
            known.exit = Exit::Proven;
        }
        match known.exit {
            Exit::Proven => return ended(known.pid),
            Exit::Unknowable => return Probe::default(),
            Exit::Watched(_) | Exit::Unwatched => {}
        }
        if !look {
            known.found = Probe::default();
        } else if turns.take(at) {
            known.look(exits, looker);
            if matches!(known.exit, Exit::Proven) {
                return ended(known.pid);
            }
        }
        known.found
    }

    /// First sight of an owner, which is taken for one only if it is the very process that claimed.
    fn meet(&mut self, owner: Owner, identity: &Identity) -> Known {
        let inode = identity.pidfd_ino;
        if self.pid_namespace != 0 && identity.pid_namespace == self.pid_namespace as u32 {
            let exit = Exit::of(self.exits.watch(owner.pid(), inode));
            return Known { owner, pid: owner.pid(), tid: identity.tid, inode, exit, found: Probe::default() };
        }
        let sees_all = identity::sees_all_processes(self.pid_namespace);
        // One that has no descriptor to be watched with could be looked at by no number that is its own for sure.
        let exit = match self.exits.watch_below(inode, sees_all) {
            Found::Watched(watch) => Exit::Watched(watch),
            Found::Exited => Exit::Proven,
            Found::Alive | Found::Unknown => Exit::Unknowable,
        };
        let pid = if let Exit::Watched(watch) = exit { self.exits.pid(watch) } else { 0 };
        // Numbers of other threads are those of its own namespace.
        let tid = if identity.tid == owner.pid() { pid } else { 0 };
        Known { owner, pid, tid, inode, exit, found: Probe::default() }
    }
}

impl Exit {
    fn of(found: Found) -> Self {
        match found {
            Found::Watched(watch) => Self::Watched(watch),
            Found::Exited => Self::Proven,
            Found::Alive | Found::Unknown => Self::Unwatched,
        }
    }
}

impl Known {
    fn look(&mut self, exits: &mut Exits, looker: &mut Looker) {
        let pid = self.pid;
        if pid == 0 {
            return;
        }
        if matches!(self.exit, Exit::Unwatched) {
            let asked = exits.watch(pid, self.inode);
            self.exit = Exit::of(asked);
            if asked == Found::Unknown {
                self.found = Probe::default();
                return;
            }
        }
        self.found = looker.look(pid, self.tid);
        // It may have exited while it was looked at, and its number be another's: then what was read is not its own.
        match self.exit {
            Exit::Watched(watch) if exits.has_exited_by_now(watch) => {
                exits.release(watch);
                self.exit = Exit::Proven;
            }
            Exit::Unwatched => {
                self.exit = Exit::of(exits.watch(pid, self.inode));
            }
            _ => {}
        }
    }
}

/// An exit goes before all that was found. Reaped or not; its number may be another's by now, which then is no zombie.
fn ended(pid: u32) -> Probe {
    let zombie = pid != 0 && proc::stat(pid).is_ok_and(|stat| stat.state == 'Z');
    Probe { process: if zombie { Process::Zombie } else { Process::Gone }, ..Probe::default() }
}

/// Who may look at this poll. Slots ask in order; where more ask than may, the next poll goes on where this one stopped.
#[derive(Debug, Default)]
struct Turns {
    left: usize,
    /// The first slot that may look at this poll, and the one after the last that did.
    from: usize,
    next: usize,
    /// Somebody after them wanted to.
    more: bool,
}

impl Turns {
    fn begin(&mut self) {
        let from = if self.more { self.next } else { 0 };
        *self = Self { left: MAX_LOOKS, from, next: from, more: false };
    }

    fn take(&mut self, index: usize) -> bool {
        if index < self.from {
            return false;
        }
        let may = self.left > 0;
        self.more |= !may;
        if may {
            self.left -= 1;
            self.next = index + 1;
        }
        may
    }
}

#[cfg(test)]
mod tests;
