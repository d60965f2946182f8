//! Processes that a test did not spawn itself: those of the workers that a `run` did. A signal goes through a handle that was
//! verified after it was opened, so that a number that was given again hits nobody.

use super::diary::start_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A handle on one process.
#[derive(Debug)]
pub(crate) struct Process(OwnedFd);

impl Process {
    /// The process that has this number and began at this tick; `None` where it is gone.
    pub(crate) fn of(pid: u32, start: u64) -> Option<Self> {
        // SAFETY: two integers; the call returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::pid_t::try_from(pid).ok()?, 0) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        (start_of(pid) == Some(start)).then_some(Self(fd))
    }

    /// Whether it was still there to get the signal.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        let fd = self.0.as_raw_fd();
        // SAFETY: the descriptor is open; a null siginfo asks for the kernel's default.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, std::ptr::null::<libc::siginfo_t>(), 0) == 0 }
    }

    /// Waits until it has exited, reaped or not.
    pub(crate) fn wait(&self) {
        let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        while unsafe { libc::poll(&mut polled, 1, -1) } != 1 {}
    }
}

/// A process's letter in /proc; `None` where it is gone, or another one has its number.
pub(crate) fn state(pid: u32, start: u64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(')')?.1.trim_start().chars().next();
    state.filter(|_| start_of(pid) == Some(start))
}

/// Whether a process goes on: it is not gone, no zombie, and no SIGKILL is on its way to it.
pub(crate) fn goes_on(pid: u32, start: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:").or(line.strip_prefix("SigPnd:")));
    let is_dying = pending.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask >> 8 & 1 == 1);
    !is_dying && state(pid, start).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The children of a process, by the kernel's list.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect::<Vec<_>>()).collect()
}
