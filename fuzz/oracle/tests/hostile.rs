//! I4, I15: the oracle of the fuzzers on drawn bytes, with a thread that flips words while others read, and on every input that a
//! fuzzer has kept (`fuzz/corpus`).

use hangwatch_oracle::{TARGETS, Tally, check_text, memory, seal_trace, target};
use proptest::prelude::*;
use std::path::Path;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Runs a target on `cases` drawn inputs: how deep they went in all.
fn drawn(name: &str, cases: u32, most: usize) -> Tally {
    let target = target(name);
    let config = ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let sum = std::cell::Cell::new(Tally::default());
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..most), |bytes| {
            sum.set(sum.get().and(target.check(&bytes)));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    sum.get()
}

#[test]
fn any_file_is_opened_within_its_bounds_or_refused_with_a_sentence() {
    let tally = drawn("header", 2000, 600);
    assert!(tally.opened > 200 && tally.refused > 200 && tally.live > 200, "inputs that reach nothing prove nothing: {tally:?}");
}

#[test]
fn whatever_hostile_writers_do_between_polls_is_judged_shown_and_claimed() {
    let tally = drawn("slots", 600, 800);
    let reached = [tally.live, tally.polls, tally.acting, tally.events, tally.claims].into_iter().all(|n| n > 10);
    assert!(reached, "inputs that reach nothing prove nothing: {tally:?}");
}

#[test]
fn words_that_a_thread_flips_are_read_judged_and_shown() {
    let tally = drawn("flip", 200, 300);
    assert!(tally.live > 100 && tally.events > 20, "inputs that reach nothing prove nothing: {tally:?}");
}

#[test]
fn any_trace_is_frames_a_cut_or_an_error_and_its_frames_are_judged() {
    let tally = drawn("trace", 2000, 400);
    assert!(tally.opened > 200 && tally.live > 200 && tally.events > 20, "inputs that reach nothing prove nothing: {tally:?}");
}

#[test]
fn any_file_of_what_was_learnt_is_read_or_refused() {
    let tally = drawn("learnt", 2000, 400);
    assert!(tally.refused > 200, "inputs that reach nothing prove nothing: {tally:?}");
}

/// The inputs of `fuzz/corpus/<target>.hex`, one a line.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).expect("hex is ASCII");
        u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{}: '{digits}' is no byte", path.display()))
    };
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

#[test]
fn every_input_that_a_fuzzer_kept_holds() {
    for target in TARGETS {
        let kept = kept(target.name);
        assert!(kept.len() > 10, "{}: a corpus of {} inputs is none", target.name, kept.len());
        let all = kept.iter().enumerate().fold(Tally::default(), |all, (line, input)| {
            let held = std::panic::catch_unwind(|| target.check(input));
            all.and(held.unwrap_or_else(|_| panic!("fuzz/corpus/{}.hex:{}: it does not hold any more", target.name, line + 1)))
        });
        assert!(all.opened > 0 && all.refused + all.polls > 0, "{}: a corpus that reaches nothing: {all:?}", target.name);
    }
}

#[test]
fn the_oracle_tells_a_text_that_drives_a_terminal_or_turns_its_direction() {
    for bad in ["a\u{1b}[2J", "a\nb", "a\u{9b}1m", "a\u{7f}", "a\u{202e}b", "a\u{2028}b", "a\u{2066}b"] {
        assert!(std::panic::catch_unwind(|| check_text(bad, 100)).is_err(), "{bad:?}");
    }
    assert!(std::panic::catch_unwind(|| check_text("abc", 2)).is_err(), "one without an end");
    check_text("größe 寸法 \u{fffd}", 100);
}

#[test]
fn the_oracle_counts_what_is_held_at_once() {
    let (_, most) = memory::most_of(|| {
        drop(vec![0u8; 5000]);
        vec![0u8; 3000].len()
    });
    assert!((5000..8000).contains(&most), "two that do not live at once are not added: {most}");
}

#[test]
fn a_sealed_trace_is_one() {
    let mut frames = hangwatch::record::Reader::new(std::io::Cursor::new(seal_trace(&[3, 1, 2, 3]))).expect("a header");
    assert!(frames.next().is_some_and(|frame| frame.is_err_and(|e| !e.why.contains("checksum"))), "only its payload is judged");
}
