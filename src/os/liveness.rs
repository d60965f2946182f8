//! A file of which each byte is locked by the process that it stands for: a POSIX record lock, which the kernel drops when the
//! process ends, which no forked child keeps, and whose holder any process may ask for by a number of its own namespace.
//!
//! Any close of any descriptor of the file drops every lock of the process on it, and so does exec. So a process opens it once:
//! the table below counts its users, and the last one closes it. A forked child holds no lock; it makes a table of its own and
//! leaves its parent's as it is. Two copies of this library in one process have a table each, and the first that closes the file
//! drops the other's locks: what is left is a byte that nobody holds, so less is allowed than might be, never more.

use super::access::Access;
use super::file::{open_existing, open_sidecar};
use super::{canary, checked};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file by its device and inode.
type Key = (u64, u64);

#[derive(Debug)]
struct Opened {
    key: Key,
    file: File,
    users: usize,
    /// Bytes held; one that is held twice stands here twice.
    held: Vec<u32>,
}

impl Opened {
    /// Whether the descriptor is still of this file: a host that closes numbers which are not its own may have opened something
    /// else under this one.
    fn is_itself(&self) -> bool {
        self.file.metadata().is_ok_and(|about| key(&about) == self.key)
    }
}

/// The files that one process has open. It is never freed, so that a user may name it for ever.
#[derive(Debug)]
struct Table {
    /// Reads 0 in a forked child, to which this table is of no use: its mutex may be locked for ever there.
    canary: &'static AtomicU8,
    opened: Mutex<Vec<Opened>>,
}

static CURRENT: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

impl Table {
    /// This process's.
    fn current() -> io::Result<&'static Self> {
        let known = CURRENT.load(Acquire);
        // SAFETY: a non-null CURRENT points to a table that is never freed.
        if let Some(table) = unsafe { known.as_ref() }
            && table.is_ours()
        {
            return Ok(table);
        }
        let fresh = Box::into_raw(Box::new(Self { canary: canary::current()?, opened: Mutex::new(Vec::new()) }));
        match CURRENT.compare_exchange(known, fresh, AcqRel, Acquire) {
            // SAFETY: `fresh` was made above and is never freed from here on.
            Ok(_) => Ok(unsafe { &*fresh }),
            Err(other) => {
                // SAFETY: nobody else has seen `fresh`; it is freed once.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: another thread of this process stored it, and it is never freed.
                Ok(unsafe { &*other })
            }
        }
    }

    fn is_ours(&self) -> bool {
        // Relaxed: the kernel zeroes it in a forked child before any code runs there.
        self.canary.load(Relaxed) == 1
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(about: &Metadata) -> Key {
    (about.dev(), about.ino())
}

/// Who else could write it could hold a byte too, but as himself; who else could replace it could take all locks away. Neither
/// makes another process a holder.
fn check(about: &Metadata, access: &Access) -> io::Result<()> {
    if about.is_file() && access.forbids(about).is_none() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file of those who may share the segment"))
}

/// One user's hold on a file that the process has open.
#[derive(Debug)]
struct User {
    table: &'static Table,
    key: Key,
}

impl User {
    /// Opens the file, or finds it open. `make`: where there is none it is made.
    fn of(path: &Path, access: &Access, make: bool) -> io::Result<Self> {
        let table = Table::current()?;
        let mut opened = table.lock();
        let there = match std::fs::symlink_metadata(path) {
            Ok(there) => Some(there),
            Err(e) if e.kind() == io::ErrorKind::NotFound && make => None,
            Err(e) => return Err(e),
        };
        if let Some(there) = &there {
            check(there, access)?;
        }
        // The table is asked before the file is opened: to close a second descriptor would drop the locks of the first.
        if let Some(one) = there.and_then(|there| opened.iter_mut().find(|one| one.key == key(&there))) {
            one.users += 1;
            return Ok(Self { table, key: one.key });
        }
        let file = if make { open_sidecar(path, access) } else { open_existing(path, true) }?;
        let about = file.metadata()?;
        let key = key(&about);
        if let Some(one) = opened.iter_mut().find(|one| one.key == key) {
            // The path led elsewhere a moment ago. It is kept open, for the locks of the other.
            let _ = file.into_raw_fd();
            one.users += 1;
            return Ok(Self { table, key });
        }
        check(&about, access)?;
        opened.push(Opened { key, file, users: 1, held: Vec::new() });
        Ok(Self { table, key })
    }

    /// Runs `with` on the open file; `None` in a forked child, and where the descriptor is no longer of this file.
    fn with<T>(&self, with: impl FnOnce(&mut Opened) -> T) -> Option<T> {
        if !self.table.is_ours() {
            return None;
        }
        let mut opened = self.table.lock();
        opened.iter_mut().find(|one| one.key == self.key).filter(|one| one.is_itself()).map(with)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if !self.table.is_ours() {
            return;
        }
        let mut opened = self.table.lock();
        let Some(at) = opened.iter().position(|one| one.key == self.key) else { return };
        opened[at].users -= 1;
        if opened[at].users == 0 {
            let last = opened.swap_remove(at);
            if !last.is_itself() {
                let _ = last.file.into_raw_fd();
            }
        }
    }
}

fn byte(kind: libc::c_int, index: u32) -> libc::flock {
    // SAFETY: flock is a struct of integers, for which all zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = index.into();
    lock.l_len = 1;
    lock
}

fn set(file: &File, kind: libc::c_int, index: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open, the lock is a valid flock. F_SETLK does not wait.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &mut byte(kind, index)) }).map(drop)
}

/// A byte that this process holds until the value is dropped. In a forked child it is nothing, and dropping it does nothing.
#[derive(Debug)]
pub(crate) struct Hold {
    user: User,
    index: u32,
}

impl Hold {
    /// Takes byte `index` of the file at `path`, which is made if it is absent. Never waits.
    pub(crate) fn take(path: &Path, index: u32, access: &Access) -> io::Result<Self> {
        let user = User::of(path, access, true)?;
        let locked = user.with(|one| {
            set(&one.file, libc::F_WRLCK, index)?;
            one.held.push(index);
            Ok(())
        });
        locked.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EBADF)))?;
        Ok(Self { user, index })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.user.with(|one| {
            if let Some(at) = one.held.iter().position(|index| *index == self.index) {
                one.held.swap_remove(at);
            }
            // A slot that was taken from us and came back is held by another handle too.
            if !one.held.contains(&self.index) {
                let _ = set(&one.file, libc::F_UNLCK, self.index);
            }
        });
    }
}

/// Who holds a byte.
#[cfg(feature = "monitor")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody, or another copy of this library in this process.
    Nobody,
    /// This process.
    Us,
    /// The process that has this number here.
    Process(u32),
    /// A process in a pid namespace that cannot be seen from here.
    Unseen,
    /// A lock of another kind than [`Hold`] takes: it names no process.
    Strange,
}

/// A file whose holders are asked for. While it lives the file stays open.
#[cfg(feature = "monitor")]
#[derive(Debug)]
pub(crate) struct Holders(User);

#[cfg(feature = "monitor")]
impl Holders {
    /// Of the file at `path`, which must be there.
    pub(crate) fn of(path: &Path, access: &Access) -> io::Result<Self> {
        User::of(path, access, false).map(Self)
    }

    /// Who holds byte `index` now.
    pub(crate) fn holder(&self, index: u32) -> io::Result<Holder> {
        let asked = self.0.with(|one| {
            if one.held.contains(&index) {
                return Ok(Holder::Us);
            }
            let mut lock = byte(libc::F_WRLCK, index);
            // SAFETY: the descriptor is open, `lock` is a valid flock for the call to fill.
            checked(unsafe { libc::fcntl(one.file.as_raw_fd(), libc::F_GETLK, &mut lock) })?;
            Ok(match (libc::c_int::from(lock.l_type), u32::try_from(lock.l_pid)) {
                (libc::F_UNLCK, _) => Holder::Nobody,
                (libc::F_WRLCK, Ok(0)) => Holder::Unseen,
                (libc::F_WRLCK, Ok(pid)) => Holder::Process(pid),
                // An open file description's lock has -1, and a shared lock may have other holders.
                _ => Holder::Strange,
            })
        });
        asked.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::EBADF)))
    }
}
