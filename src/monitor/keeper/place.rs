//! Where what was learnt is kept, and what stands there. Only what is ours by its first bytes is ever renamed or replaced: a path
//! may be mistyped, and may lead to anything.

use crate::error::{Error, ErrorKind, Result, system_text};
use crate::learn::Learnt;
use crate::os::access::Access;
use crate::os::file::{self, euid};
use crate::segment::{Segment, path};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file for what is learnt.
#[derive(Debug, Clone)]
pub(in crate::monitor) struct Place {
    path: PathBuf,
    /// Somebody asked for this very file.
    is_named: bool,
    access: Access,
}

/// What stands under a name.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    /// Nothing, or an empty file.
    Nothing,
    /// A file of ours, and its mode.
    Ours(Vec<u8>, u32),
    /// A file of another member of the group.
    Members(u32),
    /// Not ours to touch: why.
    Foreign(String),
}

/// What is known of the place.
#[derive(Debug, PartialEq)]
enum Found {
    Nothing,
    Learnt(Learnt),
    /// Ours, and of no use: why.
    Bad(String),
    /// To be left alone: why.
    Left(String),
    Foreign(String),
}

impl Place {
    /// The file that was named, or the one beside the segment. What was named and is not ours to replace is an error, told before
    /// the segment's lock is waited for.
    pub(in crate::monitor) fn new(named: Option<PathBuf>, segment: &Segment) -> Result<Self> {
        let is_named = named.is_some();
        let path = named.unwrap_or_else(|| super::learnt_path(segment));
        let access = segment.access().clone();
        // It stays the same file where the process goes to another folder.
        let absolute = std::path::absolute(&path);
        let place = Self { path: absolute.as_ref().unwrap_or(&path).clone(), is_named, access };
        match absolute {
            Err(e) if is_named => Err(place.refused(&system_text(&e))),
            _ => place.refuse_foreign(place.found()).map(|_| place),
        }
    }

    /// What was learnt before; nothing where there is no such file, or it is of no use. Whether this monitor may keep it there: not
    /// over the file of another member of a group, who will go on from it, and never over what is not ours.
    pub(in crate::monitor) fn load(&self) -> Result<(Learnt, bool)> {
        let why = match self.refuse_foreign(self.found())? {
            Found::Nothing => return Ok((Learnt::new(), true)),
            Found::Learnt(learnt) => return Ok((learnt, true)),
            Found::Bad(why) => {
                let (keeps, aside) = match set_aside(&self.path, &self.access) {
                    Ok(aside) => (true, aside),
                    Err(why) => (false, format!("it cannot be set aside either: {why}; nothing is kept")),
                };
                let path = self.path.display();
                tracing::warn!("cannot use what was learnt, '{path}': {why}; {aside}; learning starts anew");
                return Ok((Learnt::new(), keeps));
            }
            Found::Left(why) | Found::Foreign(why) => why,
        };
        tracing::warn!(
            "what was learnt, '{}', is left alone: {why}; this monitor learns anew and keeps nothing (name another file for it)",
            self.path.display()
        );
        Ok((Learnt::new(), false))
    }

    /// Puts these bytes there, unless something else has come there meanwhile.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.obstacle(8).or_else(|| obstacle_of(stands(&self.path, 8, &self.access))) {
            Some(Found::Left(why) | Found::Foreign(why)) => Err(io::Error::other(why)),
            _ => file::replace(&self.path, bytes, true).map(drop),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn refuse_foreign(&self, found: Found) -> Result<Found> {
        match found {
            Found::Foreign(why) if self.is_named => Err(self.refused(&why)),
            found => Ok(found),
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("cannot keep what is learnt in '{}'", self.path.display()), why)
            .hint("name a file for it alone, in a folder that is there: it is made where it is absent, and may be empty")
    }

    fn found(&self) -> Found {
        if let Some(why) = not_a_name(&self.path) {
            return Found::Foreign(why);
        }
        if let Some(found) = self.obstacle(Learnt::MAX_BYTES) {
            return found;
        }
        match stands(&self.path, Learnt::MAX_BYTES, &self.access) {
            Stands::Nothing => match fs::metadata(file::parent(&self.path)) {
                Ok(folder) if folder.is_dir() => Found::Nothing,
                Ok(_) => Found::Foreign(format!("'{}' is no folder", file::parent(&self.path).display())),
                Err(e) => Found::Foreign(format!("its folder: {}", system_text(&e))),
            },
            Stands::Ours(_, mode) if mode & 0o022 != 0 => {
                Found::Bad(format!("others may write it: mode {mode:03o}; expected nobody else to"))
            }
            Stands::Ours(bytes, _) => Learnt::from_bytes(&bytes).map_or_else(|e| Found::Bad(e.to_string()), Found::Learnt),
            other => obstacle_of(other).unwrap_or(Found::Nothing),
        }
    }

    /// What stands where it would be written first, if that is not ours. A crash of the machine may leave a file of zeros.
    fn obstacle(&self, max: usize) -> Option<Found> {
        let unfinished = file::sidecar(&self.path, "new");
        let stands = match stands(&unfinished, max, &self.access) {
            Stands::Foreign(why) => match file::read_own(&unfinished, Learnt::MAX_BYTES) {
                Ok(Some(bytes)) if bytes.iter().all(|byte| *byte == 0) => Stands::Nothing,
                _ => Stands::Foreign(format!("'{}' is in its way: {why}", unfinished.display())),
            },
            other => other,
        };
        obstacle_of(stands)
    }
}

fn obstacle_of(stands: Stands) -> Option<Found> {
    match stands {
        Stands::Nothing | Stands::Ours(..) => None,
        Stands::Members(uid) => Some(Found::Left(format!("it is of uid {uid}, and believed by that user alone"))),
        Stands::Foreign(why) => Some(Found::Foreign(why)),
    }
}

/// Why a path cannot be that of such a file, whatever stands there.
fn not_a_name(path: &Path) -> Option<String> {
    let Some(name) = path.file_name().filter(|_| !path.as_os_str().as_bytes().ends_with(b"/")) else {
        return Some("it is the name of a folder".into());
    };
    let others = path::SIDECARS.iter().filter(|suffix| **suffix != "learnt");
    let ending = others.map(|suffix| format!(".{suffix}")).find(|ending| name.as_bytes().ends_with(ending.as_bytes()))?;
    Some(format!("'{ending}' is the ending of a file beside a segment"))
}

/// What stands under this name, of a file no more than `max` bytes and one.
fn stands(path: &Path, max: usize, access: &Access) -> Stands {
    let unreadable = |e: &io::Error| Stands::Foreign(format!("it cannot be read: {}", system_text(e)));
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Stands::Nothing,
        Err(e) => return unreadable(&e),
    };
    let kind = about.file_type();
    if !kind.is_file() {
        return Stands::Foreign(match () {
            () if kind.is_dir() => "it is a folder".into(),
            () if kind.is_symlink() => "it is a symbolic link, which is not followed".into(),
            () if kind.is_fifo() => "it is a FIFO".into(),
            () => "it is not a regular file".into(),
        });
    }
    match about.uid() {
        uid if uid == euid() => {}
        uid if access.may_own(uid) => return Stands::Members(uid),
        uid => return Stands::Foreign(format!("it belongs to uid {uid}, this process is uid {}", euid())),
    }
    match file::read_regular(path, max) {
        Ok(None) => Stands::Nothing,
        Ok(Some((_, bytes))) if bytes.is_empty() => Stands::Nothing,
        Ok(Some((about, bytes))) if Learnt::begins(&bytes) => Stands::Ours(bytes, about.mode() & 0o777),
        Ok(Some(_)) => Stands::Foreign("it holds something else, and is not replaced".into()),
        Err(e) => unreadable(&e),
    }
}

/// Takes a file of ours out of the way, under a name that nobody else has. What was done, or why it could not be.
fn set_aside(path: &Path, access: &Access) -> std::result::Result<String, String> {
    let aside = file::sidecar(path, "bad");
    let failed = |e: io::Error| format!("'{}': {e}", aside.display());
    let done = format!("it is set aside as '{}'", aside.display());
    match file::rename_new(path, &aside) {
        Ok(()) => Ok(done),
        // Taken; or a file system that cannot rename so.
        Err(e) if matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::InvalidInput) => {
            let older = match stands(&aside, 8, access) {
                Stands::Nothing => "",
                Stands::Ours(..) => ", in place of an older one",
                Stands::Members(_) | Stands::Foreign(_) => return Err(format!("'{}' is something else", aside.display())),
            };
            fs::rename(path, &aside).map_err(failed)?;
            Ok(format!("{done}{older}"))
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests;
