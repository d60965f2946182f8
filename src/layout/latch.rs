//! The double buffer of the info record: a writer that dies at any instruction leaves a whole copy readable for ever.
//!
//! `seq` counts published records; copy `seq & 1` is the readable one and is not written until `seq` has moved on. The test
//! on re-reading is exact: a reader that tolerates `seq + 1` can return torn words.

use super::MAX_TRIES;
use crate::sync::{AtomicU64, Ordering::*, Site, at, fence};

/// Publishes `words`. One writer.
pub(crate) fn publish<const N: usize>(seq: &AtomicU64, copies: [&[AtomicU64; N]; 2], words: &[u64; N]) {
    // Relaxed: our own word, or the last owner's, seen through the claim.
    let current = seq.load(Relaxed);
    // Release: pairs with the reader's second fence; one of our words below implies `seq` as it was stored before.
    fence(Site::LatchBefore, Release);
    let copy = copies[(current.wrapping_add(1) & 1) as usize];
    for (to, from) in copy.iter().zip(words) {
        to.store(*from, Relaxed);
    }
    // Release: pairs with the reader's first fence; this `seq` implies the whole copy.
    seq.store(current.wrapping_add(1), at(Site::LatchSeqStore, Release));
}

/// Reads the last published words, or `None` when the writer published during every try.
pub(crate) fn read<const N: usize>(seq: &AtomicU64, copies: [&[AtomicU64; N]; 2]) -> Option<[u64; N]> {
    for _ in 0..MAX_TRIES {
        let before = seq.load(Relaxed);
        // Acquire: pairs with the Release store of `seq`.
        fence(Site::LatchAfterSeq, Acquire);
        let copy = copies[(before & 1) as usize];
        let words = std::array::from_fn(|i| copy[i].load(Relaxed));
        // Acquire: pairs with the writer's fence; a word of a later record implies a later `seq` here.
        fence(Site::LatchRecheck, Acquire);
        if seq.load(Relaxed) == before {
            return Some(words);
        }
    }
    None
}
