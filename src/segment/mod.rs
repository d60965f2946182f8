//! A segment: one file in tmpfs, mapped once a role, its header validated before anything else is believed.
//!
//! A visible name is a complete, valid segment (I12): it is filled while it has no name. Every page is reserved at creation,
//! so a full /dev/shm is an error then and no SIGBUS later (I13). What was read of the header is copied, checked and never
//! read again (I15).
#![allow(unsafe_code)]

mod create;
pub(crate) mod death;
mod denied;
pub(crate) mod env;
mod geometry;
mod handle;
mod open;
pub mod path;
#[cfg(feature = "shmem")]
mod shmem;
mod validate;

pub use env::{ENV_ALLOWED_UIDS, ENV_SLOT_SIZE, ENV_SLOTS};
pub use geometry::Geometry;
pub(crate) use handle::{CANARY_OFFSET, SLOT_OFFSET, SlotHandle};
pub use validate::{Refusal, validate};

use crate::error::{Error, Result};
use crate::layout::header::{Fixed, SegmentState};
use crate::layout::phase::Class;
use crate::layout::user_phase::{self, UserPhase};
use crate::layout::{Header, Slot};
use crate::os::access::Access;
use crate::os::sigbus::{self, Registered};
use crate::sync::Ordering::{Relaxed, Release};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Bytes of a slot that a device writes: drivers register whole pages.
const SLOT_PAGE: u64 = 4096;

/// Bytes of memory that hold a segment for as long as the value lives.
enum Mapping {
    Mmap(memmap2::MmapRaw),
    #[cfg(feature = "shmem")]
    Shmem(shared_memory::Shmem),
}

impl Mapping {
    fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Mmap(map) => map.as_ptr(),
            #[cfg(feature = "shmem")]
            Self::Shmem(map) => map.as_ptr(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Mmap(map) => map.len(),
            #[cfg(feature = "shmem")]
            Self::Shmem(map) => map.len(),
        }
    }
}

/// From now on, a segment of this process whose file is cut short reads as zeroes, and [`Segment::presence`] says so, where
/// else a SIGBUS would end the process. Segments that were opened before are seen to as well.
///
/// It installs a handler of SIGBUS, which belongs to the program: this crate never calls it. Every SIGBUS that is not of a
/// segment goes where it went before. What a worker reports into such a segment nobody sees.
pub fn survive_truncation() -> Result<()> {
    sigbus::install().map_err(|e| Error::io("cannot handle SIGBUS", &e))
}

/// What became of a segment's file since it was mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Still there, whole, under its name.
    Present,
    /// Its name is gone: new workers cannot find it.
    Unlinked,
    /// Its name leads to another file: new workers find that one.
    Replaced,
    /// Cut short: touching what is missing would be a SIGBUS.
    Truncated,
    /// It says itself that a newer segment has taken its place.
    Superseded,
    /// Its magic is gone.
    Erased,
}

impl Presence {
    /// All of them. C's `hangwatch_presence_e` numbers them from 1 on, in this order.
    pub const ALL: [Self; 6] = [Self::Present, Self::Unlinked, Self::Replaced, Self::Truncated, Self::Superseded, Self::Erased];

    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Unlinked => "unlinked",
            Self::Replaced => "replaced",
            Self::Truncated => "truncated",
            Self::Superseded => "superseded",
            Self::Erased => "erased",
        }
    }

    /// Whether its slots are still what workers write: they may be touched, and mean something.
    pub const fn is_readable(self) -> bool {
        !matches!(self, Self::Truncated | Self::Erased)
    }

    /// Whether a worker that attaches by its name now finds it.
    pub const fn is_found(self) -> bool {
        matches!(self, Self::Present)
    }
}

/// A mapped segment.
pub struct Segment {
    // Before the mapping: it is dropped first.
    registered: Registered,
    mapping: Mapping,
    /// Validated once; the header is never asked again.
    fixed: Fixed,
    path: PathBuf,
    file: File,
    writable: bool,
    /// Who may share it and the files beside it.
    access: Access,
    /// Whether this process image has claimed a slot through this mapping.
    claimed_through: AtomicBool,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("path", &self.path).field("slots", &self.len()).field("writable", &self.writable).finish()
    }
}

// SAFETY: the mapping is reached through atomics only, and is unmapped when the last owner drops it.
unsafe impl Send for Segment {}
// SAFETY: the same.
unsafe impl Sync for Segment {}

impl Segment {
    /// Takes a mapping whose first `fixed.total_len` bytes were validated.
    fn from_mapping(mapping: Mapping, fixed: Fixed, path: PathBuf, file: File, writable: bool, access: Access) -> Self {
        assert!(mapping.len() as u64 >= fixed.total_len && mapping.as_ptr().align_offset(4096) == 0);
        let registered = Registered::new(mapping.as_ptr(), mapping.len());
        // A program may change its directory; the name stays where it is.
        let path = std::path::absolute(&path).unwrap_or(path);
        Self { registered, mapping, fixed, path, file, writable, access, claimed_through: AtomicBool::new(false) }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        // SAFETY: the mapping is page-aligned, at least 4096 bytes long (validated), lives as long as self, and is only
        // ever accessed as atomics.
        unsafe { &*self.mapping.as_ptr().cast::<Header>() }
    }

    /// Slot `index`, or `None` past the end.
    pub fn slot(&self, index: u32) -> Option<&Slot> {
        if index >= self.len() {
            return None;
        }
        let offset = self.fixed.slots_off as usize + index as usize * self.fixed.slot_size as usize;
        // SAFETY: validation showed slots_off + count × size ≤ total_len ≤ the mapping's length without overflow.
        let at = unsafe { self.mapping.as_ptr().add(offset) };
        // SAFETY: slots_off and slot_size are multiples of 128 and slot_size ≥ 1024, so the slot is aligned and inside; it
        // is only ever accessed as atomics, and lives as long as self.
        Some(unsafe { &*at.cast::<Slot>() })
    }

    /// All slots with their indices.
    pub fn slots(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (0..self.len()).filter_map(|i| self.slot(i).map(|slot| (i, slot)))
    }

    /// Whether each slot is a page of its own, which a device may be let into: 4096 bytes apart, or a multiple.
    pub(crate) fn has_slot_pages(&self) -> bool {
        self.fixed.slots_off.is_multiple_of(SLOT_PAGE) && self.fixed.slot_size.is_multiple_of(SLOT_PAGE)
    }

    /// Number of slots.
    #[expect(clippy::len_without_is_empty, reason = "a segment without slots is refused")]
    pub fn len(&self) -> u32 {
        self.fixed.slot_count as u32
    }

    /// The validated fixed part of the header.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its short name: the last part of its path.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    /// Whether it was mapped for writing: workers and monitors need that, observers do not.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Who may share it and the files beside it.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Device and inode: what a path must still lead to.
    pub fn file_id(&self) -> Option<(u64, u64)> {
        self.file.metadata().ok().map(|m| (m.dev(), m.ino()))
    }

    /// Notes that a slot is about to be claimed through this mapping; `true` the first time. Later, a slot of this very
    /// identity is a living handle's, not one that an exec left behind.
    pub(crate) fn is_first_claim(&self) -> bool {
        // Relaxed: one of two racing claimers is the first, whichever; nothing rides on it.
        !self.claimed_through.swap(true, Relaxed)
    }

    /// Two looks at the file and three loads: asked before every scan.
    pub fn presence(&self) -> Presence {
        let Ok(m) = self.file.metadata() else { return Presence::Truncated };
        if self.registered.is_replaced() || m.size() < self.fixed.total_len {
            return Presence::Truncated;
        }
        if !self.is_whole() {
            return Presence::Erased;
        }
        if self.state() == SegmentState::Superseded {
            return Presence::Superseded;
        }
        match std::fs::symlink_metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (m.dev(), m.ino()) => Presence::Present,
            Ok(_) => Presence::Replaced,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || m.nlink() == 0 => Presence::Unlinked,
            // A folder that cannot be looked into says nothing about the name.
            Err(_) => Presence::Present,
        }
    }

    /// Whether what was read up to now was read of the segment: no zeroes have taken its place, and its magic stands. Two
    /// loads; after a scan, of which [`presence`](Self::presence) can only see the beginning.
    pub(crate) fn is_whole(&self) -> bool {
        !self.registered.is_replaced() && self.header().fixed[0].load(Relaxed) == crate::layout::header::MAGIC
    }

    /// Its state word.
    pub fn state(&self) -> SegmentState {
        SegmentState::from_bits(self.header().seg_state.load(Relaxed))
    }

    /// Sets the state word.
    pub(crate) fn set_state(&self, state: SegmentState) {
        // Release: what was done before the segment was closed is seen by whoever sees it closed.
        self.header().seg_state.store(state.bits(), Release);
    }

    /// The user phase with this index, if it is registered.
    pub fn user_phase(&self, index: u8) -> Option<UserPhase> {
        self.header().user_phases.get(usize::from(index))?.read(index)
    }

    /// Finds or registers a user phase; `None` when all 48 are taken.
    pub(crate) fn register_phase(&self, name: &str, class: Class, budget_ns: u64) -> Option<u8> {
        user_phase::find_or_register(&self.header().user_phases, name, class, budget_ns)
    }
}
