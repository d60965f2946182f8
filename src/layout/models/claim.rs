//! Who gets a slot, what he sees of the one before, and who may free it.

use super::harness::{Model, Tally, models};
use super::{claim, identity_of, latch, live_slot};
use crate::layout::Slot;
use crate::layout::claim::Freed;
use crate::layout::info::INFO_WORDS;
use crate::layout::word::{Kind, Owner, Tag};
use crate::sync::Ordering::*;
use loom::thread;
use std::sync::Arc;

models! {
    ONE_WINNER = of_two_claimers_of_a_free_slot_one_gets_it;
    ONE_CHILD = of_two_children_one_gets_the_reserved_slot;
    RENEWED = a_straggler_gets_no_reservation_that_was_made_anew;
    AFTER_RELEASE = a_claimer_sees_all_that_the_last_owner_wrote;
    AFTER_RESERVE = a_reserved_childs_claim_sees_all_that_the_last_owner_wrote;
    AFTER_RECLAIM = a_claimer_sees_all_that_a_dead_owner_wrote;
    LATE_RELEASE = a_late_release_leaves_the_next_owner_alone;
    LATE_RECLAIM = a_late_reclaim_leaves_the_next_owner_alone;
}

type Claim = fn(&Slot, Owner, u32) -> Option<Owner>;

/// Both claimers try the same word; whoever has it also has the identity words.
fn race(tally: &Arc<Tally>, expected: Owner, claim: Claim) {
    let slot = Arc::new(Slot::zeroed());
    slot.owner.store(expected.0, Relaxed);
    let other = thread::spawn({
        let slot = Arc::clone(&slot);
        move || claim(&slot, expected, 2)
    });
    let mine = claim(&slot, expected, 1);
    let others = other.join().unwrap();
    tally.reading(others.is_some());
    tally.must(mine.is_some() != others.is_some(), "of two claimers of one word exactly one gets the slot");
    let winner = mine.or(others).unwrap_or(Owner(0));
    tally.must(winner.generation() == expected.generation() + 1, "a claim is the next generation");
    tally.must(slot.read_identity() == Some((winner, identity_of(winner.pid()))), "the winner's words stand in the slot");
}

fn of_two_claimers_of_a_free_slot_one_gets_it(tally: &Arc<Tally>) {
    race(tally, Owner(0), claim);
}

fn of_two_children_one_gets_the_reserved_slot(tally: &Arc<Tally>) {
    race(tally, Owner::new(3, Tag::Reserved, Kind::Worker, 99), claim);
}

#[test]
fn a_claim_that_looks_and_then_stores_has_two_winners() {
    fn look_then_store(slot: &Slot, expected: Owner, pid: u32) -> Option<Owner> {
        let live = Owner::new(expected.generation() + 1, Tag::Live, Kind::Worker, pid);
        (slot.peek_owner() == expected).then(|| {
            slot.owner.store(live.0, Release);
            live
        })
    }
    Model::new("look, then store", |tally| race(tally, Owner(0), look_then_store)).falls().unwrap();
}

/// The child that it was made for is thought to be gone, and something that it started still tries.
fn renewal(tally: &Arc<Tally>, renew: fn(&Slot, Owner) -> Result<Owner, Owner>) {
    let slot = Arc::new(Slot::zeroed());
    let reserved = Owner::new(3, Tag::Reserved, Kind::Worker, 99);
    slot.owner.store(reserved.0, Relaxed);
    let straggler = thread::spawn({
        let slot = Arc::clone(&slot);
        move || claim(&slot, reserved, 2)
    });
    let renewed = renew(&slot, reserved);
    let child = renewed.ok().and_then(|renewed| claim(&slot, renewed, 1));
    let straggler = straggler.join().unwrap();
    tally.reading(straggler.is_some());
    tally.must(straggler.is_some() != renewed.is_ok(), "who was first has it: no straggler has one that was made anew");
    tally.must(child.is_some() == renewed.is_ok(), "the child that it was made anew for gets it");
    let winner = child.or(straggler).unwrap_or(Owner(0));
    tally.must(slot.read_identity() == Some((winner, identity_of(winner.pid()))), "the winner's words stand in the slot");
}

fn a_straggler_gets_no_reservation_that_was_made_anew(tally: &Arc<Tally>) {
    renewal(tally, Slot::renew);
}

#[test]
fn a_reservation_that_stays_the_same_word_is_had_by_a_straggler() {
    Model::new("the same word", |tally| renewal(tally, |_, reserved| Ok(reserved))).falls().unwrap();
}

/// Claims and checks, while claiming, that the record is the last owner's `record`.
fn claim_after(slot: &Slot, expected: Owner, tally: &Tally, record: u64) {
    let claimed = slot.claim(expected, Kind::Worker, 2, &identity_of(2), |slot, _| {
        tally.must(latch::read(slot) == Some([record; INFO_WORDS]), "a claimer sees the record of the last owner");
        latch::publish(slot, record + 1);
    });
    tally.reading(claimed.is_ok());
}

fn a_claimer_sees_all_that_the_last_owner_wrote(tally: &Arc<Tally>) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let next = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || claim_after(&slot, owner.freed(), &tally, 1)
    });
    latch::publish(&slot, 1);
    assert!(slot.release(owner));
    next.join().unwrap();
}

fn a_reserved_childs_claim_sees_all_that_the_last_owner_wrote(tally: &Arc<Tally>) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let reserved = Owner::new(owner.generation(), Tag::Reserved, Kind::Worker, 99);
    let supervisor = thread::spawn({
        let slot = Arc::clone(&slot);
        move || slot.reserve(owner.freed(), 99)
    });
    let child = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || claim_after(&slot, reserved, &tally, 1)
    });
    latch::publish(&slot, 1);
    assert!(slot.release(owner));
    supervisor.join().unwrap().ok();
    child.join().unwrap();
}

/// The proof of death is the join: a monitor has it from the kernel, and passes it on with the slot.
fn a_claimer_sees_all_that_a_dead_owner_wrote(tally: &Arc<Tally>) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let next = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || claim_after(&slot, owner.freed(), &tally, 1)
    });
    let dying = thread::spawn({
        let slot = Arc::clone(&slot);
        move || latch::publish(&slot, 1)
    });
    dying.join().unwrap();
    assert!(slot.reclaim(owner, Freed::Free));
    next.join().unwrap();
}

/// The first owner was taken for dead, reclaimed and replaced, and only then gives its slot back.
fn late_release(tally: &Arc<Tally>, release: fn(&Slot, Owner) -> bool) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let zombie = thread::spawn({
        let slot = Arc::clone(&slot);
        move || release(&slot, owner)
    });
    let reclaimed = slot.reclaim(owner, Freed::Free);
    let next = claim(&slot, owner.freed(), 2);
    let released = zombie.join().unwrap();
    tally.reading(released);
    tally.must(reclaimed != released, "a slot is freed once");
    tally.must(next.is_some() && next == Some(slot.peek_owner()), "a late release leaves the next owner alone");
}

fn a_late_release_leaves_the_next_owner_alone(tally: &Arc<Tally>) {
    late_release(tally, Slot::release);
}

#[test]
fn a_release_that_stores_blindly_frees_the_next_owners_slot() {
    fn blind(slot: &Slot, own: Owner) -> bool {
        slot.owner.store(own.freed().0, Release);
        false
    }
    Model::new("blind release", |tally| late_release(tally, blind)).falls().unwrap();
}

/// The owner gives its slot back and another claims it while the monitor still holds the word it saw.
fn late_reclaim(tally: &Arc<Tally>, reclaim: fn(&Slot, Owner) -> bool) {
    let (slot, owner) = live_slot();
    let slot = Arc::new(slot);
    let monitor = thread::spawn({
        let slot = Arc::clone(&slot);
        move || reclaim(&slot, owner)
    });
    slot.release(owner);
    let next = claim(&slot, owner.freed(), 2);
    tally.reading(monitor.join().unwrap());
    tally.must(next.is_some() && next == Some(slot.peek_owner()), "a late reclaim leaves the next owner alone");
}

fn a_late_reclaim_leaves_the_next_owner_alone(tally: &Arc<Tally>) {
    late_reclaim(tally, |slot, observed| slot.reclaim(observed, Freed::Free));
}

#[test]
fn a_reclaim_of_whatever_word_is_there_frees_the_next_owners_slot() {
    fn whatever(slot: &Slot, _observed: Owner) -> bool {
        slot.reclaim(slot.peek_owner(), Freed::Free)
    }
    Model::new("reclaim of whatever is there", |tally| late_reclaim(tally, whatever)).falls().unwrap();
}
