//! The identity words and the owner word that vouches for them.

use super::harness::{Model, Tally, models};
use super::{claim, identity_of, live_slot};
use crate::layout::Slot;
use crate::layout::claim::Freed;
use crate::layout::word::{Kind, Owner, Tag};
use crate::sync::mutant;
use loom::thread;
use std::sync::Arc;

models! {
    IDENTITY = an_identity_is_never_made_of_two_owners;
    DEAD_BEFORE_ITS_FIRST_WORD = a_claimer_that_dies_before_its_first_word_is_nobody;
    DEAD_AMID_ITS_IDENTITY = a_claimer_that_dies_amid_its_identity_words_is_nobody;
    DEAD_BEFORE_LIVE = a_claimer_that_dies_before_it_is_live_is_nobody;
}

fn an_identity_is_never_made_of_two_owners(tally: &Arc<Tally>) {
    let (slot, first) = live_slot();
    let slot = Arc::new(slot);
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Some((owner, identity)) = slot.read_identity() else { return };
            tally.reading(owner != first);
            tally.must(identity == identity_of(owner.pid()), "identity words are those of the owner word read with them");
        }
    });
    assert!(slot.release(first));
    claim(&slot, first.freed(), 2).expect("nobody else claims");
    reader.join().unwrap();
}

/// A claim is 16 words and LIVE. The claimer dies after `stores` of them; its exact word is reclaimed and the slot claimed anew.
fn dead_claimer(tally: &Arc<Tally>, stores: usize) {
    let slot = Arc::new(Slot::zeroed());
    let reader = thread::spawn({
        let (slot, tally) = (Arc::clone(&slot), Arc::clone(tally));
        move || {
            let Some((owner, identity)) = slot.read_identity() else { return };
            tally.reading(true);
            tally.must(owner.pid() == 3 && identity == identity_of(3), "a claimer that died while CLAIMING is never read");
        }
    });
    mutant::die_after(Some(stores));
    claim(&slot, Owner(0), 2);
    mutant::die_after(None);
    let claiming = Owner::new(1, Tag::Claiming, Kind::Worker, 2);
    tally.must(slot.reclaim(claiming, Freed::Free), "a dead claimer's slot is reclaimed by the word that names it");
    tally.must(claim(&slot, claiming.freed(), 3).is_some(), "a reclaimed slot is claimed again");
    reader.join().unwrap();
}

fn a_claimer_that_dies_before_its_first_word_is_nobody(tally: &Arc<Tally>) {
    dead_claimer(tally, 0);
}

fn a_claimer_that_dies_amid_its_identity_words_is_nobody(tally: &Arc<Tally>) {
    dead_claimer(tally, 13);
}

fn a_claimer_that_dies_before_it_is_live_is_nobody(tally: &Arc<Tally>) {
    dead_claimer(tally, 16);
}
