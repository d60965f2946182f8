//! User phases: 48 entries of 64 bytes in the header, `id16|class8|ready8`, budget, name[48].
//!
//! An entry is taken by CAS (ready 1), filled, and made readable by a Release store (ready 2). A registrar that dies in
//! between costs one entry, never a wrong reading. A full table is an error of `register`; work goes on.

use super::phase::{Class, FIRST_USER_ID, USER_PHASES};
use crate::sync::{AtomicU64, Ordering::*, Site, at, fence};

/// Words of an entry: first word, budget, name.
pub(crate) const ENTRY_WORDS: usize = 8;
const NAME_WORDS: usize = 6;
/// Bytes that a user phase's name may have.
pub(crate) const NAME_MAX: usize = 8 * NAME_WORDS;
const TAKEN: u64 = 1;
const READY: u64 = 2;

/// A phase that a worker registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPhase {
    /// Index in the table; its id is 256 + index.
    pub index: u8,
    /// What it is to a judge.
    pub class: Class,
    /// Its budget in ns; 0 = none. Not trusted: policy clamps it.
    pub budget_ns: u64,
    /// Its name; not trusted: escape it before showing it.
    pub name: String,
}

#[repr(C)]
#[derive(Debug)]
pub(crate) struct Entry(pub(crate) [AtomicU64; ENTRY_WORDS]);

fn name_words(name: &str) -> [u64; NAME_WORDS] {
    let mut words = [0; NAME_WORDS];
    for (i, byte) in name.bytes().take(NAME_MAX).enumerate() {
        words[i / 8] |= u64::from(byte) << (8 * (i % 8));
    }
    words
}

impl Entry {
    pub(crate) fn read(&self, index: u8) -> Option<UserPhase> {
        let first = self.0[0].load(Relaxed);
        // Acquire: pairs with the ready store.
        fence(Site::EntryAfterReady, Acquire);
        if first & 0xff != READY {
            return None;
        }
        let bytes: Vec<u8> = self.0[2..].iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        Some(UserPhase {
            index,
            class: Class::from_bits((first >> 8) as u8),
            budget_ns: self.0[1].load(Relaxed),
            name: String::from_utf8_lossy(&bytes[..len]).into_owned(),
        })
    }

    /// Fills the entry if it is free.
    pub(crate) fn register(&self, index: u8, name: &str, class: Class, budget_ns: u64) -> bool {
        let first = |ready: u64| u64::from(FIRST_USER_ID + u16::from(index)) << 16 | u64::from(class.bits()) << 8 | ready;
        // Relaxed: taking the entry publishes nothing; the ready store does.
        if self.0[0].compare_exchange(0, first(TAKEN), Relaxed, Relaxed).is_err() {
            return false;
        }
        self.0[1].store(budget_ns, Relaxed);
        for (to, from) in self.0[2..].iter().zip(name_words(name)) {
            to.store(from, Relaxed);
        }
        // Release: pairs with the Acquire in `read`; a ready entry implies its budget and name.
        self.0[0].store(first(READY), at(Site::EntryStore, Release));
        true
    }
}

/// Finds `name`, or registers it in the first free entry; `None` when the table is full.
pub(crate) fn find_or_register(entries: &[Entry], name: &str, class: Class, budget_ns: u64) -> Option<u8> {
    for (index, entry) in entries.iter().enumerate().take(USER_PHASES) {
        let index = index as u8;
        if entry.read(index).is_some_and(|known| known.name == name) || entry.register(index, name, class, budget_ns) {
            return Some(index);
        }
    }
    None
}
