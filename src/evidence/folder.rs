//! The folder of bundles: nothing outside it is ever touched, nothing in it that hangwatch did not make.
//!
//! It is reached through one descriptor, opened without following a link and checked, so that a path that changes meanwhile
//! leads nowhere else. A bundle is written under a temporary name beside a lock that its writer's death releases, and renamed
//! when it is whole.

use super::name;
use crate::os::file::{self, euid};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Beginning of the name of what is not whole yet.
const UNFINISHED: &str = ".unfinished-";
/// Names to try: one a gathering of the same episode within a millisecond, far more than there are.
const NAMES: u32 = 16;

/// A folder that is ours, and stays the one that was checked.
#[derive(Debug)]
pub(super) struct Folder {
    fd: File,
}

fn denied(why: String) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, why)
}

impl Folder {
    /// Opens the folder of all bundles, and makes it if it is absent.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::checked(path).map_err(|e| io::Error::new(e.kind(), format!("cannot use '{}': {e}", path.display())))
    }

    fn checked(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let folder = Self::open_as_it_is(path)?;
        let is = folder.fd.metadata()?;
        if is.uid() != euid() {
            return Err(denied(format!("it belongs to uid {}, expected {}", is.uid(), euid())));
        }
        if is.mode() & 0o022 != 0 {
            return Err(denied(format!("others may write it: mode {:04o}, expected 0700", is.mode() & 0o7777)));
        }
        Ok(folder)
    }

    fn open_as_it_is(path: &Path) -> io::Result<Self> {
        let fd = file::open_folder(path).map_err(|e| match e.raw_os_error() {
            Some(libc::ELOOP | libc::ENOTDIR) => denied("it is a symbolic link, or no folder".into()),
            _ => e,
        })?;
        Ok(Self { fd })
    }

    /// What is called `name` in it.
    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).join(name)
    }

    /// Names of folders in it that are ours by their name, sorted.
    fn names(&self, is_ours: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.at("."))?.filter_map(Result::ok);
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
        let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| is_ours(name));
        names.sort();
        Ok(names)
    }

    /// Begins a bundle.
    pub(super) fn begin(&self) -> io::Result<Unfinished<'_>> {
        let mut random = [0; 8];
        file::random(&mut random)?;
        let name = format!("{UNFINISHED}{:016x}", u64::from_ne_bytes(random));
        // Nobody tidies between the making of the folder and its lock.
        file::flock_exclusive(&self.fd)?;
        let made = DirBuilder::new().mode(0o700).create(self.at(&name)).and_then(|()| {
            let folder = Self::open_as_it_is(&self.at(&name))?;
            file::try_flock_exclusive(&folder.fd).map(|_| folder)
        });
        let _ = file::funlock(&self.fd);
        Ok(Unfinished { of: self, name, folder: made?, is_whole: false })
    }

    /// Takes away what writers that were killed have left.
    pub(super) fn tidy(&self) -> io::Result<()> {
        file::flock_exclusive(&self.fd)?;
        for name in self.names(|name| name.starts_with(UNFINISHED))? {
            let Ok(folder) = Self::open_as_it_is(&self.at(&name)) else { continue };
            if file::try_flock_exclusive(&folder.fd).is_ok_and(|locked| locked) {
                let _ = self.remove(&name);
            }
        }
        file::funlock(&self.fd)
    }

    /// Takes the oldest bundles away until no more than `max_bundles` and `max_bytes` are left. `newest` stays in any case,
    /// whatever the clock has named the others.
    pub(super) fn rotate(&self, newest: &str, max_bundles: usize, max_bytes: u64) -> io::Result<()> {
        let size = |name: &str| Self::open_as_it_is(&self.at(name)).and_then(|folder| folder.bytes()).ok();
        let names = self.names(name::is_bundle)?.into_iter();
        // One that cannot be read, or is not of our making, is not counted: it could not be taken away.
        let bundles: Vec<(String, u64)> = names.filter_map(|name| size(&name).map(|bytes| (name, bytes))).collect();
        let mut bytes: u64 = bundles.iter().map(|(_, bytes)| bytes).sum();
        let mut left = bundles.len();
        for (name, size) in bundles.iter().filter(|(name, _)| name != newest) {
            if left <= max_bundles && bytes <= max_bytes {
                break;
            }
            // One that cannot be taken away is left, and another goes for it.
            if self.remove(name).is_ok() {
                left -= 1;
                bytes -= size;
            }
        }
        Ok(())
    }

    /// What is in it. A folder is an error: no bundle holds one.
    fn entries(&self) -> io::Result<Vec<fs::DirEntry>> {
        let entries: Vec<_> = fs::read_dir(self.at("."))?.collect::<io::Result<_>>()?;
        let has_folder = entries.iter().any(|entry| entry.file_type().map_or(true, |it| it.is_dir()));
        if has_folder { Err(ErrorKind::IsADirectory.into()) } else { Ok(entries) }
    }

    fn bytes(&self) -> io::Result<u64> {
        let sizes = self.entries()?.into_iter().map(|entry| fs::symlink_metadata(entry.path()).map(|it| it.len()));
        sizes.sum()
    }

    /// Removes a folder of files. One that holds a folder is not of our making and stays.
    fn remove(&self, name: &str) -> io::Result<()> {
        let folder = Self::open_as_it_is(&self.at(name))?;
        for entry in folder.entries()? {
            // Of a link this removes the link.
            fs::remove_file(entry.path())?;
        }
        fs::remove_dir(self.at(name))
    }
}

/// A bundle that is being written; gone with this unless it became whole.
#[derive(Debug)]
pub(super) struct Unfinished<'a> {
    of: &'a Folder,
    name: String,
    /// Locked for as long as it is open.
    folder: Folder,
    is_whole: bool,
}

impl Unfinished<'_> {
    /// Writes one file, mode 0600. A name that exists is an error.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut file::new_named(&self.folder.at(name))?, bytes)
    }

    /// Gives it its name, the first of `name(0)`, `name(1)` … that is not taken.
    pub(super) fn finish(mut self, name: impl Fn(u32) -> String) -> io::Result<String> {
        for n in 0..NAMES {
            let name = name(n);
            match file::rename_new(&self.of.at(&self.name), &self.of.at(&name)) {
                Ok(()) => {
                    self.is_whole = true;
                    return Ok(name);
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = self.of.remove(&self.name);
        }
    }
}
