//! I9, I10: whatever the words of a slot are, they prove nobody whom the kernel does not name by the slot's lock.

use super::*;
use crate::layout::word::Tag;
use proptest::prelude::*;

/// Any bits, and often the true ones.
fn word() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 1 => any::<u64>().prop_map(Some), 1 => Just(Some(0)), 1 => Just(Some(1))]
}

/// What a hostile writer puts into a slot; `None` leaves the true word.
#[derive(Debug, Clone)]
struct Forged {
    slot: u32,
    /// Whose number the owner word has: the holder's, an innocent's, ours, 1, or any.
    pid: (u8, u32),
    tag: u8,
    generation: Option<u16>,
    words: [Option<u64>; 4],
}

fn forged() -> impl Strategy<Value = Forged> {
    let words = [word(), word(), word(), word()];
    let parts = (0..4u32, (0..6u8, any::<u32>()), 0..8u8, prop::option::of(any::<u16>()), words);
    parts.prop_map(|(slot, pid, tag, generation, words)| Forged { slot, pid, tag, generation, words })
}

/// Writes start time, pidfd inode, namespaces and thread, then the owner.
fn write(slot: &Slot, owner: Owner, words: [u64; 4]) {
    for (place, word) in [&slot.starttime, &slot.pidfd_ino, &slot.namespaces, &slot.tid].into_iter().zip(words) {
        place.store(word, Relaxed);
    }
    slot.owner.store(owner.0, Relaxed);
}

#[test]
fn no_words_prove_anybody_but_the_locks_holder() {
    stay_if_other();
    let scratch = Scratch::new();
    let segment = scratch.segment();
    let other = Other::attached("anything::no_words_prove_anybody_but_the_locks_holder", "worker", &scratch, &[]);
    let innocent = Subject::sleeping();
    let (live, identity) = segment.slot(0).expect("inside").read_identity().expect("live");
    let prover = std::cell::RefCell::new(Prover::new());
    let config = ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ran = runner.run(&forged(), |Forged { slot: index, pid, tag, generation, words }| {
        let slot = segment.slot(index).expect("inside");
        let pid = match pid {
            (0 | 1, _) => other.pid(),
            (2, _) => innocent.pid(),
            (3, _) => std::process::id(),
            (4, _) => 1,
            (_, any) => any,
        };
        let tag = [Tag::Live, Tag::Live, Tag::Live, Tag::Live, Tag::Claiming, Tag::Reserved, Tag::Quarantined, Tag::Free]
            [usize::from(tag)];
        let owner = Owner::new(generation.unwrap_or(live.generation()), tag, Kind::Worker, pid);
        let namespaces = u64::from(identity.pid_namespace) << 32 | u64::from(identity.time_namespace);
        let true_words = [identity.starttime, identity.pidfd_ino, namespaces, u64::from(identity.tid) << 32];
        write(slot, owner, std::array::from_fn(|i| words[i].unwrap_or(true_words[i])));
        match prover.borrow_mut().prove(&segment, index, owner) {
            Err(why) => {
                let why = why.to_string();
                prop_assert!(!why.is_empty() && !why.contains(char::is_control), "it is told in a sentence");
            }
            Ok(proven) => {
                prop_assert_eq!((index, proven.pid, tag), (0, other.pid(), Tag::Live), "only who holds the slot's lock");
                prop_assert_eq!(proven.fd.inode(), identity.pidfd_ino, "and that very process");
                let known = slot.pidfd_ino.load(Relaxed) == identity.pidfd_ino
                    || slot.pidfd_ino.load(Relaxed) == 0 && slot.starttime.load(Relaxed) == identity.starttime;
                prop_assert!(known, "of whom the slot says what is true");
            }
        }
        let held = segment.slot(0).expect("inside");
        write(held, live, true_words);
        let proven = prover.borrow_mut().prove(&segment, 0, live).map(|proven| proven.pid);
        prop_assert_eq!(proven, Ok(other.pid()), "and the true words prove the holder, whatever was there before");
        Ok(())
    });
    ran.unwrap_or_else(|e| panic!("{e}"));
}
