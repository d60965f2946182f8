//! A segment's file, and its words as a hostile process reaches them.
#![allow(unsafe_code, reason = "a hostile writer maps the file itself")]

use hangwatch::layout::header::{FIXED_WORDS, check};
use hangwatch::segment::{Geometry, Segment};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// Where the words of a slot stand, in words.
pub(crate) mod at {
    pub(crate) const BEAT: usize = 0;
    pub(crate) const PROGRESS: usize = 1;
    pub(crate) const PHASE: usize = 2;
    pub(crate) const EPOCH: usize = 5;
    pub(crate) const TOTAL: usize = 8;
    pub(crate) const OWNER: usize = 16;
    pub(crate) const INFO_SEQ: usize = 23;
    pub(crate) const INFO: [usize; 2] = [32, 80];
}

/// Words of a header.
pub(crate) const HEADER_WORDS: usize = 512;

/// A folder of its own for a segment's file and what stands beside it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    /// A good header of this boot.
    good: [u64; FIXED_WORDS],
}

thread_local! {
    static PLACE: Place = Place::new();
}

/// This thread's.
pub(crate) fn with<T>(f: impl FnOnce(&Place) -> T) -> T {
    PLACE.with(f)
}

impl Place {
    /// In a tmpfs where there is one, or where `TMPDIR` says.
    fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let is_shm = std::env::var_os("TMPDIR").is_none() && shm.is_dir();
        let folder = if is_shm { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.expect("a temp dir");
        let path = folder.path().join("good");
        drop(Segment::create(&path, Geometry { slots: 1, slot_size: 1024 }).expect("a segment"));
        let (good, refusal) = Segment::read_header(&path).expect("it is there");
        assert_eq!(refusal, None, "what was made is good");
        Self { folder, good }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The words of a good header of that geometry.
    pub(crate) fn header(&self, slots: u64, slot_size: u64) -> [u64; FIXED_WORDS] {
        let mut words = self.good;
        (words[4], words[5], words[7]) = (slot_size, slots, 4096 + slots * slot_size);
        words[31] = check(&words);
        words
    }

    /// A file for its owner alone, which every run writes anew.
    pub(crate) fn file(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600).open(self.path()).expect("a file of ours")
    }

    /// The same as a good segment whose words are all zero.
    pub(crate) fn segment(&self, slots: u64, slot_size: u64) -> Words {
        let file = self.file();
        file.set_len(4096 + slots * slot_size).expect("room for it");
        let words = Words::of(&file);
        for (word, good) in words.all().iter().zip(self.header(slots, slot_size)) {
            word.store(good, std::sync::atomic::Ordering::Relaxed);
        }
        words
    }
}

/// The words of a file, for whoever maps it: nothing that it writes there can be relied on, and all of it is atomics.
pub(crate) struct Words(memmap2::MmapRaw);

impl Words {
    fn of(file: &File) -> Self {
        Self(memmap2::MmapRaw::map_raw(file).expect("a mapping"))
    }

    pub(crate) fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned and lives as long as self; every process touches it by atomics only, and nobody
        // cuts the file while it is mapped.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<AtomicU64>(), self.0.len() / 8) }
    }
}
