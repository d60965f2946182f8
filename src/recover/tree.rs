//! A tree of processes: a leader and all that came of it, whatever session, group or parent they have by now.
//!
//! ```text
//!   who is of the tree                                        how that is proven, after a handle on it was opened
//!   in the tree's cgroup                                      the kernel says so
//!   in the leader's group or session, where it leads one      the number is still the leader's
//!   child of one that is of the tree                          its parent is still there, and still its parent
//!   seen before                                               the handle is kept
//!   orphan that came to us, with the leader's own variables   what it was started with
//! ```
//! Every signal goes through a handle: a pid read from shared memory is never signalled. Nothing here waits.

mod members;
#[cfg(test)]
mod tests;

use crate::os::cgroup_tree::Cgroup;
use crate::os::pidfd::PidFd;
use crate::os::spawn::{self, spawn_session};
use crate::os::{children, file, proc};
use members::{Leader, Members};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// How often the tree is looked over in one call while somebody new is found each time: more than one that is held still needs.
const ROUNDS: usize = 4;

/// The variables that mark a worker and all that it starts: this segment, this slot and generation.
const MARKS: [&str; 2] = ["HANGWATCH_SEGMENT", "HANGWATCH_SLOT"];

/// What to spawn.
#[derive(Debug, Clone)]
pub(crate) struct Spawn<'a> {
    /// The program and its arguments.
    pub(crate) argv: &'a [OsString],
    /// Added to our own environment.
    pub(crate) variables: &'a [(String, String)],
    /// Left out of what it inherits.
    pub(crate) without: &'a [&'a str],
    /// Where its standard output and error go; `None`: to ours.
    pub(crate) output: Option<&'a File>,
    /// Where the child writes that it is there.
    pub(crate) journal: Option<Journal<'a>>,
    /// The name of a cgroup of its own, made under ours where that is delegated.
    pub(crate) cgroup: Option<String>,
}

/// A file that gets one line of the child before it becomes its program: the words, its number and its pidfd's inode (0: the
/// kernel has none), with a space between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journal<'a> {
    /// Open for appending.
    pub(crate) file: &'a File,
    /// What to write before the numbers.
    pub(crate) words: &'a str,
}

/// How a leader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was no child of ours, and the kernel does not tell.
    Unknown,
}

impl Exit {
    fn of_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Code(status >> 8 & 0xff),
            signal => Self::Signal(signal),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self::of_status(status.into_raw())
    }
}

impl From<spawn::Exit> for Exit {
    fn from(exit: spawn::Exit) -> Self {
        match exit {
            spawn::Exit::Code(code) => Self::Code(code),
            spawn::Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an exit code that nobody knows"),
        }
    }
}

/// Why a process is not taken for the child of a supervisor that is gone.
#[derive(Debug)]
pub(crate) enum NotAdopted {
    /// It has ended.
    Gone,
    /// Its number is another process's.
    AnotherProcess,
    /// It is run by another user than ours.
    AnotherUser,
    /// It cannot be known.
    Unknown(io::Error),
}

impl std::fmt::Display for NotAdopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("it has ended"),
            Self::AnotherProcess => f.write_str("its number is another process's now"),
            Self::AnotherUser => f.write_str("it is run by another user"),
            Self::Unknown(e) => write!(f, "it cannot be known whether it is the same: {e}"),
        }
    }
}

/// A leader and all that came of it.
#[derive(Debug)]
pub(crate) struct Tree {
    leader: Leader,
    inode: u64,
    starttime: u64,
    /// Its user and group are ours: otherwise /proc says 0 for the status that it may hide.
    tells_status: bool,
    /// Ours to wait for, if it is our child.
    is_ours: bool,
    /// A child that the program around us made and reaps, and that may become a leader yet.
    is_hosts: bool,
    cgroup: Option<Cgroup>,
    /// As `NAME=value`; empty: not known.
    marks: Vec<String>,
    members: Members,
}

impl Tree {
    /// Spawns a leader of a session and group of its own, with signals as at a login and nothing to read.
    pub(crate) fn spawn(spec: &Spawn<'_>) -> io::Result<Self> {
        let [program, arguments @ ..] = spec.argv else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
        let mut command = Command::new(program);
        for name in spec.without {
            command.env_remove(name);
        }
        command.args(arguments).envs(spec.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        if let Some(output) = spec.output {
            command.stdout(output.try_clone()?).stderr(output.try_clone()?);
        }
        let (cgroup, door) = spec.cgroup.as_deref().and_then(Cgroup::make).unzip();
        let journal = spec.journal.map(|journal| (journal.file.as_fd(), journal.words));
        let child = spawn_session(command, journal, door.as_ref().map(AsFd::as_fd));
        let entered = child.as_ref().is_ok_and(|child| child.in_cgroup);
        if let Some(unused) = cgroup.as_ref().filter(|_| !entered) {
            unused.remove();
        }
        let child = child?;
        let mut tree = Self::new(child.fd, child.pid, true);
        // It is not reaped before we do it, so these two are its own; it leads from before it became its program.
        tree.leader.leads = (true, true);
        tree.cgroup = cgroup.filter(|_| entered);
        tree.marked(spec.variables);
        Ok(tree)
    }

    /// Takes over the child of a supervisor that is gone, if the process with that number is the one with that inode; with that
    /// start time where the kernel has no inodes. Both are of this boot.
    pub(crate) fn adopt(pid: u32, inode: u64, starttime: u64) -> Result<Self, NotAdopted> {
        let fd = PidFd::open(pid).map_err(|e| if is_gone(&e) { NotAdopted::Gone } else { NotAdopted::Unknown(e) })?;
        let mut tree = Self::new(fd, pid, true);
        let is_same = match (inode, tree.inode) {
            (0, _) | (_, 0) => starttime != 0 && tree.starttime == starttime,
            (recorded, now) => recorded == now,
        };
        let uid = tree.leader.fd.ids().map_or_else(|| proc::uid(pid), |(uid, _)| Ok(uid));
        // After all was asked: what it said was of the process that the handle is on.
        let has_ended = tree.leader.fd.has_exited();
        let refused = match uid {
            _ if has_ended && is_same => Some(NotAdopted::Gone),
            _ if !is_same => Some(NotAdopted::AnotherProcess),
            // A child of root's may have given root up.
            Ok(uid) if uid != file::euid() && file::euid() != 0 => Some(NotAdopted::AnotherUser),
            Ok(_) => None,
            Err(e) => Some(NotAdopted::Unknown(e)),
        };
        if let Some(refused) = refused {
            tree.is_ours = false;
            return Err(refused);
        }
        tree.cgroup = Cgroup::of(pid).filter(|cgroup| cgroup.holds(pid, &tree.leader.fd));
        children::await_too(pid);
        Ok(tree)
    }

    /// A worker that somebody else spawned and that the caller knows through this very handle. It is not ours to wait for.
    pub(crate) fn of_other(proven: PidFd, pid: u32) -> Self {
        Self::new(proven, pid, false)
    }

    /// A child of this process that is known through this very handle, and that somebody else here reaps.
    pub(crate) fn of_host(child: PidFd, pid: u32) -> Self {
        let mut tree = Self::new(child, pid, false);
        tree.is_hosts = true;
        tree
    }

    fn new(fd: PidFd, pid: u32, is_ours: bool) -> Self {
        let stat = proc::stat(pid).ok();
        let leader = Leader::new(pid, fd, stat.as_ref());
        let (inode, starttime) = (leader.fd.inode(), stat.map_or(0, |stat| stat.starttime));
        let tells_status = leader.fd.ids() == Some((file::euid(), file::egid()));
        let (marks, members) = (Vec::new(), Members::default());
        Self { leader, inode, starttime, tells_status, is_ours, is_hosts: false, cgroup: None, marks, members }
    }

    /// Tells an orphan of it by the variables that its leader was started with, for one that was not spawned here.
    pub(crate) fn marked(&mut self, variables: &[(String, String)]) {
        let marks = variables.iter().filter(|(name, _)| MARKS.contains(&name.as_str()));
        self.marks = marks.map(|(name, value)| format!("{name}={value}")).collect();
        // A segment without a slot is shared by all workers of it.
        if self.marks.len() < MARKS.len() {
            self.marks.clear();
        }
    }

    /// The leader's number.
    pub(crate) fn pid(&self) -> u32 {
        self.leader.pid
    }

    /// The leader's inode; 0 where the kernel has none.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// The leader's start time in ticks since boot; 0 if it was gone before it could be read.
    pub(crate) fn starttime(&self) -> u64 {
        self.starttime
    }

    /// Another handle on the leader.
    pub(crate) fn handle(&self) -> io::Result<PidFd> {
        self.leader.fd.try_clone()
    }

    /// Whether the tree is in a cgroup of its own.
    #[cfg(test)]
    pub(crate) fn uses_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Asks the tree to end. A stopped process would not hear SIGTERM, so it is continued too.
    pub(crate) fn terminate(&mut self) -> io::Result<()> {
        self.look_all_over();
        let asked = self.signal(libc::SIGTERM);
        asked.and(self.signal(libc::SIGCONT))
    }

    /// Ends the tree. It is held still first, so that nobody forks away while it is looked over.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let _ = self.signal(libc::SIGSTOP);
            if !self.look() {
                break;
            }
        }
        if let Some(cgroup) = &self.cgroup {
            // The signals below go to all that are seen in it.
            let _ = cgroup.kill();
        }
        self.signal(libc::SIGKILL)
    }

    /// A child of the host's making leads a session once it has made one: looked for until then, its zombie too.
    pub(crate) fn look_at_leader(&mut self) {
        if !self.is_hosts || self.leader.leads == (true, true) {
            return;
        }
        // While it was not reaped its number is its own.
        let has_its_number = |leader: &Leader| spawn::peek_exit(&leader.fd).is_ok() || !leader.fd.has_exited();
        match proc::stat(self.leader.pid) {
            Ok(stat) if has_its_number(&self.leader) => self.leader.leads = self.leader.leads_by(&stat),
            // A fork server reaps it as soon as it ends.
            _ if self.leader.fd.has_exited() && self.leader.has_a_group() => self.leader.leads = (true, true),
            _ => {}
        }
    }

    /// How the leader ended, if it has. Never waits, and leaves it to be reaped.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let fd = &self.leader.fd;
        if (self.is_ours || self.is_hosts)
            && let Ok(of_child) = spawn::peek_exit(fd)
        {
            return of_child.map(Exit::from);
        }
        if !fd.has_exited() {
            return None;
        }
        // Its parent may reap it at any moment: while it has not its stat tells, and from then on its handle.
        let of_zombie = || {
            let stat = proc::stat(self.leader.pid).ok()?;
            let status = stat.exit_status.filter(|status| self.tells_status || *status != 0)?;
            (stat.starttime == self.starttime && stat.state == 'Z').then_some(status)
        };
        let status = fd.reaped_status().or_else(of_zombie).or_else(|| fd.reaped_status());
        Some(status.map_or(Exit::Unknown, Exit::of_status))
    }

    /// After the leader's exit: ends what is left of the tree. How many are still there, those included of which it is not known
    /// yet; to be called again until there is none. Never waits.
    pub(crate) fn sweep(&mut self) -> usize {
        self.look_at_leader();
        let undecided = self.members.look(&self.leader, self.cgroup.as_ref(), &self.marks).undecided;
        if let Some(cgroup) = self.cgroup.as_ref().filter(|cgroup| cgroup.is_populated()) {
            let _ = cgroup.kill();
        }
        let _ = self.signal(libc::SIGKILL);
        let left = self.members.alive().count() + usize::from(!self.leader.fd.has_exited()) + undecided;
        // Also those that could not be seen or opened.
        left.max(usize::from(self.cgroup.as_ref().is_some_and(Cgroup::is_populated)))
    }

    /// The numbers of those that are left.
    pub(crate) fn holders(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.members.alive().collect();
        if !self.leader.fd.has_exited() {
            pids.push(self.leader.pid);
        }
        pids.extend(self.cgroup.as_ref().map(Cgroup::pids).unwrap_or_default());
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Lets go of a tree of which nobody is left: its leader's zombie, its cgroup.
    pub(crate) fn reap(self) {
        drop(self);
    }

    /// Remembers everybody of the tree who can be seen. Returns whether somebody was new.
    fn look(&mut self) -> bool {
        // An orphan of which it is not known yet has its next turn in the sweep.
        self.members.look(&self.leader, self.cgroup.as_ref(), &self.marks).found > 0
    }

    fn look_all_over(&mut self) {
        for _ in 0..ROUNDS {
            if !self.look() {
                break;
            }
        }
    }

    /// One that is gone needs no signal; an error is the leader's.
    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        let by_group = self.leader.leads.0 && self.leader.fd.signal_group(signal).is_ok();
        let sent = if by_group { Ok(()) } else { self.leader.fd.signal(signal, false) };
        // SIGTERM twice would be taken by some for another one.
        self.members.signal(signal, by_group.then_some(self.leader.pid));
        sent.or_else(|e| if is_gone(&e) { Ok(()) } else { Err(e) })
    }
}

fn is_gone(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::ESRCH)
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.leader.fd.as_fd()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // One that is still there is reaped as an orphan when it ends.
        if self.is_ours && !matches!(spawn::reap(&self.leader.fd), Ok(Some(_))) {
            children::forget(self.leader.pid);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
    }
}
