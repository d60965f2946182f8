//! Who has exited, by pidfds: one a process, shared by all its slots.
//!
//! A pidfd that is readable is proof of death; that no beat comes never is. A process in a pid namespace below ours is opened by
//! the inode that it wrote, which is the kernel's name for it; its number is another one here.

use crate::os::file;
use crate::os::pidfd::PidFd;
use crate::os::wake::Epoll;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;

/// A process that is watched for its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Watch(u64);

/// What asking for a process found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It lives, and its exit will be seen.
    Watched(Watch),
    /// It has exited: nobody has its number, or another process does.
    Exited,
    /// It is the very process and lived when asked; no descriptor is left to watch it with.
    Alive,
    /// Nothing could be found out.
    Unknown,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    inode: u64,
    fd: PidFd,
    exited: bool,
    slots: usize,
}

/// The processes that are watched.
#[derive(Debug)]
pub(super) struct Exits {
    epoll: Epoll,
    watched: HashMap<u64, Process>,
    /// The one that has this number now, as far as is known.
    by_pid: HashMap<u32, u64>,
    /// Those of pid namespaces below.
    by_inode: HashMap<u64, u64>,
    last: u64,
    /// Descriptors that may be held: the rest of the program needs some too.
    may_hold: usize,
    told: bool,
}

impl Exits {
    /// Holds three of four descriptors that the program may open, at most.
    pub(super) fn new() -> io::Result<Self> {
        Self::holding(file::max_open() / 4 * 3)
    }

    fn holding(may_hold: usize) -> io::Result<Self> {
        let (watched, by_pid, by_inode) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { epoll: Epoll::new()?, watched, by_pid, by_inode, last: 0, may_hold, told: false })
    }

    /// Takes in who has exited since the last time, and says whether anybody has. Never waits.
    pub(super) fn take_in(&mut self) -> bool {
        let mut any = false;
        for token in self.epoll.ready_now() {
            // Tokens are not given twice, so one of a process that is forgotten finds nobody.
            if let Some(process) = self.watched.get_mut(&token) {
                process.exited = true;
                any = true;
            }
        }
        any
    }

    /// Asks for the process that had this number, and this pidfd inode (0: not known), when it claimed.
    pub(super) fn watch(&mut self, pid: u32, inode: u64) -> Found {
        if let Some((token, process)) = self.by_pid.get(&pid).and_then(|token| Some((*token, self.watched.get_mut(token)?)))
            && !process.fd.has_exited()
        {
            if differ(process.inode, inode) {
                return Found::Exited;
            }
            process.slots += 1;
            return Found::Watched(Watch(token));
        }
        let fd = match PidFd::open(pid) {
            Ok(fd) => fd,
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Found::Exited,
            Err(e) => {
                self.tell_once(&e.to_string());
                return Found::Unknown;
            }
        };
        let now = fd.inode();
        if differ(now, inode) || fd.has_exited() {
            return Found::Exited;
        }
        let Some(token) = self.hold(Process { pid, inode: now, fd, exited: false, slots: 1 }) else { return Found::Alive };
        self.by_pid.insert(pid, token);
        Found::Watched(Watch(token))
    }

    /// Asks for the process that has this pidfd inode, in a pid namespace below ours. `sees_all`: there is none that cannot be
    /// seen from here.
    pub(super) fn watch_below(&mut self, inode: u64, sees_all: bool) -> Found {
        if inode == 0 {
            return Found::Unknown;
        }
        if let Some((token, process)) = self.by_inode.get(&inode).and_then(|token| Some((*token, self.watched.get_mut(token)?))) {
            process.slots += 1;
            return Found::Watched(Watch(token));
        }
        let fd = match PidFd::open_inode(inode) {
            Ok(fd) if fd.has_exited() => return Found::Exited,
            Ok(fd) => fd,
            Err(e) if e.raw_os_error() == Some(libc::ESTALE) && sees_all => return Found::Exited,
            Err(_) => return Found::Unknown,
        };
        let pid = fd.names().map_or(0, |names| names.here);
        let Some(token) = self.hold(Process { pid, inode, fd, exited: false, slots: 1 }) else { return Found::Alive };
        self.by_inode.insert(inode, token);
        Found::Watched(Watch(token))
    }

    /// Its number here; 0 where it cannot be told.
    pub(super) fn pid(&self, watch: Watch) -> u32 {
        self.watched.get(&watch.0).map_or(0, |process| process.pid)
    }

    /// `None`: no descriptor is left to watch it with.
    fn hold(&mut self, process: Process) -> Option<u64> {
        if self.watched.len() >= self.may_hold {
            self.tell_once(&format!("{} are held, and the rest of the program needs some", self.watched.len()));
            return None;
        }
        let token = self.last + 1;
        if let Err(e) = self.epoll.watch_once(process.fd.as_fd(), token) {
            self.tell_once(&e.to_string());
            return None;
        }
        self.last = token;
        self.watched.insert(token, process);
        Some(token)
    }

    /// Whether it has exited, as far as was taken in.
    pub(super) fn has_exited(&self, watch: Watch) -> bool {
        self.watched.get(&watch.0).is_some_and(|process| process.exited)
    }

    /// The same, asked now.
    pub(super) fn has_exited_by_now(&mut self, watch: Watch) -> bool {
        self.watched.get_mut(&watch.0).is_some_and(|process| {
            process.exited |= process.fd.has_exited();
            process.exited
        })
    }

    /// One slot needs it no more; the last one's closes the descriptor.
    pub(super) fn release(&mut self, watch: Watch) {
        let Some(process) = self.watched.get_mut(&watch.0) else { return };
        process.slots -= 1;
        if process.slots == 0 {
            if self.by_pid.get(&process.pid) == Some(&watch.0) {
                self.by_pid.remove(&process.pid);
            }
            if self.by_inode.get(&process.inode) == Some(&watch.0) {
                self.by_inode.remove(&process.inode);
            }
            self.watched.remove(&watch.0);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.watched.len()
    }

    fn tell_once(&mut self, why: &str) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(
                why,
                "no descriptor is left to watch every worker's process; the others are judged without proof of death until \
                 they are past half a budget (raise the limit of open files)"
            );
        }
    }
}

/// Pidfd inodes name a process for a boot; 0 is not known.
fn differ(one: u64, other: u64) -> bool {
    one != 0 && other != 0 && one != other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::tests::Subject;

    fn watched(found: Found) -> Watch {
        match found {
            Found::Watched(watch) => watch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hundred_thousand_slots_of_one_process_need_one_descriptor() {
        let child = Subject::sleeping();
        let mut exits = Exits::holding(1).expect("epoll");
        let inode = child.inode();
        let watches: Vec<Watch> = (0..100_000).map(|_| watched(exits.watch(child.pid(), inode))).collect();
        assert_eq!(exits.watched.len(), 1);
        assert!(!exits.has_exited(watches[0]));
        child.kill();
        exits.take_in();
        assert!(watches.iter().all(|watch| exits.has_exited(*watch)), "all its slots learn of its exit");
        for watch in watches {
            exits.release(watch);
        }
        assert!(exits.watched.is_empty() && exits.by_pid.is_empty(), "the last slot closes the descriptor");
    }

    #[test]
    fn where_descriptors_run_out_a_process_is_still_known_to_live_or_to_have_exited() {
        let (first, mut second) = (Subject::sleeping(), Subject::sleeping());
        let mut exits = Exits::holding(1).expect("epoll");
        let watch = watched(exits.watch(first.pid(), first.inode()));
        let (pid, inode) = (second.pid(), second.inode());
        assert_eq!(exits.watch(pid, inode), Found::Alive);
        assert!(exits.told, "it is said");
        second.end();
        assert_eq!(exits.watch(pid, inode), Found::Exited);
        exits.release(watch);
        let third = Subject::sleeping();
        watched(exits.watch(third.pid(), third.inode()));
    }

    #[test]
    fn another_process_of_the_same_number_is_proof_of_death() {
        let child = Subject::sleeping();
        let mut exits = Exits::holding(8).expect("epoll");
        let inode = child.inode();
        if inode == 0 {
            return crate::os::tests::skip("another_process_of_the_same_number_is_proof_of_death: pidfds have no inodes here");
        }
        assert_eq!(exits.watch(child.pid(), inode + 1), Found::Exited, "opened anew");
        watched(exits.watch(child.pid(), inode));
        assert_eq!(exits.watch(child.pid(), inode + 1), Found::Exited, "already watched");
        watched(exits.watch(child.pid(), 0));
    }

    #[test]
    fn one_that_exited_is_never_shared_with_a_later_claim() {
        let mut child = Subject::sleeping();
        let mut exits = Exits::holding(8).expect("epoll");
        let (pid, inode) = (child.pid(), child.inode());
        let watch = watched(exits.watch(pid, inode));
        child.end();
        assert_eq!(exits.watch(pid, inode), Found::Exited, "though nobody has taken in its exit yet");
        assert!(!exits.has_exited(watch) && exits.has_exited_by_now(watch));
    }
}
