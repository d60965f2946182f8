//! Whether the process that owns a slot may be signalled though this monitor did not spawn it.
//!
//! ```text
//! byte <slot> of <segment>.liveness ── held by ──► pid, as the kernel names it here ── opened ──► pidfd
//!            ▲                                                                                      │
//!            └─ still held by it, and all that the slot says of its owner is true of it ◄── asked ──┘
//! ```
//!
//! The slot's words can be written by anybody who maps the segment, so they never name a target: they can only spare one. What
//! names it is a lock that nobody can take for another. Whatever is not known counts against a signal.

use crate::layout::claim::Identity;
use crate::layout::word::{Owner, Tag};
use crate::os::liveness::{Holder, Holders};
use crate::os::pidfd::PidFd;
use crate::os::{file, identity, proc};
use crate::segment::{Segment, path};
use std::fmt;

/// A process that may be signalled, through this handle and no other way.
#[derive(Debug)]
pub(in crate::monitor) struct Proven {
    pub(in crate::monitor) fd: PidFd,
    /// Its number here; the owner word has the one in its own pid namespace.
    pub(in crate::monitor) pid: u32,
}

/// Why it may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::monitor) enum Unproven {
    /// The slot has another owner by now.
    Changed,
    /// There is no lock file, or it cannot be used.
    NoFile,
    /// Nobody holds the byte.
    NotHeld,
    /// The holder's pid namespace cannot be seen from here.
    Unseen,
    /// The lock is of a kind that names no process.
    Strange,
    /// It is this process.
    Ourselves,
    /// It is process 1 here.
    Init,
    /// It has exited.
    Exited,
    /// No handle on it could be had.
    NoHandle,
    /// /proc shows another pid namespace than this one's, or nothing.
    ForeignProc,
    /// /proc does not show the process to this user.
    Hidden,
    /// The holder has another number than the owner word.
    OtherPid,
    /// The holder is another process than the one that claimed the slot.
    OtherProcess,
    /// Nothing that the slot says of the claimer can be compared here.
    Incomparable,
    /// Not all of its user ids are ours.
    OtherUser,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "its slot has another owner by now",
            Self::NoFile => {
                "there is no '.liveness' file of ours beside the segment: it attached with an older hangwatch, or the file was removed"
            }
            Self::NotHeld => {
                "its process holds no lock on its byte of '<segment>.liveness': it attached with an older hangwatch, has exec'd \
                 since and not attached again, or closed the file with another copy of the library; attach it anew"
            }
            Self::Unseen => "it runs in a pid namespace that cannot be seen from here: watch from the host, or from its own container",
            Self::Strange => "its byte of '<segment>.liveness' has a lock that hangwatch did not take",
            Self::Ourselves => "it is this very process",
            Self::Init => "it is process 1 of this pid namespace, whose end would be everybody's",
            Self::Exited => "it has exited",
            Self::NoHandle => "no pidfd could be had for it",
            Self::ForeignProc => "/proc is not mounted for this pid namespace, so its user cannot be asked for",
            Self::Hidden => "/proc hides its process from this user (hidepid), so its user cannot be asked for",
            Self::OtherPid => "the pid in its slot is not the one that holds the slot's lock: the slot's words were forged",
            Self::OtherProcess => "the process that holds the slot's lock is not the one that claimed the slot",
            Self::Incomparable => {
                "this kernel has no pidfd inodes (before 6.9) and it runs in another time namespace: nothing tells it from another process"
            }
            Self::OtherUser => "its process runs as another user than this monitor",
        })
    }
}

/// Asks for proofs. While it lives it keeps the lock file open, for a process opens that once.
#[derive(Debug)]
pub(in crate::monitor) struct Prover {
    here: Here,
    kept: Option<Holders>,
}

/// The namespaces in which the kernel answers us.
#[derive(Debug, Clone, Copy)]
struct Here {
    pid_namespace: u32,
    time_namespace: u32,
}

impl Prover {
    pub(in crate::monitor) fn new() -> Self {
        let here = Here { pid_namespace: identity::pid_namespace() as u32, time_namespace: identity::time_namespace() as u32 };
        Self { here, kept: None }
    }

    /// The process that owns slot `index`, if it is proven to be the one that `owner` says. Bounded; meant for a thread that
    /// may wait for a few system calls, not for the scan.
    pub(in crate::monitor) fn prove(&mut self, segment: &Segment, index: u32, owner: Owner) -> Result<Proven, Unproven> {
        let slot = segment.slot(index).ok_or(Unproven::Changed)?;
        let identity = || match slot.read_identity() {
            Some((read, identity)) if read == owner && owner.tag() == Tag::Live => Ok(identity),
            _ => Err(Unproven::Changed),
        };
        let claimed = identity()?;
        // Asked by its path each time: the file may have been replaced. The one from before is let go of after that.
        let opened =
            Holders::of(&file::sidecar(segment.path(), path::LIVENESS), segment.access()).map_err(|_| Unproven::NoFile)?;
        let holders = self.kept.insert(opened);
        let holder = || match holders.holder(index) {
            Ok(Holder::Process(pid)) => Ok(pid),
            Ok(Holder::Nobody) => Err(Unproven::NotHeld),
            Ok(Holder::Us) => Err(Unproven::Ourselves),
            Ok(Holder::Unseen) => Err(Unproven::Unseen),
            Ok(Holder::Strange) => Err(Unproven::Strange),
            Err(_) => Err(Unproven::NoFile),
        };
        let pid = holder()?;
        if pid == std::process::id() {
            return Err(Unproven::Ourselves);
        }
        if pid == 1 {
            return Err(Unproven::Init);
        }
        let fd = PidFd::open(pid).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH) => Unproven::Exited,
            _ => Unproven::NoHandle,
        })?;
        // All that follows is asked with the handle open: it holds for the process of the handle, or it is caught by the end.
        self.here.compare(&fd, pid, owner, &claimed)?;
        if fd.has_exited() {
            return Err(Unproven::Exited);
        }
        if holder()? != pid || identity()? != claimed {
            return Err(Unproven::Changed);
        }
        Ok(Proven { fd, pid })
    }
}

impl Here {
    /// What the slot says of its claimer against what the kernel says of the process.
    fn compare(self, fd: &PidFd, pid: u32, owner: Owner, claimed: &Identity) -> Result<(), Unproven> {
        let names = fd.names().ok_or(Unproven::ForeignProc)?;
        if names.here != pid {
            return Err(Unproven::ForeignProc);
        }
        let is_here = self.pid_namespace != 0 && claimed.pid_namespace == self.pid_namespace;
        if names.innermost != owner.pid() || is_here && owner.pid() != pid {
            return Err(Unproven::OtherPid);
        }
        match (fd.inode(), claimed.pidfd_ino) {
            (now, then) if now != 0 && then != 0 => {
                if now != then {
                    return Err(Unproven::OtherProcess);
                }
            }
            // A start time is of the reader's time namespace.
            _ if claimed.time_namespace != self.time_namespace => return Err(Unproven::Incomparable),
            _ => {
                let hidden = |_| if fd.has_exited() { Unproven::Exited } else { Unproven::Hidden };
                if proc::stat(pid).map_err(hidden)?.starttime != claimed.starttime {
                    return Err(Unproven::OtherProcess);
                }
            }
        }
        // A /proc that hides others' processes hides who runs them; the handle tells (Linux 6.13).
        let users = proc::user_ids(pid).ok().or_else(|| fd.user_ids());
        let users = users.ok_or(if fd.has_exited() { Unproven::Exited } else { Unproven::Hidden })?;
        if users.iter().any(|user| *user != file::euid()) {
            return Err(Unproven::OtherUser);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
