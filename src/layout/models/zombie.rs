//! A writer that lost its slot and does not know.

use super::harness::{Model, Tally, models};
use super::{claim, live_slot};
use crate::layout::hot::{HotWords, Pen};
use crate::layout::word::Beat;
use loom::thread;
use std::sync::Arc;

models! {
    ZOMBIE = a_zombies_beat_is_not_credited_to_its_replacement;
}

/// The replacement never beats; two polls of it see whatever the zombie still stores.
fn zombie(tally: &Arc<Tally>, credited: fn(&HotWords) -> Option<Beat>) {
    let (slot, first) = live_slot();
    let mut pen = Pen::new(first.generation());
    pen.beat(&slot, None);
    assert!(slot.release(first));
    claim(&slot, first.freed(), 2).expect("nobody else claims");
    let slot = Arc::new(slot);
    let monitor = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let (Ok(before), Ok(after)) = (slot.read_hot(), slot.read_hot()) else { return };
            tally.reading(before.own_beat() != after.own_beat());
            let alive = matches!((credited(&before), credited(&after)), (Some(before), Some(after)) if before != after);
            tally.must(!alive, "a silent replacement is not alive by its predecessor's beats");
        }
    });
    pen.beat(&slot, None);
    pen.beat(&slot, None);
    monitor.join().unwrap();
}

fn a_zombies_beat_is_not_credited_to_its_replacement(tally: &Arc<Tally>) {
    zombie(tally, HotWords::own_beat);
}

#[test]
fn a_reader_that_does_not_compare_generations_credits_a_zombie() {
    Model::new("untagged beats", |tally| zombie(tally, |hot| Some(hot.beat))).falls().unwrap();
}
