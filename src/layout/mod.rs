//! What the bytes mean, layout version 1.0: every word, every ordering, every retry loop. Runs under loom.
//!
//! ```text
//! segment ─┬─ 0000 header   4096 B   who made it, its geometry, the monitor's words, user phases
//!          ├─ 1000 slot 0   slot_size (1024 or 4096) ─┬─ 000 hot line      written by the owner's working thread
//!          ├─ 1400 slot 1                             ├─ 080 control line  owner by CAS; the rest by claimer or monitor
//!          └─ …                                       ├─ 100 info copy 0   job, model, name, lane, detail:
//!                                                     └─ 280 info copy 1   the copy not written is always whole
//! ```
//!
//! Every field is one aligned 8-byte word, read and written whole, as an atomic, by everyone, always. Halves of a word are
//! never accessed: mixed-size atomics are undefined. Readers never write, and use `Relaxed` loads with Acquire fences, which
//! is the only form guaranteed on a read-only mapping.
//!
//! | words | written by | with |
//! |---|---|---|
//! | `beat` | the owner's working thread | Release, last |
//! | `progress`, `stamp`, `progress_stamp`, `total`, `lease` | the same | Relaxed, before `beat` |
//! | `epoch`, `phase` | the same | Relaxed, between two Release fences |
//! | `alive` | one helper thread of the owner | Release |
//! | `owner` | anyone, under the rules of `claim` | CAS; LIVE by a Release store |
//! | identity words | the claimer, while CLAIMING | Relaxed |
//! | `info_seq`, `info` | the owner | `latch` |
//! | `cmd`, `seen_beat` … `episode` | the monitor | Relaxed |
//!
//! In a slot of kind `gpu` the first two rows and the falls in `epoch` have two writers, one after the other, never at once.
//! The slot is a page of its own (slots 4096 bytes apart), which its process registers with the device's driver.
//!
//! | when | writer | words | with |
//! |---|---|---|---|
//! | before a kernel is launched | the owner's thread | all of the owner's, as above: `phase`, `epoch`, `total`, job, `beat` last | as above |
//! | from its first report to its end | one thread of the device | `progress`, falls in `epoch`, then `beat` | Relaxed and Release, at system scope |
//! | once the host has waited for its end | the owner's thread | as before the launch, going on from the device's `beat` (`hot::Pen::resync`) | as above |
//!
//! The launch makes the owner's words visible to the kernel, and waiting for its end makes the kernel's visible to the owner:
//! so it is one writer's sequence to every reader, and no ordering is needed that a step has not. A device only stores: a
//! read-modify-write over the bus is not atomic with the CPU's. It writes no stamps, for its clock is another: a `gpu` slot
//! has none, and where no monitor lives its ages are not known. It never says `alive`.

pub(crate) mod claim;
pub mod header;
pub(crate) mod hot;
pub mod info;
pub(crate) mod latch;
#[cfg(all(test, loom))]
mod models;
pub mod monitor;
pub mod phase;
pub mod slot;
pub(crate) mod user_phase;
pub mod word;

pub use header::Header;
pub use hot::HotWords;
pub use slot::Slot;
pub use user_phase::UserPhase;

/// Layout version: another major is refused, a higher minor only adds.
pub const VERSION_MAJOR: u32 = 1;
/// See [`VERSION_MAJOR`].
pub const VERSION_MINOR: u32 = 0;

/// Readers try this often for a consistent reading, then keep the last one (I4: bounded for any content).
#[cfg(not(loom))]
pub(crate) const MAX_TRIES: usize = 8;
/// In a model one: a later try knows all that the one before knew, so it can see nothing that a first try cannot.
#[cfg(loom)]
pub(crate) const MAX_TRIES: usize = 1;

/// FNV-1a, 64 bit, over the little-endian bytes of `words`: a check against garbage, not against an adversary.
pub fn fnv1a64(words: impl IntoIterator<Item = u64>) -> u64 {
    fnv1a64_of_bytes(words.into_iter().flat_map(u64::to_le_bytes))
}

/// The same of bytes: alike on every machine and at every run, which the hashers of the standard library do not promise.
pub fn fnv1a64_of_bytes(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
