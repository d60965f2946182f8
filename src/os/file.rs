//! Files of a segment: made unnamed and whole, then named; opened without following or blocking.

use super::access::Access;
use super::checked;
use std::ffi::{CString, OsStr};
#[cfg(feature = "monitor")]
use std::fs::Metadata;
use std::fs::{File, OpenOptions};
use std::io;
#[cfg(feature = "monitor")]
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
#[cfg(feature = "monitor")]
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The effective user id.
pub(crate) fn euid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id.
#[cfg(feature = "monitor")]
pub(crate) fn egid() -> u32 {
    // SAFETY: getegid has no preconditions and cannot fail.
    unsafe { libc::getegid() }
}

/// Descriptors that this process may open.
#[cfg(feature = "monitor")]
pub(crate) fn max_open() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call to fill.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX),
        // The default of most systems.
        _ => 1024,
    }
}

/// Opens for reading, and for writing if asked; a symlink is ELOOP, a FIFO does not block.
pub(crate) fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// A nameless file in `dir`, mode 0600; `Ok(None)` where the file system has no O_TMPFILE. Its group is the folder's where that
/// has the setgid bit.
pub(crate) fn unnamed_in(dir: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC).open(dir) {
        Ok(file) => Ok(Some(file)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A new named file, mode 0600; fails if the name exists.
pub(crate) fn new_named(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
        .open(path)
}

/// Puts a file of these bytes in the place of the one that is there, if one is, mode 0600: under another name first, so that
/// a crash leaves the old one or the new one. `is_synced`: that holds for a crash of the machine too. More that is written to
/// the file goes to its end.
#[cfg(feature = "monitor")]
pub(crate) fn replace(path: &Path, bytes: &[u8], is_synced: bool) -> io::Result<File> {
    let unfinished = sidecar(path, "new");
    let _ = std::fs::remove_file(&unfinished);
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600).custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW);
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    if is_synced {
        file.sync_data()?;
    }
    std::fs::rename(&unfinished, path)?;
    Ok(file)
}

/// Opens or makes a small lock file beside a segment.
pub(crate) fn open_sidecar(path: &Path, access: &Access) -> io::Result<File> {
    // Whoever makes and removes it for ever is not followed.
    let mut left = 100;
    loop {
        match open_existing(path, true) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && left > 0 => left -= 1,
            other => return other,
        }
        match make_sidecar(path, access) {
            // Somebody else may have been faster.
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
}

/// A group's has its mode before it has its name, whatever the umask: another member that finds it can open it.
fn make_sidecar(path: &Path, access: &Access) -> io::Result<()> {
    let unnamed = if access.is_group() { unnamed_in(&parent(path))? } else { None };
    match unnamed {
        Some(file) => access.set_mode(&file).and_then(|()| link_unnamed(&file, path)),
        // A file system that has no such files shows a group's for a moment as the umask has it.
        None => new_named(path).and_then(|file| access.set_mode(&file)),
    }
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> std::path::PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.into(),
        _ => ".".into(),
    }
}

/// Sets the mode of an open file, whatever the umask is.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// Who else owns a file, if it is somebody else's. `Ok(None)`: it is ours, or there is none.
#[cfg(feature = "monitor")]
pub(crate) fn other_owner(path: &Path) -> io::Result<Option<u32>> {
    match std::fs::symlink_metadata(path) {
        Ok(about) => Ok((about.uid() != euid()).then(|| about.uid())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// All of a file that decides over processes: nobody else may own or write it. `None` where there is none; of one that is too
/// long one byte more than may be, which is then no valid one.
#[cfg(feature = "monitor")]
pub(crate) fn read_own(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    let Some((about, bytes)) = read_regular(path, max)? else { return Ok(None) };
    if about.uid() != euid() || about.mode() & 0o022 != 0 {
        let why = format!(
            "it is of uid {}, mode {:03o}; expected uid {}, and nobody else to write it",
            about.uid(),
            about.mode() & 0o777,
            euid()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(bytes))
}

/// The same of a regular file, whoever may write it, and what it is.
#[cfg(feature = "monitor")]
pub(crate) fn read_regular(path: &Path, max: usize) -> io::Result<Option<(Metadata, Vec<u8>)>> {
    let file = match open_existing(path, false) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some((about, bytes)))
}

/// Gives an unnamed file its name; EEXIST if the name is taken. Without a /proc only newer kernels (6.10) and the mighty can.
pub(crate) fn link_unnamed(file: &File, path: &Path) -> io::Result<()> {
    let from =
        CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let to = c_path(path)?;
    // SAFETY: both strings are NUL-terminated and live through the call.
    let rc = unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    match checked(rc) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // SAFETY: the descriptor is open, both strings are NUL-terminated and live through the call.
            let rc = unsafe { libc::linkat(file.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_EMPTY_PATH) };
            checked(rc).map(drop)
        }
        other => other.map(drop),
    }
}

/// Renames without replacing; EEXIST if the name is taken.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both strings are NUL-terminated and live through the call.
    let rc = unsafe { libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE) };
    checked(rc).map(drop)
}

/// Reserves every page of the file now, so that a full file system is an error here and never a SIGBUS later.
pub(crate) fn allocate(file: &File, len: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    loop {
        // SAFETY: the descriptor is open for the length of the call.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Bytes free to us on the file system of `dir`.
pub(crate) fn bytes_free(dir: &Path) -> Option<u64> {
    let dir = c_path(dir).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the string is NUL-terminated, `stat` is large enough for the call to fill.
    if unsafe { libc::statvfs(dir.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it is filled.
    let stat = unsafe { stat.assume_init() };
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Opens a folder; a symlink is ELOOP.
#[cfg(feature = "monitor")]
pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

/// Holds an exclusive `flock` for as long as the file is open; waits for the holder, who does a handful of calls under it.
pub(crate) fn flock_exclusive(file: &File) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open for the length of the call.
        match checked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

/// The same without waiting: whether it is held now.
#[cfg(feature = "monitor")]
pub(crate) fn try_flock_exclusive(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open for the length of the call.
    match checked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        other => other.map(|_| true),
    }
}

/// Gives a `flock` back before its file is closed.
#[cfg(feature = "monitor")]
pub(crate) fn funlock(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the length of the call.
    checked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) }).map(drop)
}

/// Fills `buffer` with random bytes of the kernel.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: the range is the unfilled part of the caller's buffer.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(n) {
            Ok(n) => filled += n,
            Err(_) => {
                let e = io::Error::last_os_error();
                if e.kind() != io::ErrorKind::Interrupted {
                    return Err(e);
                }
            }
        }
    }
    Ok(())
}

/// A sidecar's path: `<segment>.<suffix>`.
pub(crate) fn sidecar(segment: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = segment.as_os_str().to_owned();
    name.push(OsStr::new("."));
    name.push(suffix);
    name.into()
}
