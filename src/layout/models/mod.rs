//! Loom models of the protocol, and their mutants.
//!
//! A model runs the production code in every interleaving and with every value that a load may see. It *holds* as the code
//! stands, and *falls* with one [`Site`](crate::sync::Site) weakened or with a wrong step written in its place; a mutant that
//! survives is an error, of the model or of an ordering that nothing needs.
//!
//! Loom keeps one last access per atomic: a thread that loads a word just before it stores or swaps it hides the race with
//! another thread's earlier load of that word, and a model may "prove" everything in one execution. So readers are spawned,
//! the writer is the main thread and looks at nothing on the way, and a model that met only one execution or never saw what
//! it is about fails. What a model proves for its few words and stores it does not prove for more.

mod boundary;
mod claim;
mod harness;
mod hot;
mod identity;
mod latch;
mod sites;
mod user_phase;
mod zombie;

use super::Slot;
use super::claim::Identity;
use super::word::{Kind, Owner};

/// A slot that is LIVE for the first time, and its owner word.
fn live_slot() -> (Slot, Owner) {
    let slot = Slot::zeroed();
    let owner = claim(&slot, Owner(0), 1).expect("a fresh slot is free");
    (slot, owner)
}

/// Claims as the process `pid`, whose identity is that number in every word.
fn claim(slot: &Slot, expected: Owner, pid: u32) -> Option<Owner> {
    slot.claim(expected, Kind::Worker, pid, &identity_of(pid), |_, _| {}).ok()
}

fn identity_of(pid: u32) -> Identity {
    Identity {
        starttime: pid.into(),
        pidfd_ino: pid.into(),
        pid_namespace: pid,
        time_namespace: pid,
        tid: pid,
        sub: pid,
        claimed_boottime_ns: pid.into(),
    }
}
