//! The least that a look at every slot can cost.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes from one slot to the next.
const STRIDE: usize = 1024;
/// Words of a slot that its worker writes at a step or beside it: one cache line.
const LINE: usize = 8;

/// Shared memory with a word every [`STRIDE`] bytes, as a segment is; never given back.
#[derive(Debug)]
pub(crate) struct Words(&'static [Slot]);

#[derive(Debug)]
#[repr(C)]
struct Slot {
    line: [AtomicU64; LINE],
    rest: [AtomicU64; STRIDE / 8 - LINE],
}

impl Words {
    pub(crate) fn new(slots: u32) -> Self {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let slots = slots as usize;
        // SAFETY: a fresh mapping, of nothing that exists.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), slots * STRIDE, access, kind, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED, "memory for the slots");
        // SAFETY: page-aligned, zeroed, of that size, and never unmapped.
        let slots = unsafe { std::slice::from_raw_parts(memory.cast::<Slot>(), slots) };
        // Every page is written once: reading alone would map one page of zeroes everywhere.
        slots.iter().for_each(|slot| slot.rest[0].store(1, Relaxed));
        Self(slots)
    }

    /// Reads one word of every slot.
    #[inline(never)]
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, slot| sum.wrapping_add(slot.line[0].load(Relaxed)))
    }

    /// The lines as they are, side by side.
    pub(crate) fn lines(&self) -> Vec<[u64; LINE]> {
        self.0.iter().map(Slot::read).collect()
    }

    /// How many slots' lines differ from those that were seen last; keeps what is seen now.
    #[inline(never)]
    pub(crate) fn changed(&self, seen: &mut [[u64; LINE]]) -> usize {
        let differs = |(slot, seen): (&Slot, &mut [u64; LINE])| {
            let now = slot.read();
            let differs = now.iter().zip(&*seen).fold(0, |bits, (now, seen)| bits | (now ^ seen)) != 0;
            if differs {
                *seen = now;
            }
            differs
        };
        self.0.iter().zip(seen).map(differs).filter(|differs| *differs).count()
    }
}

impl Slot {
    #[inline(always)]
    fn read(&self) -> [u64; LINE] {
        std::array::from_fn(|i| self.line[i].load(Relaxed))
    }
}
