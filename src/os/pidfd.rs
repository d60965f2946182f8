//! Process handles that cannot be reused. A signal goes through one or not at all.

#[cfg(feature = "monitor")]
use super::checked;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// File system magic of pidfds whose inode numbers are unique for a boot (kernel 6.9).
const PIDFS_MAGIC: i64 = 0x5049_4446;
/// Signals the whole process group of the pidfd's process (kernel 6.9).
#[cfg(feature = "monitor")]
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;

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

    /// Another handle on the same process.
    #[cfg(feature = "monitor")]
    #[expect(dead_code, reason = "for those who have evidence gathered")]
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The inode that names the process for this boot; 0 where the kernel has none.
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
        self.0.try_clone().ok().and_then(|fd| File::from(fd).metadata().ok()).map_or(0, |m| m.ino())
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
        let send = |flags: libc::c_uint| {
            // SAFETY: the descriptor is open; a null siginfo asks for the kernel's default.
            let rc = unsafe {
                libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), flags)
            };
            checked(rc as libc::c_int).map(drop)
        };
        match if group { send(PIDFD_SIGNAL_PROCESS_GROUP) } else { send(0) } {
            Err(e) if group && e.raw_os_error() == Some(libc::EINVAL) => send(0),
            other => other,
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
