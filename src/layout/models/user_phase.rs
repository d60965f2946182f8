//! The table of user phases.

use super::harness::{Model, Tally, models};
use crate::layout::phase::Class;
use crate::layout::user_phase::{Entry, find_or_register};
use crate::sync::{AtomicU64, Ordering::*};
use loom::thread;
use std::sync::Arc;

models! {
    READY = a_ready_entry_has_its_name_and_its_budget;
    TAKEN = two_registrars_never_share_an_entry;
}

fn free_entry() -> Entry {
    Entry(std::array::from_fn(|_| AtomicU64::new(0)))
}

fn a_ready_entry_has_its_name_and_its_budget(tally: &Arc<Tally>) {
    let entry = Arc::new(free_entry());
    let reader = thread::spawn({
        let (entry, tally) = (Arc::clone(&entry), Arc::clone(tally));
        move || {
            let Some(phase) = entry.read(0) else { return };
            tally.reading(true);
            tally.must(phase.name == "upscale" && phase.budget_ns == 5, "a ready entry is whole");
        }
    });
    assert!(entry.register(0, "upscale", Class::Work, 5));
    reader.join().unwrap();
}

fn shared(tally: &Arc<Tally>, register: fn(&[Entry], &str) -> Option<u8>) {
    let table = Arc::new([free_entry()]);
    let other = thread::spawn({
        let table = Arc::clone(&table);
        move || register(&*table, "b")
    });
    let (mine, others) = (register(&*table, "a"), other.join().unwrap());
    tally.reading(others.is_some());
    tally.must(mine.is_some() != others.is_some(), "an entry is one registrar's");
    let name = table[0].read(0).map(|phase| phase.name);
    tally.must(name.as_deref() == Some(if mine.is_some() { "a" } else { "b" }), "an entry bears its registrar's name");
}

fn two_registrars_never_share_an_entry(tally: &Arc<Tally>) {
    shared(tally, |table, name| find_or_register(table, name, Class::Work, 0));
}

#[test]
fn registrars_that_look_and_then_store_share_an_entry() {
    fn look_then_store(table: &[Entry], name: &str) -> Option<u8> {
        let words = &table[0].0;
        (words[0].load(Relaxed) == 0).then(|| {
            words[2].store(name.bytes().map(u64::from).sum(), Relaxed);
            words[0].store(2, Release);
            0
        })
    }
    Model::new("look, then store", |tally| shared(tally, look_then_store)).falls().unwrap();
}
