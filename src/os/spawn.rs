//! Children: each leads a process group of its own, a worker a session too, starts with an empty signal mask, and is reaped by
//! its pidfd.

use super::pidfd::PidFd;
use super::wake::{Bell, wait_readable};
use super::{checked, children};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// An empty signal mask. Async-signal-safe, as a child after fork needs.
fn empty_mask() -> io::Result<()> {
    let mut empty = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset fills the set.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set is filled.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Every signal's default: exec keeps what is ignored. Async-signal-safe. Those that cannot be set are refused, which is well.
fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default action needs no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// One write of all of it. Async-signal-safe.
fn write_whole(fd: RawFd, bytes: &[u8]) -> io::Result<()> {
    loop {
        // SAFETY: the range is the caller's; a descriptor that is closed is an error.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(n) {
            Ok(n) if n == bytes.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(_) => {
                let e = io::Error::last_os_error();
                if e.kind() != io::ErrorKind::Interrupted {
                    return Err(e);
                }
            }
        }
    }
}

/// Room for two numbers, the spaces before them and the line's end.
const NUMBERS: usize = 2 * (1 + 20) + 1;

/// Appends a space and the digits; allocates nothing where the room is there.
fn push_number(line: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.push(b' ');
    line.extend_from_slice(&digits[at..]);
}

/// Spawns `command`, which is set up but for its signals and its group. The pidfd names this very child: it is ours to reap
/// and was not reaped yet, so its number cannot have passed to another process.
fn spawn_known(mut command: Command) -> io::Result<(u32, PidFd)> {
    let make = || {
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
    };
    children::spawn(make, |(pid, _)| *pid)
}

/// Spawns `command` as the leader of a new process group.
pub(crate) fn spawn_leader(mut command: Command) -> io::Result<(u32, PidFd)> {
    command.process_group(0);
    // SAFETY: the closure calls async-signal-safe functions only and allocates nothing.
    unsafe { command.pre_exec(empty_mask) };
    spawn_known(command)
}

/// A child that leads a session.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(crate) pid: u32,
    pub(crate) fd: PidFd,
    /// It went into the cgroup before it became its program.
    pub(crate) in_cgroup: bool,
}

/// Spawns `command` as the leader of a new session, with every signal at its default. Before it becomes its program the child
/// enters the cgroup whose `cgroup.procs` is given, if the kernel lets it, and writes its line to the journal: the words, its
/// number and its pidfd's inode (0: none). Without that line there is no program: the spawn fails.
pub(crate) fn spawn_session(
    mut command: Command,
    journal: Option<(BorrowedFd<'_>, &str)>,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Leader> {
    let entered = Bell::new()?;
    let bell = entered.as_fd().as_raw_fd();
    let procs = cgroup.map(|fd| fd.as_raw_fd());
    // Its room is made here: nothing may be allocated after the fork.
    let mut journal = journal.map(|(file, words)| {
        let mut line = Vec::with_capacity(words.len() + NUMBERS);
        line.extend_from_slice(words.as_bytes());
        (file.as_raw_fd(), line)
    });
    let start = move || {
        default_signals();
        empty_mask()?;
        // SAFETY: setsid has no preconditions.
        checked(unsafe { libc::setsid() })?;
        if let Some(procs) = procs
            && write_whole(procs, b"0").is_ok()
        {
            write_whole(bell, &1u64.to_ne_bytes())?;
        }
        if let Some((file, line)) = &mut journal {
            // SAFETY: getpid has no preconditions and cannot fail.
            let pid = unsafe { libc::getpid() }.unsigned_abs();
            push_number(line, pid.into());
            push_number(line, PidFd::open(pid).map_or(0, |fd| fd.inode()));
            line.push(b'\n');
            write_whole(*file, line)?;
        }
        Ok(())
    };
    // SAFETY: the closure calls async-signal-safe functions only and allocates nothing.
    unsafe { command.pre_exec(start) };
    let (pid, fd) = spawn_known(command)?;
    let in_cgroup = wait_readable(&[entered.as_fd()], Some(Duration::ZERO))[0];
    Ok(Leader { pid, fd, in_cgroup })
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

fn waitid(fd: &PidFd, options: libc::c_int) -> io::Result<Option<(u32, Exit)>> {
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
    Ok((pid != 0).then_some((pid.unsigned_abs(), exit)))
}

/// How the child ended, leaving it to be reaped; `None` while it runs.
pub(crate) fn peek_exit(fd: &PidFd) -> io::Result<Option<Exit>> {
    waitid(fd, libc::WNOWAIT).map(|ended| ended.map(|(_, exit)| exit))
}

/// Reaps the child; `None` while it runs.
pub(crate) fn reap(fd: &PidFd) -> io::Result<Option<Exit>> {
    children::reaping(|| waitid(fd, 0))
}
