//! Opening a segment: nothing is followed, nothing blocks, nothing is mapped before it is validated.

use super::denied::{self, What};
use super::validate::{Refusal, validate};
use super::{Mapping, Segment, create, env};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::header::{FIXED_WORDS, Fixed};
use crate::os::access::Access;
use crate::os::{file, identity};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

pub(super) enum Opened {
    Segment(Box<Segment>),
    /// Left from before the last boot.
    Stale(File),
    Absent,
}

impl Segment {
    /// Opens an existing segment for a worker or a monitor.
    pub fn open(path: &Path) -> Result<Self> {
        Self::opened(path, true)
    }

    /// Opens an existing segment for an observer, who has to be able to read its file and no more: mapped read-only. A file
    /// system that is mounted read-only will do.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        Self::opened(path, false)
    }

    /// The header's fixed words of any regular file of ours, and why it would be refused, if it would.
    pub fn read_header(path: &Path) -> Result<([u64; FIXED_WORDS], Option<Refusal>)> {
        let access = env::access()?;
        let file = file::open_existing(path, false).map_err(|e| open_failed(path, &e, false, &access))?;
        let refused = check_file(path, &file, &access)?.err();
        let words = read_words(&file).map_err(|e| Error::io(what(path), &e))?;
        Ok((words, refused))
    }

    fn opened(path: &Path, write: bool) -> Result<Self> {
        match Self::try_open(path, write)? {
            Opened::Segment(segment) => Ok(*segment),
            Opened::Stale(_) => Err(refused(path, &Refusal::Stale)),
            Opened::Absent => {
                let error = Error::new(ErrorKind::NotFound, what(path), "there is no such segment");
                Err(error.hint("a worker that attaches makes it; 'hangwatch status' lists those that exist"))
            }
        }
    }

    pub(super) fn try_open(path: &Path, write: bool) -> Result<Opened> {
        let access = env::access()?;
        let file = match file::open_existing(path, write) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Opened::Absent),
            Err(e) => return Err(open_failed(path, &e, write, &access)),
        };
        match check_file(path, &file, &access)? {
            Ok(fixed) => {
                let map = create::map(&file, fixed.total_len, write).map_err(|e| Error::io(what(path), &e))?;
                let segment = Self::from_mapping(Mapping::Mmap(map), fixed, path.into(), file, write, access);
                Ok(Opened::Segment(Box::new(segment)))
            }
            Err(Refusal::Stale) => Ok(Opened::Stale(file)),
            Err(refusal) => Err(refused(path, &refusal)),
        }
    }
}

/// Type, owner, mode and header of an opened file. The header is read, not mapped: a short file is an error, not a SIGBUS.
pub(super) fn check_file(path: &Path, file: &File, access: &Access) -> Result<std::result::Result<Fixed, Refusal>> {
    let m = file.metadata().map_err(|e| Error::io(what(path), &e))?;
    let kind = m.file_type();
    if !kind.is_file() {
        let found = match () {
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_dir() => "a directory",
            () if kind.is_socket() => "a socket",
            () if kind.is_char_device() || kind.is_block_device() => "a device",
            () => "no regular file",
        };
        return Err(Error::new(ErrorKind::BadSegment, what(path), format!("it is {found}, expected a regular file")));
    }
    if let Some(forbids) = access.forbids(&m) {
        return Err(denied::denied(&what(path), forbids, access, What::Segment, path));
    }
    let words = match read_words(file) {
        Ok(words) => words,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err(Refusal::TooShort(m.size(), 4096))),
        Err(e) => return Err(Error::io(what(path), &e)),
    };
    Ok(validate(&words, m.size(), identity::boot_id()))
}

fn read_words(file: &File) -> io::Result<[u64; FIXED_WORDS]> {
    let mut bytes = [0; FIXED_WORDS * 8];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(std::array::from_fn(|i| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
        u64::from_ne_bytes(word)
    }))
}

pub(super) fn what(path: &Path) -> String {
    format!("cannot open segment '{}'", path.display())
}

pub(super) fn refused(path: &Path, refusal: &Refusal) -> Error {
    let shown = path.display().to_string();
    refusal.hints(&shown).into_iter().fold(Error::new(ErrorKind::BadSegment, what(path), refusal.to_string()), Error::hint)
}

pub(super) fn open_failed(path: &Path, e: &io::Error, write: bool, access: &Access) -> Error {
    if let Some(error) = denied::from_io(&what(path), e, path, write, access) {
        return error;
    }
    match e.raw_os_error() {
        Some(libc::ELOOP) => Error::new(ErrorKind::BadSegment, what(path), "it is a symbolic link, expected a regular file")
            .hint("give the path it leads to, if you trust who made it"),
        Some(libc::ENXIO) => Error::new(ErrorKind::BadSegment, what(path), "it is a FIFO or a socket, expected a regular file"),
        Some(libc::EISDIR) => Error::new(ErrorKind::BadSegment, what(path), "it is a directory, expected a regular file"),
        _ => Error::io(what(path), e),
    }
}
