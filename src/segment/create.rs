//! Making a segment: filled while it has no name, then named in one step; and removing one.

use super::open::Opened;
use super::{Mapping, Segment, path};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::header::{Fixed, HEADER_LEN, SegmentState};
use crate::layout::slot::SLOT_LEN;
use crate::os::{file, identity};
use crate::sync::Ordering::{Relaxed, Release};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many slots, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Number of slots.
    pub slots: u32,
    /// Bytes from one slot to the next: 1024, or 4096 where devices register a slot's page.
    pub slot_size: u32,
}

impl Default for Geometry {
    fn default() -> Self {
        Self { slots: 64, slot_size: SLOT_LEN as u32 }
    }
}

impl Geometry {
    fn total_len(self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.slots) * u64::from(self.slot_size)
    }

    fn check(self, what: &str) -> Result<()> {
        let bad = |why: String| Err(Error::new(ErrorKind::Usage, what, why));
        if self.slots == 0 || u64::from(self.slots) > super::validate::MAX_SLOTS {
            return bad(format!("{} slots, expected 1 to {}", self.slots, super::validate::MAX_SLOTS));
        }
        if !matches!(self.slot_size, 1024 | 4096) {
            return bad(format!("slot size {}, expected 1024, or 4096 for device slots", self.slot_size));
        }
        Ok(())
    }
}

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
                Opened::Stale(stale) => remove_if_same(path, &stale, &[])?,
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
        let what = what(path);
        geometry.check(&what)?;
        let dir = parent(path);
        if dir == path::directory() {
            path::ensure_directory(&dir)?;
        }
        let failed = |e: &io::Error| Error::io(&what, e);
        let (file, temporary) = match file::unnamed_in(&dir).map_err(|e| failed(&e))? {
            Some(file) => (file, None),
            None => {
                let temporary = temporary_beside(path).map_err(|e| failed(&e))?;
                (file::new_named(&temporary).map_err(|e| failed(&e))?, Some(temporary))
            }
        };
        let made = Self::fill(&file, path, geometry).and_then(|segment| {
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
    fn fill(file: &File, path: &Path, geometry: Geometry) -> Result<Self> {
        let what = what(path);
        let total_len = geometry.total_len();
        file::allocate(file, total_len).map_err(|e| no_room(&e, path, total_len))?;
        let me = identity::myself().map_err(|e| Error::io(&what, &e))?;
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
        let segment = Self::from_mapping(Mapping::Mmap(map), fixed, path.into(), own, true);
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
        remove_if_same(&self.path, &self.file, &["monitor", path::LIVENESS])
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

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.into(),
        _ => ".".into(),
    }
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    file::random(&mut random)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(parent(path).join(format!(".{name}.{:016x}", u64::from_ne_bytes(random))))
}

fn no_room(error: &io::Error, path: &Path, needed: u64) -> Error {
    let dir = parent(path);
    let error = match error.kind() {
        io::ErrorKind::StorageFull => {
            let free = file::bytes_free(&dir).map_or_else(|| "too little".into(), |b| format!("{} KiB", b / 1024));
            Error::new(
                ErrorKind::Full,
                what(path),
                format!("it needs {} KiB, '{}' has {free} free", needed / 1024, dir.display()),
            )
        }
        _ => Error::io(what(path), error),
    };
    error
        .hint("each slot takes its slot size (1 KiB), the header 4 KiB: ask for fewer with --slots")
        .hint("or give the tmpfs more room, or set HANGWATCH_DIR to a folder in one that has it")
}

/// Removes `path` under the unlink lock if it is still the file that was opened, and these files beside it, unless they are
/// another segment's by now.
fn remove_if_same(path: &Path, opened: &File, beside: &[&str]) -> Result<()> {
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
        let lock = file::open_sidecar(&lock_path).map_err(failed)?;
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
