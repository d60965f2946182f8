//! The info record's double buffer.

use super::harness::{Model, Tally, models};
use crate::layout::Slot;
use crate::layout::info::INFO_WORDS;
use crate::layout::latch;
use crate::sync::{AtomicU64, Ordering::*, mutant};
use loom::sync::atomic::fence;
use loom::thread;
use std::sync::Arc;

models! {
    TORN = a_record_is_read_whole_or_not_at_all;
}

type Record = [u64; INFO_WORDS];

fn copies(slot: &Slot) -> [&[AtomicU64; INFO_WORDS]; 2] {
    [&slot.info[0].0, &slot.info[1].0]
}

pub(super) fn publish(slot: &Slot, record: u64) {
    latch::publish(&slot.info_seq, copies(slot), &[record; INFO_WORDS]);
}

pub(super) fn read(slot: &Slot) -> Option<Record> {
    latch::read(&slot.info_seq, copies(slot))
}

fn is_whole(record: &Record) -> bool {
    record.iter().all(|word| *word == record[0])
}

/// Record `n` is `n` in every word. Two are published, so that the second overwrites the copy that the reader may be in.
fn torn(tally: &Arc<Tally>, read: fn(&Slot) -> Option<Record>) {
    let slot = Arc::new(Slot::zeroed());
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Some(record) = read(&slot) else { return };
            tally.reading(record[0] > 0);
            tally.must(is_whole(&record), "a record is never torn");
        }
    });
    publish(&slot, 1);
    publish(&slot, 2);
    reader.join().unwrap();
}

fn a_record_is_read_whole_or_not_at_all(tally: &Arc<Tally>) {
    torn(tally, read);
}

#[test]
fn a_reader_that_tolerates_one_publication_returns_torn_records() {
    fn tolerant(slot: &Slot) -> Option<Record> {
        let before = slot.info_seq.load(Relaxed);
        fence(Acquire);
        let record = std::array::from_fn(|i| copies(slot)[(before & 1) as usize][i].load(Relaxed));
        fence(Acquire);
        (slot.info_seq.load(Relaxed) <= before + 1).then_some(record)
    }
    Model::new("tolerant reader", |tally| torn(tally, tolerant)).falls().unwrap();
}

#[test]
fn a_single_copy_has_no_whole_record_while_its_writer_is_dead() {
    fn body(tally: &Arc<Tally>) {
        let slot = Arc::new(Slot::zeroed());
        let reader = thread::spawn({
            let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
            move || {
                let one = &slot.info[0].0;
                let record = latch::read(&slot.info_seq, [one, one]);
                tally.must(record.is_none_or(|record| is_whole(&record)), "a record is never torn");
            }
        });
        mutant::die_after(Some(1));
        let one = &slot.info[0].0;
        latch::publish(&slot.info_seq, [one, one], &[1; INFO_WORDS]);
        mutant::die_after(None);
        reader.join().unwrap();
    }
    Model::new("a single copy", body).falls().unwrap();
}

/// Record 1 is published whole; the writer of record 2 dies before its first store, or after any; the next owner publishes 3.
fn stopped_after<const STORES: usize>(tally: &Arc<Tally>) {
    let slot = Arc::new(Slot::zeroed());
    publish(&slot, 1);
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Some(record) = read(&slot) else { return };
            tally.reading(record[0] == 3);
            tally.must(is_whole(&record) && record[0] >= 1, "a dead writer leaves a whole record");
        }
    });
    mutant::die_after(Some(STORES));
    publish(&slot, 2);
    mutant::die_after(None);
    publish(&slot, 3);
    reader.join().unwrap();
    tally.must(read(&slot) == Some([3; INFO_WORDS]), "a successor of a dead writer publishes");
}

#[test]
fn a_writer_that_stops_at_any_store_leaves_a_whole_record_and_room_for_a_successor() {
    const _: () = assert!(INFO_WORDS == 2, "a publication is INFO_WORDS + 1 stores");
    for body in [stopped_after::<0>, stopped_after::<1>, stopped_after::<2>, stopped_after::<3>] {
        Model::new("a writer that stops", body).holds();
    }
}
