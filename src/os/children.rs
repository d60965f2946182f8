//! Children of this process: those that somebody here waits for, and orphans that came to us.
//!
//! An orphan comes to a process that is pid 1 or a subreaper. It must be reaped or it stays a zombie; a child that somebody
//! waits for must not be, or its exit status is lost. Which is which:
//!
//! ```text
//!   spawn begins ── fork ── exec ── awaited ───── exit ── reaped by its owner, forgotten
//!   └──── may be anybody's: left alone ──┘        orphan:  exit ── reaped here
//! ```
//! No lock is held while a process is started, which may take for ever where its program lies on a dead file server: a child
//! that started before every spawn that is under way cannot be one of theirs.

use super::{checked, proc, time};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Registry {
    /// Numbers of children that somebody waits for. Each is its child's own until that one is reaped, under this lock.
    awaited: Vec<u32>,
    /// When the spawns under way began, in ticks since boot as the kernel counts a process's start.
    spawning: Vec<u64>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { awaited: Vec::new(), spawning: Vec::new() });

/// Whether orphans are ours to reap. Relaxed: it is set once, before the threads that ask.
static REAPS: AtomicBool = AtomicBool::new(false);

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Whether a child is an orphan for all that is known.
    fn is_orphan(&self, pid: u32, starttime: impl FnOnce() -> Option<u64>) -> bool {
        let started_before = |began: u64| starttime().is_some_and(|start| start < began);
        !self.awaited.contains(&pid) && self.spawning.iter().min().is_none_or(|began| started_before(*began))
    }
}

fn ticks_now() -> u64 {
    // SAFETY: sysconf takes an integer.
    let hertz = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    time::boottime_ns() / (1_000_000_000 / hertz)
}

/// Runs `make`, which spawns a child, so that no other thread takes that child for an orphan.
pub(super) fn spawn<T>(make: impl FnOnce() -> io::Result<T>, pid: impl FnOnce(&T) -> u32) -> io::Result<T> {
    let began = ticks_now();
    registry().spawning.push(began);
    let made = make();
    let mut registry = registry();
    if let Some(at) = registry.spawning.iter().position(|other| *other == began) {
        registry.spawning.swap_remove(at);
    }
    if let Ok(made) = &made {
        registry.awaited.push(pid(made));
    }
    made
}

/// A child that this process did not spawn and somebody here waits for all the same.
pub(crate) fn await_too(pid: u32) {
    registry().awaited.push(pid);
}

/// Nobody waits for it any more: when it ends it is reaped as an orphan is.
pub(crate) fn forget(pid: u32) {
    let mut registry = registry();
    if let Some(at) = registry.awaited.iter().position(|other| *other == pid) {
        registry.awaited.swap_remove(at);
    }
}

/// Runs `reap`, which gives the number of the child it has reaped, and forgets that one before its number can be another's.
pub(super) fn reaping<T>(reap: impl FnOnce() -> io::Result<Option<(u32, T)>>) -> io::Result<Option<T>> {
    let mut registry = registry();
    let Some((pid, reaped)) = reap()? else { return Ok(None) };
    if let Some(at) = registry.awaited.iter().position(|other| *other == pid) {
        registry.awaited.swap_remove(at);
    }
    Ok(Some(reaped))
}

/// From now on orphans of our descendants come to us, and all that come are reaped by `reap_orphans`: also those that come to
/// a process because it is pid 1. For a program that is a supervisor and nothing else: whatever else it spawns by other ways
/// than ours would be reaped behind its back.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // SAFETY: the call takes integers only.
    checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
    keep_zombies()?;
    REAPS.store(true, Relaxed);
    Ok(())
}

/// A parent that ignored SIGCHLD hands that down, and then the kernel would reap our children with their codes.
fn keep_zombies() -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which all zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; `action` is valid for the call to fill.
    checked(unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action) })?;
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
        // SAFETY: `action` is valid; the old one is not asked for.
        checked(unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Whether orphans come to us and are ours to reap.
pub(crate) fn is_subreaper() -> bool {
    REAPS.load(Relaxed)
}

/// Those of `all` that are children of ours and that nobody here waits for, the living and the dead.
pub(crate) fn orphans(all: &[proc::Stat]) -> Vec<proc::Stat> {
    if !is_subreaper() {
        return Vec::new();
    }
    let registry = registry();
    let ours = all.iter().filter(|stat| stat.parent == std::process::id());
    ours.filter(|stat| registry.is_orphan(stat.pid, || Some(stat.starttime))).copied().collect()
}

/// Reaps the orphans that have ended; how many. Never waits. 0 before `become_subreaper`.
#[allow(dead_code, reason = "the supervisor asks, once its binary has become a subreaper")]
pub(crate) fn reap_orphans() -> usize {
    if !is_subreaper() {
        return 0;
    }
    let registry = registry();
    let mut reaped = 0;
    // The kernel shows the same child until it is reaped, so behind one that is awaited /proc must be asked.
    while let Some(pid) = ended(libc::P_ALL, 0, libc::WNOWAIT) {
        if !registry.is_orphan(pid, || proc::stat(pid).ok().map(|stat| stat.starttime)) {
            let all = proc::all();
            let dead = all.iter().filter(|stat| stat.parent == std::process::id() && stat.state == 'Z');
            let dead = dead.filter(|stat| registry.is_orphan(stat.pid, || Some(stat.starttime)));
            return reaped + dead.filter(|stat| ended(libc::P_PID, stat.pid, 0).is_some()).count();
        }
        reaped += usize::from(ended(libc::P_PID, pid, 0).is_some());
    }
    reaped
}

/// The number of a child that has ended, if there is one.
#[allow(dead_code, reason = "as above")]
fn ended(kind: libc::idtype_t, id: u32, options: libc::c_int) -> Option<u32> {
    // SAFETY: siginfo_t is plain data, for which all zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid for the call to fill.
    checked(unsafe { libc::waitid(kind, id, &mut info, options | libc::WEXITED | libc::WNOHANG) }).ok()?;
    // SAFETY: waitid filled the child's fields or left them zero.
    u32::try_from(unsafe { info.si_pid() }).ok().filter(|pid| *pid != 0)
}
