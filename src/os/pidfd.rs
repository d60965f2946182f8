//! Process handles that cannot be reused. A signal goes through one or not at all.

use super::checked;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// File system magic of pidfds whose inode numbers are unique for a boot (kernel 6.9).
const PIDFS_MAGIC: i64 = 0x5049_4446;
/// Signals the whole process group of the pidfd's process (kernel 6.9).
#[cfg(feature = "monitor")]
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;

/// `struct file_handle` of a pidfd: 8 bytes, the inode.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    inode: u64,
}

/// What the kernel tells of a process through its pidfd (kernel 6.13; the exit code 6.15).
#[cfg(feature = "monitor")]
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    exit_code: i32,
}

#[cfg(feature = "monitor")]
const INFO_CREDENTIALS: u64 = 2;
#[cfg(feature = "monitor")]
const INFO_EXIT: u64 = 8;
/// `_IOWR(0xff, 11, struct pidfd_info)`, in its first size.
#[cfg(feature = "monitor")]
const PIDFD_GET_INFO: u32 = 3 << 30 | (size_of::<Info>() as u32) << 16 | 0xff << 8 | 11;

/// The numbers of one process.
#[cfg(feature = "monitor")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names {
    /// In the pid namespace that /proc shows.
    pub(crate) here: u32,
    /// In its own pid namespace.
    pub(crate) innermost: u32,
}

/// `Pid: 4821`, and `NSpid: 4821 7` where it is in a namespace below. -1 is a process that was reaped, 0 one that cannot be seen.
#[cfg(feature = "monitor")]
fn parse_names(fdinfo: &str) -> Option<Names> {
    let field = |name: &str| fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let here = field("Pid")?.trim().parse().ok()?;
    let innermost = field("NSpid").map_or(Some(here), |pids| pids.split_ascii_whitespace().last()?.parse().ok())?;
    (here != 0 && innermost != 0).then_some(Names { here, innermost })
}

/// A handle on one process, whatever becomes of its number.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a handle on the process that has this number now. ESRCH: there is none.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }))
    }

    /// Opens a handle on the process that has this inode for its name, whatever its number is, in our pid namespace or in one
    /// below. ESTALE: no process that can be seen from here has it; another error: the kernel cannot (before 6.14).
    pub(crate) fn open_inode(inode: u64) -> io::Result<Self> {
        let ours = Self::open(std::process::id())?;
        let mut handle = Handle { bytes: size_of::<u64>() as u32, kind: 0, inode: 0 };
        let mut mount = 0;
        // SAFETY: the name is NUL-terminated and empty, `handle` and `mount` are valid for the call to fill, and `bytes` says how
        // much may be filled of the first.
        let rc = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                ours.0.as_raw_fd(),
                c"".as_ptr(),
                &raw mut handle,
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        };
        checked(rc as libc::c_int)?;
        // The one that is known shows that a handle is made of an inode and of nothing else.
        if handle.bytes as usize != size_of::<u64>() || handle.inode != ours.inode() || handle.inode == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        handle.inode = inode;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the descriptor is open, `handle` is valid and as long as it says.
        let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, ours.0.as_raw_fd(), &raw mut handle, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        let opened = Self(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) });
        if opened.inode() == inode { Ok(opened) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Another handle on the same process.
    #[cfg(feature = "monitor")]
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The inode that names the process for this boot; 0 where the kernel has none. Allocates nothing and takes no lock: a
    /// child asks between fork and exec.
    pub(crate) fn inode(&self) -> u64 {
        let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open, `stat` is large enough for the call to fill.
        if unsafe { libc::fstatfs(self.0.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
            return 0;
        }
        // SAFETY: the call succeeded, so it is filled.
        let magic = unsafe { stat.assume_init() }.f_type;
        #[allow(clippy::unnecessary_cast, reason = "its width differs from one machine and C library to the next")]
        if magic as i64 != PIDFS_MAGIC {
            return 0;
        }
        let mut stat = std::mem::MaybeUninit::<libc::stat64>::uninit();
        // SAFETY: the descriptor is open, `stat` is large enough for the call to fill.
        if unsafe { libc::fstat64(self.0.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
            return 0;
        }
        // SAFETY: the call succeeded, so it is filled.
        unsafe { stat.assume_init() }.st_ino
    }

    /// Its numbers, as /proc has them; `None` once it was reaped, or where /proc does not show it.
    #[cfg(feature = "monitor")]
    pub(crate) fn names(&self) -> Option<Names> {
        parse_names(&std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd())).ok()?)
    }

    /// Whether the process has exited, all its threads with it, reaped or not. Never waits.
    pub(crate) fn has_exited(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry; a timeout of 0 returns at once.
        (unsafe { libc::poll(&mut polled, 1, 0) }) == 1 && polled.revents & libc::POLLIN != 0
    }

    /// Sends a signal to the process, or to its whole group if asked and the kernel can.
    #[cfg(feature = "monitor")]
    pub(crate) fn signal(&self, signal: libc::c_int, group: bool) -> io::Result<()> {
        match if group { self.signal_group(signal) } else { self.send(signal, 0) } {
            Err(e) if group && e.raw_os_error() == Some(libc::EINVAL) => self.send(signal, 0),
            other => other,
        }
    }

    /// Sends a signal to the group that the process leads or led: it still names that group after the leader has been reaped.
    /// EINVAL: the kernel cannot; ESRCH: nobody is in it.
    #[cfg(feature = "monitor")]
    pub(crate) fn signal_group(&self, signal: libc::c_int) -> io::Result<()> {
        self.send(signal, PIDFD_SIGNAL_PROCESS_GROUP)
    }

    #[cfg(feature = "monitor")]
    fn send(&self, signal: libc::c_int, flags: libc::c_uint) -> io::Result<()> {
        // SAFETY: the descriptor is open; a null siginfo asks for the kernel's default.
        let rc = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), flags)
        };
        checked(rc as libc::c_int).map(drop)
    }

    /// Whether its number is still the process's own: it has not been reaped, or its group has somebody in it.
    #[cfg(feature = "monitor")]
    pub(crate) fn holds_number(&self) -> bool {
        is_there(&self.send(0, 0)) || self.has_group()
    }

    /// Whether somebody is in the group that the process led. Before kernel 6.9 that cannot be known by a handle: `false`.
    #[cfg(feature = "monitor")]
    pub(crate) fn has_group(&self) -> bool {
        is_there(&self.signal_group(0))
    }

    #[cfg(feature = "monitor")]
    fn info(&self, mask: u64) -> Option<Info> {
        let mut info = Info { mask, ..Info::default() };
        // SAFETY: the descriptor is open; the request names the size of `info`, which the call reads and fills.
        let rc = unsafe { libc::ioctl(self.0.as_raw_fd(), PIDFD_GET_INFO as _, &mut info) };
        (rc == 0 && info.mask & mask == mask).then_some(info)
    }

    /// Who runs it: its real user and group; `None`: the kernel does not say, or the process is gone.
    #[cfg(feature = "monitor")]
    pub(crate) fn ids(&self) -> Option<(u32, u32)> {
        self.info(INFO_CREDENTIALS).map(|info| (info.ruid, info.rgid))
    }

    /// Real, effective, saved and file system user id; `None` as above.
    #[cfg(feature = "monitor")]
    pub(crate) fn user_ids(&self) -> Option<[u32; 4]> {
        self.info(INFO_CREDENTIALS).map(|info| [info.ruid, info.euid, info.suid, info.fsuid])
    }

    /// The status that its parent was told when it reaped it, whoever that was; `None`: not reaped yet, or the kernel does not
    /// say.
    #[cfg(feature = "monitor")]
    pub(crate) fn reaped_status(&self) -> Option<i32> {
        self.info(INFO_EXIT).map(|info| info.exit_code)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether signal 0 found somebody, ours to signal or not.
#[cfg(feature = "monitor")]
fn is_there(sent: &io::Result<()>) -> bool {
    sent.as_ref().err().is_none_or(|e| e.raw_os_error() == Some(libc::EPERM))
}

#[cfg(all(test, feature = "monitor"))]
mod tests {
    use super::*;
    use crate::os::tests::Subject;

    #[test]
    fn the_numbers_of_a_process_are_read_from_its_handle() {
        let mut child = Subject::sleeping();
        let fd = PidFd::open(child.pid()).expect("there");
        assert_eq!(fd.names(), Some(Names { here: child.pid(), innermost: child.pid() }));
        child.end();
        assert_eq!(fd.names(), None, "it was reaped, and its number is anybody's");
    }

    #[test]
    fn the_handle_says_of_the_users_what_proc_says() {
        let child = Subject::sleeping();
        let fd = PidFd::open(child.pid()).expect("there");
        match fd.user_ids() {
            Some(ids) => assert_eq!(ids, crate::os::proc::user_ids(child.pid()).expect("there")),
            None => crate::os::tests::skip("the_handle_says_of_the_users_what_proc_says: the kernel does not tell (before 6.13)"),
        }
    }

    #[test]
    fn a_process_is_found_by_its_inode_until_it_was_reaped() {
        let mut child = Subject::sleeping();
        let inode = child.inode();
        let found = match PidFd::open_inode(inode) {
            Err(e) if e.raw_os_error() != Some(libc::ESTALE) => {
                return crate::os::tests::skip(&format!("a_process_is_found_by_its_inode_until_it_was_reaped: {e}"));
            }
            found => found.expect("it runs, and in our own namespace"),
        };
        assert_eq!(found.names().map(|names| names.here), Some(child.pid()), "the very process");
        child.kill();
        assert!(PidFd::open_inode(inode).is_ok_and(|fd| fd.has_exited()), "a zombie is there still");
        child.end();
        let gone = PidFd::open_inode(inode).map(drop).map_err(|e| e.raw_os_error());
        assert_eq!(gone, Err(Some(libc::ESTALE)));
    }

    #[test]
    fn a_process_in_a_namespace_below_has_two_numbers_and_one_that_cannot_be_seen_none() {
        let names = |here, innermost| Some(Names { here, innermost });
        assert_eq!(parse_names("pos:\t0\nflags:\t02000002\nPid:\t42\nNSpid:\t42\t7\t1\n"), names(42, 1));
        assert_eq!(parse_names("Pid:\t42\n"), names(42, 42), "a kernel without pid namespaces");
        for odd in ["", "Pid:", "Pid:\t-1\nNSpid:\t-1\n", "Pid:\t0\nNSpid:\t0\n", "Pid:\t42\nNSpid:\n", "NSpid:\t42\n"] {
            assert_eq!(parse_names(odd), None, "{odd:?}");
        }
    }
}
