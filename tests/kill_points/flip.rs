//! The worst that can be done to a reader: between any two of its instructions the words that it compares are others.

use crate::common::scratch;
use crate::state::{EPOCH, INFO_SEQ, OWNER, Words};
use crate::tracer::{Stop, Traced, stop_here};
use hangwatch::layout::Slot;
use hangwatch::layout::word::{Kind, Owner, Tag};
use hangwatch::segment::{Geometry, Segment};
use std::sync::atomic::Ordering::Relaxed;

/// What a reader reads of a slot.
pub(crate) const READINGS: [&str; 2] = ["hot words", "record"];

/// Whether the reading succeeds.
fn read(slot: &Slot, reading: &str) -> bool {
    if reading == "hot words" { slot.read_hot().is_ok() } else { slot.read_info().is_some() }
}

/// Instructions of one reading of a LIVE slot, whose words change after each of them if `changes`; and whether it succeeds.
pub(crate) fn read_under(reading: &str, changes: bool) -> (u64, bool) {
    let dir = scratch();
    let path = dir.path().join("s");
    let segment = Segment::create(&path, Geometry { slots: 1, slot_size: 1024 }).expect("a segment");
    let words = Words::of(&path);
    let live = |generation: u64| Owner::new(generation as u16, Tag::Live, Kind::Worker, std::process::id()).0;
    let set = |at: usize, value: u64| words.all()[at].store(value, Relaxed);
    set(OWNER, live(1));
    let mut child = Traced::fork(|| {
        let slot = segment.slot(0).expect("inside");
        stop_here();
        let succeeds = read(slot, reading);
        stop_here();
        // The end of the reading was a stop; this says how it went.
        set(EPOCH, u64::from(succeeds));
        stop_here();
    });
    child.run();
    let mut instructions = 0;
    while child.step() == Stop::Stepped {
        instructions += 1;
        if changes {
            set(OWNER, live(1 + instructions));
            set(EPOCH, instructions << 32);
            set(INFO_SEQ, instructions);
        }
    }
    while child.step() == Stop::Stepped {}
    (instructions, words.all()[EPOCH].load(Relaxed) == 1)
}
