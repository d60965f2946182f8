//! Making a segment: filled while it has no name, then named in one step; and removing one.

use super::open::Opened;
use super::{Geometry, Mapping, Segment, env, path};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::header::{Fixed, HEADER_LEN, SegmentState};
use crate::os::access::Access;
use crate::os::{file, identity};
use crate::sync::Ordering::{Relaxed, Release};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Segment {
    /// Makes a new segment at `path`; an existing name is an error of kind [`ErrorKind::Held`].
    pub fn create(path: &Path, geometry: Geometry) -> Result<Self> {
        match Self::try_create(path, geometry)? {
            Some(segment) => Ok(segment),
            None => Err(Error::new(ErrorKind::Held, what(path), "the name is taken")),
        }
    }

    /// Opens the segment at `path`, or makes it. One that is left from before the last boot is replaced.
    pub fn open_or_create(path: &Path, geometry: Geometry) -> Result<Self> {
        // Two tries: between the opening and the making somebody else may win the name, or lose it.
        for _ in 0..2 {
            match Self::try_open(path, true)? {
                Opened::Segment(segment) => return Ok(*segment),
                Opened::Stale(stale) => remove_if_same(path, &stale, &[], &env::access()?)?,
                Opened::Absent => {}
            }
            if let Some(segment) = Self::try_create(path, geometry)? {
                return Ok(segment);
            }
        }
        Self::open(path)
    }

    /// `Ok(None)`: the name is taken.
    fn try_create(path: &Path, geometry: Geometry) -> Result<Option<Self>> {
        let (what, access) = (what(path), env::access()?);
        geometry.check(&what)?;
        let dir = file::parent(path);
        if dir == path::directory() {
            path::ensure_directory(&dir, &access)?;
        }
        let failed = |e: &io::Error| not_made(e, &what, &dir);
        let (file, temporary) = match file::unnamed_in(&dir).map_err(|e| failed(&e))? {
            Some(file) => (file, None),
            None => {
                let temporary = temporary_beside(path).map_err(|e| failed(&e))?;
                (file::new_named(&temporary).map_err(|e| failed(&e))?, Some(temporary))
            }
        };
        let filled = access.set_mode(&file).map_err(|e| failed(&e)).and_then(|()| Self::fill(&file, path, geometry, access));
        let made = filled.and_then(|segment| {
            let named = match &temporary {
                None => file::link_unnamed(&file, path),
                Some(temporary) => file::rename_new(temporary, path),
            };
            match named {
                Ok(()) => Ok(Some(segment)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                Err(e) => Err(failed(&e)),
            }
        });
        if let (Some(temporary), Ok(None) | Err(_)) = (&temporary, &made) {
            let _ = fs::remove_file(temporary);
        }
        made
    }

    /// Reserves, maps and writes everything, the magic last.
    fn fill(file: &File, path: &Path, geometry: Geometry, access: Access) -> Result<Self> {
        let what = what(path);
        let total_len = geometry.total_len();
        file::allocate(file, total_len).map_err(|e| no_room(&e, path, geometry))?;
        let me = identity::myself();
        let mut random = [0; 16];
        file::random(&mut random).map_err(|e| Error::io(&what, &e))?;
        let (low, high) = random.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let (created_boottime_ns, created_realtime_ns) = identity::created_stamps();
        let fixed = Fixed {
            version: Fixed::VERSION,
            header_len: HEADER_LEN as u64,
            slot_size: geometry.slot_size.into(),
            slot_count: geometry.slots.into(),
            slots_off: HEADER_LEN as u64,
            total_len,
            feat_incompat: 0,
            feat_compat: 0,
            segment_id: [word(low), word(high)],
            boot_id: identity::boot_id(),
            created_boottime_ns,
            created_realtime_ns,
            creator_pid: me.pid.into(),
            creator_starttime: me.starttime,
            creator_pidns_ino: me.pidns_ino,
            stamp_clock: u64::from(crate::os::time::has_vdso()),
            timens_ino: me.timens_ino,
        };
        let map = map(file, total_len, true).map_err(|e| Error::io(&what, &e))?;
        let own = file.try_clone().map_err(|e| Error::io(&what, &e))?;
        let segment = Self::from_mapping(Mapping::Mmap(map), fixed, path.into(), own, true, access);
        segment.set_state(SegmentState::Open);
        let words = segment.fixed.words();
        for (i, word) in words.iter().enumerate().skip(1) {
            segment.header().fixed[i].store(*word, Relaxed);
        }
        // Release: pairs with the naming of the file; whoever reads the magic reads a whole header.
        segment.header().fixed[0].store(words[0], Release);
        Ok(segment)
    }

    /// Removes the segment's name and the lock files beside it, unless the name leads to another segment by now. Mapped
    /// processes keep what they have.
    pub fn unlink(&self) -> Result<()> {
        remove_if_same(&self.path, &self.file, &["monitor", path::LIVENESS], &self.access)
    }
}

pub(super) fn map(file: &File, len: u64, write: bool) -> io::Result<memmap2::MmapRaw> {
    let mut options = memmap2::MmapOptions::new();
    options.len(usize::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?);
    if write { options.map_raw(file) } else { options.map_raw_read_only(file) }
}

fn what(path: &Path) -> String {
    format!("cannot create segment '{}'", path.display())
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    file::random(&mut random)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(file::parent(path).join(format!(".{name}.{:016x}", u64::from_ne_bytes(random))))
}

/// Not even an empty file could be made.
fn not_made(error: &io::Error, what: &str, dir: &Path) -> Error {
    match error.raw_os_error() {
        // Pages are asked for later: what has run out is inodes.
        Some(libc::ENOSPC) => Error::new(ErrorKind::Full, what, format!("'{}' has room for no more files", dir.display()))
            .hint("remove some, or mount it with a higher nr_inodes"),
        Some(libc::EROFS) => Error::new(ErrorKind::Denied, what, format!("'{}' is mounted read-only here", dir.display()))
            .hint("whoever makes a segment, works in it or monitors it has to write it"),
        Some(libc::EACCES) => Error::new(ErrorKind::Denied, what, format!("this user may not write to '{}'", dir.display()))
            .hint("set HANGWATCH_DIR to a folder in a tmpfs that you may write, or give a path in one"),
        _ => Error::io(what, error),
    }
}

/// Its pages could not be reserved.
fn no_room(error: &io::Error, path: &Path, geometry: Geometry) -> Error {
    let what = what(path);
    let free = match error.kind() {
        io::ErrorKind::StorageFull => file::bytes_free(&file::parent(path)),
        _ => return Error::io(what, error),
    };
    let (dir, needed) = (file::parent(path), geometry.total_len() / 1024);
    let shown = free.map_or_else(|| "too little".into(), |bytes| format!("{} KiB", bytes / 1024));
    let why = format!("it needs {needed} KiB, '{}' has {shown} free", dir.display());
    let each = format!("each slot takes {} KiB, the header 4 KiB", geometry.slot_size / 1024);
    let fewer = match free.map_or(0, |bytes| geometry.fit(bytes)) {
        0 => format!("{each}: not one fits"),
        n => format!("{each}: {n} slots fit; ask for no more with --slots {n} or {}={n}", env::ENV_SLOTS),
    };
    Error::new(ErrorKind::Full, what, why)
        .hint(fewer)
        .hint("or give the tmpfs more room, or set HANGWATCH_DIR to a folder in one that has it")
}

/// Removes `path` under the unlink lock if it is still the file that was opened, and these files beside it, unless they are
/// another segment's by now.
fn remove_if_same(path: &Path, opened: &File, beside: &[&str], access: &Access) -> Result<()> {
    let what = format!("cannot remove segment '{}'", path.display());
    let failed = |e: io::Error| Error::io(&what, &e);
    let at = |path: &Path| -> io::Result<Option<(u64, u64)>> {
        match fs::symlink_metadata(path) {
            Ok(there) => Ok(Some((there.dev(), there.ino()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    };
    let of = |file: &File| file.metadata().map(|m| (m.dev(), m.ino()));
    let lock_path = file::sidecar(path, "unlink");
    let lock = loop {
        let lock = file::open_sidecar(&lock_path, access).map_err(failed)?;
        file::flock_exclusive(&lock).map_err(failed)?;
        // The last holder removed the name that was waited for: the lock of its successor is another file.
        if at(&lock_path).map_err(failed)? == Some(of(&lock).map_err(failed)?) {
            break lock;
        }
    };
    let remove = || -> io::Result<()> {
        let there = at(path)?;
        if there.is_some() && there != Some(of(opened)?) {
            return Ok(());
        }
        // Before the name: a worker that finds the name free makes another segment, whose files these are then.
        for suffix in beside {
            let _ = fs::remove_file(file::sidecar(path, suffix));
        }
        if there.is_some() { fs::remove_file(path) } else { Ok(()) }
    };
    let removed = remove().map_err(failed);
    let _ = fs::remove_file(&lock_path);
    drop(lock);
    removed
}
