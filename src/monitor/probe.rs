//! What the system says of workers' processes: exits through pidfds, and /proc/PID/stat for those past half a budget, at most
//! 64 a poll. A pid from shared memory is looked at, never signalled.

use crate::layout::claim::Identity;
use crate::layout::word::Owner;
use crate::os::pidfd::PidFd;
use crate::os::wake::Epoll;
use crate::os::{identity, proc};
use crate::snapshot::{HostSnapshot, Probe, Process};
use std::io;
use std::os::fd::AsFd;

/// Slots whose /proc is read in one poll.
const MAX_LOOKS: usize = 64;

#[derive(Debug)]
struct Watched {
    owner: Owner,
    /// `None`: another pid namespace, or no descriptors left.
    fd: Option<PidFd>,
    exited: bool,
}

/// The probes of all slots.
#[derive(Debug)]
pub(super) struct Probes {
    epoll: Epoll,
    slots: Vec<Option<Watched>>,
    pid_namespace: u32,
    looks: usize,
    turn: usize,
}

impl Probes {
    pub(super) fn new(slots: u32) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            slots: (0..slots).map(|_| None).collect(),
            pid_namespace: identity::pid_namespace() as u32,
            looks: 0,
            turn: 0,
        })
    }

    /// Begins a poll: takes in who has exited since the last one.
    pub(super) fn begin(&mut self, monotonic_ns: u64) -> HostSnapshot {
        for token in self.epoll.ready_now() {
            if let Some(Some(watched)) = self.slots.get_mut(token as usize) {
                // A token may be of a former owner of the slot, whose descriptor was closed meanwhile: ask this one.
                watched.exited = watched.fd.as_ref().is_some_and(PidFd::has_exited);
            }
        }
        self.looks = MAX_LOOKS;
        self.turn = self.turn.wrapping_add(1);
        HostSnapshot { monotonic_ns, boottime_ns: crate::clock::boottime_ns(), cpu_pressure_us: None }
    }

    /// Whether `index` may look into /proc at this poll; where more want to than may, they take turns.
    fn may_look(&mut self, index: usize) -> bool {
        let (turns, turn) = (self.slots.len().div_ceil(MAX_LOOKS).max(1), self.turn);
        let ours = self.slots.len() <= MAX_LOOKS || index % turns == turn % turns;
        let may = ours && self.looks > 0;
        self.looks -= usize::from(may);
        may
    }

    pub(super) fn exited(&self) -> Vec<u32> {
        (0..self.slots.len() as u32).filter(|i| self.slots[*i as usize].as_ref().is_some_and(|w| w.exited)).collect()
    }

    /// Forgets a slot that is nobody's.
    pub(super) fn forget(&mut self, index: u32) {
        self.slots[index as usize] = None;
    }

    /// What is known of the owner's process. `look`: its state is wanted too.
    pub(super) fn process(
        &mut self,
        index: u32,
        owner: Owner,
        read_identity: impl FnOnce() -> Option<(Owner, Identity)>,
        look: bool,
    ) -> Probe {
        Probe { process: self.process_(index, owner, read_identity, look), ..Probe::default() }
    }
    fn process_(
        &mut self,
        index: u32,
        owner: Owner,
        read_identity: impl FnOnce() -> Option<(Owner, Identity)>,
        look: bool,
    ) -> Process {
        let at = index as usize;
        if self.slots[at].as_ref().is_none_or(|watched| watched.owner != owner) {
            self.slots[at] = None;
            match read_identity() {
                Some((read, identity)) if read == owner => self.slots[at] = Some(self.watch(index, owner, &identity)),
                _ => return Process::Unknown,
            }
        }
        let may_look = look && self.may_look(at);
        let Some(watched) = &self.slots[at] else { return Process::Unknown };
        if watched.exited {
            // Reaped or not; its number may be another's by now, which then is no zombie.
            let zombie = proc::stat(owner.pid()).is_ok_and(|stat| stat.state == 'Z');
            return if zombie { Process::Zombie } else { Process::Gone };
        }
        if !may_look || watched.fd.is_none() {
            return Process::Unknown;
        }
        match proc::stat(owner.pid()) {
            Ok(stat) if matches!(stat.state, 'T' | 't') => Process::Stopped,
            Ok(_) => Process::Running,
            Err(_) => Process::Unknown,
        }
    }

    /// Opens a pidfd on the owner, and takes it for the owner only if it is the very process that claimed.
    fn watch(&self, index: u32, owner: Owner, identity: &Identity) -> Watched {
        let unknown = Watched { owner, fd: None, exited: false };
        if self.pid_namespace == 0 || identity.pid_namespace != self.pid_namespace {
            return unknown;
        }
        let fd = match PidFd::open(owner.pid()) {
            Ok(fd) => fd,
            Err(e) => return Watched { exited: e.raw_os_error() == Some(libc::ESRCH), ..unknown },
        };
        let now = fd.inode();
        if now != 0 && identity.pidfd_ino != 0 && now != identity.pidfd_ino {
            return Watched { exited: true, ..unknown };
        }
        if self.epoll.watch_once(fd.as_fd(), u64::from(index)).is_err() {
            return unknown;
        }
        Watched { fd: Some(fd), ..unknown }
    }
}
