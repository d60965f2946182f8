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
    NAMED = two_registrars_of_one_name_find_one_entry;
    /// Three threads that wait for each other: all of it takes too long.
    CROWD = a_third_registrar_between_two_of_one_name_gets_another_entry within 2 preemptions;
    /// One that never waits can give up every entry of a table, if it is let in each time: that often it is not.
    LATE = a_registrar_that_was_given_up_finds_its_successors_entry within 2 preemptions;
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
    assert!(entry.take(0, "upscale", Class::Work) && entry.fill(0, "upscale", Class::Work, 5));
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
    shared(tally, |table, name| find_or_register(table, name, Class::Work, 0, 2));
}

/// Waits for a registrar of the same name: a yield lets that one run.
fn find(table: &[Entry], name: &str) -> Option<u8> {
    find_or_register(table, name, Class::Work, 0, 2)
}

/// Waits for none: it gives entries up though their registrars live.
fn find_at_once(table: &[Entry], name: &str) -> Option<u8> {
    find_or_register(table, name, Class::Work, 0, 0)
}

/// How many entries bear the name.
fn named(table: &[Entry], name: &str) -> usize {
    (0_u8..).zip(table).filter(|(index, entry)| entry.read(*index).is_some_and(|phase| phase.name == name)).count()
}

fn two_at_once(tally: &Arc<Tally>, register: fn(&[Entry], &str) -> Option<u8>) {
    let table = Arc::new(std::array::from_fn::<_, 4, _>(|_| free_entry()));
    let other = thread::spawn({
        let table = Arc::clone(&table);
        move || register(&*table, "a")
    });
    let (mine, others) = (register(&*table, "a"), other.join().unwrap());
    tally.reading(mine == others);
    tally.must(mine.is_some() && mine == others, "one name is one phase, whoever asks");
    tally.must(named(&*table, "a") == 1, "one name has one entry");
}

fn two_registrars_of_one_name_find_one_entry(tally: &Arc<Tally>) {
    two_at_once(tally, find);
}

fn a_third_registrar_between_two_of_one_name_gets_another_entry(tally: &Arc<Tally>) {
    let table = Arc::new(std::array::from_fn::<_, 4, _>(|_| free_entry()));
    let others = ["a", "b"].map(|name| {
        let table = Arc::clone(&table);
        thread::spawn(move || find(&*table, name))
    });
    let mine = find(&*table, "a");
    let [as_mine, different] = others.map(|other| other.join().unwrap());
    tally.reading(different < mine);
    tally.must(mine.is_some() && mine == as_mine, "one name is one phase, whoever asks");
    tally.must(different.is_some() && different != mine, "two names are two phases");
    tally.must(named(&*table, "a") == 1 && named(&*table, "b") == 1, "one name has one entry");
}

fn a_registrar_that_was_given_up_finds_its_successors_entry(tally: &Arc<Tally>) {
    let table = Arc::new(std::array::from_fn::<_, 3, _>(|_| free_entry()));
    assert!(table[0].take(0, "a", Class::Work), "it has taken an entry, and is held up");
    let other = thread::spawn({
        let table = Arc::clone(&table);
        move || find_at_once(&*table, "a")
    });
    let late = if table[0].fill(0, "a", Class::Work, 0) { Some(0) } else { find(&*table, "a") };
    let others = other.join().unwrap();
    tally.reading(late == Some(1));
    tally.must(late.is_some(), "there is an end to giving up");
    tally.must(late == others, "one name is one phase, whoever asks");
    tally.must(named(&*table, "a") == 1, "one name has one entry");
}

#[test]
fn a_registrar_that_passes_by_what_it_cannot_read_yet_registers_a_name_twice() {
    fn pass_by(table: &[Entry], name: &str) -> Option<u8> {
        (0_u8..).zip(table).find_map(|(index, entry)| {
            let known = entry.read(index).is_some_and(|phase| phase.name == name);
            (known || entry.take(index, name, Class::Work) && entry.fill(index, name, Class::Work, 0)).then_some(index)
        })
    }
    Model::new("pass by", |tally| two_at_once(tally, pass_by)).falls().unwrap();
}

#[test]
fn an_entry_that_is_made_ready_by_a_store_though_it_was_given_up_is_a_second_one() {
    fn store_ready(table: &[Entry], name: &str) -> Option<u8> {
        let taken = table[0].take(0, name, Class::Work);
        if !taken {
            return find_at_once(table, name);
        }
        table[0].0[2].store(u64::from(b'a'), Relaxed);
        table[0].0[0].store(256 << 16 | 2, Release);
        Some(0)
    }
    Model::new("store ready", |tally| two_at_once(tally, store_ready)).falls().unwrap();
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
