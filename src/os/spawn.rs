//! Children of `run`: each leads a process group of its own, starts with an empty signal mask, and is reaped by its pidfd.

use super::checked;
use super::pidfd::PidFd;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody tells: it was no child of ours.
    Unknown,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an exit code that nobody tells"),
        }
    }
}

/// Spawns `command` as the leader of a new process group. The pidfd names this very child: it is ours to reap and was not
/// reaped yet, so its number cannot have passed to another process.
pub(crate) fn spawn_leader(mut command: Command) -> io::Result<(u32, PidFd)> {
    command.process_group(0);
    let reset_mask = || {
        let mut empty = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset fills the set.
        unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
        // SAFETY: the set is filled; pthread_sigmask is async-signal-safe, as a child after fork needs.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    };
    // SAFETY: the closure calls async-signal-safe functions only and allocates nothing.
    unsafe { command.pre_exec(reset_mask) };
    let mut child = command.spawn()?;
    let pid = child.id();
    match PidFd::open(pid) {
        Ok(fd) => Ok((pid, fd)),
        Err(e) => {
            // Without a pidfd it could never be signalled safely: end it while its number is still ours.
            let _ = child.kill();
            let _ = child.wait();
            Err(e)
        }
    }
}

/// A file in memory that holds `bytes` and is read from its start.
pub(crate) fn memory_file(bytes: &[u8]) -> io::Result<File> {
    // SAFETY: the name is a C string; the call returns a new descriptor or -1.
    let fd = checked(unsafe { libc::memfd_create(c"hangwatch".as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the descriptor was made just now and belongs to nobody else.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn waitid(fd: &PidFd, options: libc::c_int) -> io::Result<Option<Exit>> {
    // SAFETY: siginfo_t is plain data, for which all zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = fd.as_fd().as_raw_fd() as libc::id_t;
    // SAFETY: `info` is valid for the call to fill; the descriptor is open.
    checked(unsafe { libc::waitid(libc::P_PIDFD, id, &mut info, options | libc::WEXITED | libc::WNOHANG) })?;
    // SAFETY: waitid filled the child's fields or left them zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: the same.
    let status = unsafe { info.si_status() };
    let exit = if info.si_code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) };
    Ok((pid != 0).then_some(exit))
}

/// How the child ended, leaving it to be reaped; `None` while it runs.
pub(crate) fn peek_exit(fd: &PidFd) -> io::Result<Option<Exit>> {
    waitid(fd, libc::WNOWAIT)
}

/// Reaps the child; `None` while it runs.
pub(crate) fn reap(fd: &PidFd) -> io::Result<Option<Exit>> {
    waitid(fd, 0)
}
