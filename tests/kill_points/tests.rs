//! The operations, the ways to do them wrong, and the worst that can be done to a reader.

use crate::common::{skip, trial};
use crate::flip::{READINGS, read_under};
use crate::harness::{Driver, Found, walk, walk_creation};
use crate::tracer::is_allowed;

/// Children that are killed indeed, an operation: the others are only stepped through.
fn kills() -> u64 {
    trial::size(6, 200)
}

/// Whether there is something to test; says so where there is not.
fn can_trace(test: &str) -> bool {
    match is_allowed() {
        Ok(()) => true,
        Err(why) => {
            skip(&format!("{test}: {why}"));
            false
        }
    }
}

fn tell(driver: Driver, operation: &str, found: &Found) {
    let Found { points, states, killed, wrong } = found;
    trial::tell(format_args!(
        "{driver:?} {operation}: {points} kill points, {states} states, {killed} killed, {} bad",
        wrong.len()
    ));
}

fn all_hold(driver: Driver, operations: &[(&str, u64)]) {
    for (operation, least) in operations {
        // The kernel's work is the same for both: a kill is what a step is, which the C children show.
        let found = walk(driver, operation, if driver != Driver::Rust { kills() } else { trial::size(0, 200) });
        tell(driver, operation, &found);
        assert!(found.wrong.is_empty(), "{driver:?} {operation}: {:#?}", found.wrong);
        assert!(found.states > *least, "{driver:?} {operation}: {} states, an operation that stores has more", found.states);
    }
}

/// Each with the least number of states that it goes through, less one: a stamp may be the one before it.
const OPERATIONS: [(&str, u64); 10] = [
    ("step", 2),
    ("fall", 3),
    ("beat", 1),
    ("note", 13),
    ("begin_job", 20),
    ("end_job", 5),
    ("phase", 4),
    ("register", 4),
    ("release", 1),
    ("claim", 12),
];

#[test]
fn a_c_worker_killed_at_every_instruction_leaves_a_readable_slot_to_a_successor() {
    if can_trace("a_c_worker_killed_at_every_instruction_leaves_a_readable_slot_to_a_successor") {
        all_hold(Driver::Linked, &OPERATIONS);
        all_hold(Driver::HeaderOnly, &OPERATIONS);
    }
}

#[test]
fn a_rust_worker_killed_at_every_instruction_leaves_a_readable_slot_to_a_successor() {
    if can_trace("a_rust_worker_killed_at_every_instruction_leaves_a_readable_slot_to_a_successor") {
        all_hold(Driver::Rust, &OPERATIONS);
    }
}

#[test]
fn a_creator_killed_at_every_instruction_leaves_a_whole_segment_or_none() {
    if !can_trace("a_creator_killed_at_every_instruction_leaves_a_whole_segment_or_none") {
        return;
    }
    // What is not optimised is five times as many instructions around the same calls.
    let drivers = [Driver::Linked, Driver::HeaderOnly, Driver::Rust];
    for driver in &drivers[..trial::size(2, 3) as usize] {
        let found = walk_creation(*driver, "create", 4 * kills());
        tell(*driver, "create", &found);
        assert!(found.wrong.is_empty(), "{driver:?}: {:#?}", found.wrong);
        assert!(found.points > 1000 && found.states > 10, "{driver:?}: {found:?}");
    }
}

#[test]
fn what_is_done_in_a_wrong_order_is_found_at_some_instruction() {
    if !can_trace("what_is_done_in_a_wrong_order_is_found_at_some_instruction") {
        return;
    }
    let mutants = [
        ("wrong_note", "a record that nobody published"),
        ("wrong_claim", "an identity of two owners"),
        ("wrong_swap", "names nobody"),
        ("wrong_begin_job", "counts of two epochs"),
        ("wrong_step", "counts of two epochs"),
    ];
    for (mutant, what) in mutants {
        let found = walk(Driver::Linked, mutant, 0);
        tell(Driver::Linked, mutant, &found);
        assert!(found.wrong.iter().any(|wrong| wrong.contains(what)), "{mutant}: expected '{what}', met {:#?}", found.wrong);
    }
    let found = walk_creation(Driver::Linked, "wrong_create", 0);
    tell(Driver::Linked, "wrong_create", &found);
    assert!(found.wrong.iter().any(|wrong| wrong.contains("I12")), "a name before its segment: {found:?}");
}

#[test]
fn a_reader_is_bounded_though_every_word_changes_under_every_instruction_of_it() {
    if !can_trace("a_reader_is_bounded_though_every_word_changes_under_every_instruction_of_it") {
        return;
    }
    for reading in READINGS {
        let (quiet, whole) = read_under(reading, false);
        let (worst, torn) = read_under(reading, true);
        trial::tell(format_args!("{reading}: {quiet} instructions of a quiet slot, {worst} at worst"));
        assert!(whole && !torn, "{reading}: a quiet slot is read, and one that changes at every instruction is not");
        assert!(worst > 2 * quiet, "{reading}: it does try again: {worst} instructions after {quiet}");
        assert!(worst <= 9 * quiet, "I4: 8 tries at most: {worst} instructions, a quiet slot takes {quiet}");
    }
}
