//! What a seen beat, and a seen owner, imply.

use super::harness::{Model, Tally, models};
use super::{claim, live_slot};
use crate::layout::hot::{Count, Pen};
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::{Epoch, Lease, PhaseWord};
use loom::thread;
use std::sync::Arc;

models! {
    BEAT = a_seen_beat_implies_its_progress_its_stamps_and_its_lease;
    /// Bounded: a claim writes ten words that a reading loads, and all their interleavings take hours. Its mutants fall
    /// within two preemptions; a stale value needs none.
    OWNER = a_seen_owner_implies_its_own_hot_words within 4 preemptions;
}

fn a_seen_beat_implies_its_progress_its_stamps_and_its_lease(tally: &Arc<Tally>) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Ok(hot) = slot.read_hot() else { return };
            let beat = hot.beat.count();
            tally.reading(beat > 0);
            let progress = if hot.progress == NO_PROGRESS { 0 } else { hot.progress };
            tally.must(progress >= beat, "a seen beat implies its progress");
            tally.must(hot.stamp_ns >= beat && hot.progress_stamp_ns >= beat, "a seen beat implies its stamps");
            tally.must(hot.lease.ms() >= beat, "a seen beat implies the lease given before it");
        }
    });
    let mut pen = Pen::new(owner.generation());
    for done in 1..=2 {
        slot.publish_lease(Lease::new(1, done));
        pen.step(&slot, done, Some(done));
    }
    reader.join().unwrap();
}

fn a_seen_owner_implies_its_own_hot_words(tally: &Arc<Tally>) {
    let (slot, first) = live_slot();
    let slot = Arc::new(slot);
    let mut pen = Pen::new(first.generation());
    pen.boundary(&slot, Epoch::new(1, 0, 0), PhaseWord::new(1, 1, 1), Count::fresh(9));
    pen.step(&slot, 5, None);
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Ok(hot) = slot.read_hot() else { return };
            let count = (hot.epoch.job(), hot.phase.entry(), hot.progress, hot.total);
            tally.must(hot.own_beat().is_some(), "an owner is read with a beat of its own generation");
            if hot.owner == first {
                tally.must(count == (1, 1, 5, 9), "an owner is never read with the next owner's words");
            } else {
                tally.reading(true);
                tally.must(count == (0, 0, NO_PROGRESS, TOTAL_NONE), "an owner is never read with the last owner's words");
            }
        }
    });
    assert!(slot.release(first));
    claim(&slot, first.freed(), 2).expect("nobody else claims");
    reader.join().unwrap();
}
