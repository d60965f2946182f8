//! A POSIX lock that its holder's death releases, and that forked children do not keep.
//!
//! Any close of any descriptor of the inode drops the lock, so the file is opened once a process: the table below knows.

use super::access::Access;
use super::canary::Process;
use super::checked;
use super::file::open_sidecar;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

/// Device and inode of a file that is held locked, and the process that locked it.
type Held = ((u64, u64), Process);

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// The table of this process: a forked child holds none of its parent's locks.
fn held() -> MutexGuard<'static, Vec<Held>> {
    let mut held = HELD.lock().unwrap_or_else(|e| e.into_inner());
    held.retain(|(_, process)| process.is_this());
    held
}

fn contains(held: &[Held], m: &Metadata) -> bool {
    held.iter().any(|(key, _)| *key == (m.dev(), m.ino()))
}

/// An exclusive lock on a sidecar file, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    key: (u64, u64),
}

/// Who holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody.
    Nobody,
    /// The process that has this number here; 0 for one in a pid namespace that cannot be seen from here.
    Process(u32),
    /// The file is closed to this user, who cannot ask.
    Unknown,
}

/// Why a lock could not be had.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// Another holder: its pid as this process sees it, or `None` if it is this process.
    Held(Option<u32>),
    /// The file could not be opened or locked.
    Failed(io::Error),
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    // SAFETY: flock is a struct of integers, for which all zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

impl Lock {
    /// Takes the lock or says who has it; never waits.
    pub(crate) fn take(path: &Path, access: &Access) -> Result<Self, NotLocked> {
        let mut held = held();
        // The table is asked before the file is opened: closing a second descriptor would drop the first one's lock.
        if let Ok(m) = std::fs::symlink_metadata(path)
            && contains(&held, &m)
        {
            return Err(NotLocked::Held(None));
        }
        let process = Process::this().map_err(NotLocked::Failed)?;
        let file = open_sidecar(path, access).map_err(NotLocked::Failed)?;
        let m = file.metadata().map_err(NotLocked::Failed)?;
        if let Some(forbids) = access.forbids(&m) {
            let why = format!("its lock file '{}' {forbids}", path.display());
            return Err(NotLocked::Failed(io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        let mut lock = whole_file(libc::F_WRLCK);
        // SAFETY: the descriptor is open, `lock` is a valid flock.
        match checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &mut lock) }) {
            Ok(_) => {
                let key = (m.dev(), m.ino());
                held.push((key, process));
                Ok(Self { file, key })
            }
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Err(NotLocked::Held(holder(&file))),
            Err(e) => Err(NotLocked::Failed(e)),
        }
    }

    /// Who holds the lock at `path`, as this process may know it.
    pub(crate) fn holder(path: &Path) -> Holder {
        let held = held();
        let Ok(m) = std::fs::symlink_metadata(path) else { return Holder::Nobody };
        if contains(&held, &m) {
            return Holder::Process(std::process::id());
        }
        match super::file::open_existing(path, true).or_else(|_| super::file::open_existing(path, false)) {
            Ok(file) => holder(&file).map_or(Holder::Nobody, Holder::Process),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Holder::Unknown,
            Err(_) => Holder::Nobody,
        }
    }
}

fn holder(file: &File) -> Option<u32> {
    let mut lock = whole_file(libc::F_WRLCK);
    // SAFETY: the descriptor is open, `lock` is a valid flock for the call to fill.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) }).ok()?;
    // l_pid is 0 for a holder in a pid namespace that this one cannot see: held all the same.
    (lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid as u32)
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut held = held();
        held.retain(|(key, _)| *key != self.key);
        let mut lock = whole_file(libc::F_UNLCK);
        // SAFETY: the descriptor is open, `lock` is a valid flock. Closing it would unlock too.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLK, &mut lock) };
    }
}
