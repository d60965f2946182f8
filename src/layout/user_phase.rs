//! User phases: 48 entries of 64 bytes in the header, `id16|class8|ready8`, budget, name[48].
//!
//! ```text
//! 0 ── CAS ──► taken, and the hash of the name in bits 32.. ── CAS, Release ──► ready
//!                                                           └─ CAS of another ► void
//! ```
//!
//! One name, one entry: an entry is never free again, and a registrar takes the first that is free. So two of one name meet: the later
//! one comes by the entry that the other has taken, sees its own hash, and waits until it can be read. One that does not get ready in that
//! time, its registrar dead or stopped, is made void; a registrar that finds its own so begins anew, and finds what came after it. That
//! costs an entry, never a wrong reading. A full table is an error of `register`; work goes on.

use super::phase::{Class, FIRST_USER_ID, USER_PHASES};
use crate::sync::{AtomicU64, Ordering::*, Site, at, fence, yield_now};

/// Words of an entry: first word, budget, name.
pub(crate) const ENTRY_WORDS: usize = 8;
const NAME_WORDS: usize = 6;
/// Bytes that a user phase's name may have.
pub(crate) const NAME_MAX: usize = 8 * NAME_WORDS;
const TAKEN: u64 = 1;
const READY: u64 = 2;
const VOID: u64 = 3;
/// Looks at an entry that another registrar of this name has taken, each after a yield: a few µs where that one has a CPU. What it
/// changes is how likely an entry is wasted on one that has none.
pub(crate) const PATIENCE: usize = 1000;

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

/// FNV-1a, 32 bits, never 0: what a registrar of an older version leaves there.
fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash.max(1))
}

/// What an entry is to a registrar that came by it.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    /// It bears the name, or does now.
    Ours,
    /// It never will: the next may.
    NotOurs,
    /// It was ours and is void.
    Lost,
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

    /// The entry as taken by a registrar of this name.
    fn taken(index: u8, class: Class, name: &str) -> u64 {
        hash(name) << 32 | Self::first(index, class, TAKEN)
    }

    fn first(index: u8, class: Class, ready: u64) -> u64 {
        u64::from(FIRST_USER_ID + u16::from(index)) << 16 | u64::from(class.bits()) << 8 | ready
    }

    /// Takes the entry if it is free.
    pub(crate) fn take(&self, index: u8, name: &str, class: Class) -> bool {
        // Relaxed: taking the entry publishes nothing; what makes it ready does.
        self.0[0].compare_exchange(0, Self::taken(index, class, name), Relaxed, Relaxed).is_ok()
    }

    /// Fills the entry that was taken: whether it is ready, and not void.
    pub(crate) fn fill(&self, index: u8, name: &str, class: Class, budget_ns: u64) -> bool {
        self.0[1].store(budget_ns, Relaxed);
        for (to, from) in self.0[2..].iter().zip(name_words(name)) {
            to.store(from, Relaxed);
        }
        // Release: pairs with the Acquire in `read`; a ready entry implies its budget and name.
        let (taken, ready) = (Self::taken(index, class, name), Self::first(index, class, READY));
        self.0[0].compare_exchange(taken, ready, at(Site::EntryStore, Release), Relaxed).is_ok()
    }

    /// Whether a registrar of a name with this hash, or of an older version, has taken it and not made it ready.
    fn may_become(first: u64, hash: u64) -> bool {
        first & 0xff == TAKEN && matches!(first >> 32, its if its == hash || its == 0)
    }

    fn meet(&self, index: u8, name: &str, class: Class, budget_ns: u64, patience: usize) -> Met {
        let hash = hash(name);
        let mut left = patience;
        loop {
            // Relaxed: nothing rides on it; what is read of a ready entry is read by `read`.
            let first = self.0[0].load(Relaxed);
            if first == 0 {
                if self.take(index, name, class) {
                    return if self.fill(index, name, class, budget_ns) { Met::Ours } else { Met::Lost };
                }
                // Somebody was quicker, perhaps with this very name.
            } else if !Self::may_become(first, hash) {
                return if self.read(index).is_some_and(|known| known.name == name) { Met::Ours } else { Met::NotOurs };
            } else if left > 0 {
                left -= 1;
                yield_now();
            } else if first >> 32 == 0 {
                // One of an older version would store over it: nothing can be settled with that one.
                return Met::NotOurs;
            } else {
                // Void, or ready just now: the next look tells.
                let _ = self.0[0].compare_exchange(first, first & !0xff | VOID, Relaxed, Relaxed);
            }
        }
    }
}

/// Finds `name`, or registers it in the first free entry; `None` when the table is full.
pub(crate) fn find_or_register(entries: &[Entry], name: &str, class: Class, budget_ns: u64, patience: usize) -> Option<u8> {
    'anew: loop {
        for (index, entry) in (0_u8..).zip(entries.iter().take(USER_PHASES)) {
            match entry.meet(index, name, class, budget_ns, patience) {
                Met::Ours => return Some(index),
                Met::NotOurs => {}
                // Each time costs an entry, so there is an end to it.
                Met::Lost => continue 'anew,
            }
        }
        return None;
    }
}
