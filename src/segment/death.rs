//! Proof of death, the only thing that frees another's slot. Silence is never proof, nor is anything that is unknown.

use super::Segment;
use crate::layout::Slot;
use crate::layout::word::{Owner, Tag};
use crate::os::identity;
use crate::os::pidfd::PidFd;

/// The exact owner word that is proven dead, or `None` where there is no proof. `pid_namespace` is the caller's.
pub(crate) fn proven(segment: &Segment, slot: &Slot, pid_namespace: u64) -> Option<Owner> {
    let owner = slot.peek_owner();
    match owner.tag() {
        Tag::Live | Tag::Quarantined => {
            let (owner, identity) = slot.read_identity()?;
            // A pid means nothing in another pid namespace.
            let is_here = pid_namespace != 0 && identity.pid_namespace == pid_namespace as u32;
            let gone = if is_here {
                is_gone(owner.pid(), identity.pidfd_ino)
            } else {
                is_gone_elsewhere(identity.pidfd_ino, pid_namespace)
            };
            gone.then_some(owner)
        }
        // No identity words are theirs: only a pid that is gone counts, and only in the namespace that made the segment. A
        // child of a supervisor that is gone finds its reservation taken and claims a free slot.
        Tag::Claiming | Tag::Reserved if pid_namespace != 0 && segment.fixed().creator_pidns_ino == pid_namespace => {
            is_gone(owner.pid(), 0).then_some(owner)
        }
        _ => None,
    }
}

/// The same in whatever pid namespace it was, by the kernel's name for it alone. That it cannot be found is proof only where every
/// process can be seen.
fn is_gone_elsewhere(pidfd_ino: u64, pid_namespace: u64) -> bool {
    if pidfd_ino == 0 {
        return false;
    }
    match PidFd::open_inode(pidfd_ino) {
        Ok(fd) => fd.has_exited(),
        Err(e) => e.raw_os_error() == Some(libc::ESTALE) && identity::sees_all_processes(pid_namespace),
    }
}

/// Whether no process has this number, or one that has exited, or another one by now.
fn is_gone(pid: u32, pidfd_ino: u64) -> bool {
    match PidFd::open(pid) {
        Err(e) => e.raw_os_error() == Some(libc::ESRCH),
        // A zombie that its parent never reaps must not keep its slot.
        Ok(fd) if fd.has_exited() => true,
        Ok(fd) => match (fd.inode(), pidfd_ino) {
            // Without inodes (before 6.9) a reborn pid cannot be told from the old one here: no proof.
            (0, _) | (_, 0) => false,
            (now, then) => now != then,
        },
    }
}
