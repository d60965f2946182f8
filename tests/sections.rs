//! Sections that nest: what the slot shows while one is open, and after it.

mod common;

use common::bench::Bench;
use hangwatch::layout::phase::Phase;
use hangwatch::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use hangwatch::{Outcome, Total, Worker};

/// The phase word's depth and section.
fn section(b: &Bench) -> (u16, u16) {
    let phase = b.slot().read_hot().expect("live").phase;
    (phase.depth(), phase.section())
}

#[test]
fn a_section_counts_for_itself_and_the_one_around_it_gets_its_count_back() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(21);
    let inference = section(&b);
    b.worker.enter(Phase::Loading, Total::Known(100));
    assert_eq!((b.count(), section(&b).0), ((Phase::Loading, 1, 0, 0, NO_PROGRESS, 100), 1));
    b.worker.step(60);
    let loading = section(&b);
    b.worker.enter(Phase::Compiling, Total::None);
    assert_eq!((b.count(), section(&b).0), ((Phase::Compiling, 1, 0, 0, NO_PROGRESS, TOTAL_NONE), 2));
    b.worker.leave();
    assert_eq!((b.count(), section(&b)), ((Phase::Loading, 1, 0, 0, 60, 100), loading));
    b.worker.step(61);
    assert_eq!(b.count().3, 0, "61 is no fall after 60");
    b.worker.leave();
    assert_eq!((b.count(), section(&b)), ((Phase::Inference, 1, 0, 0, 21, 50), inference));
    b.worker.step(20);
    assert_eq!(b.count().3, 1, "20 is one after 21");
    assert_eq!(b.slot().read_hot().expect("live").phase.entry(), 5, "every change of the word is one");
}

#[test]
fn a_worker_tells_the_phase_that_its_slot_shows_and_none_where_there_is_no_slot() {
    let mut b = Bench::new();
    assert_eq!(b.worker.shows(), Some(Phase::Starting));
    b.worker.begin_job("j1", "sdxl", Total::Unknown);
    b.worker.enter(Phase::Loading, Total::None);
    assert_eq!(b.worker.shows(), Some(Phase::Loading));
    b.worker.leave();
    assert_eq!(b.worker.shows(), Some(Phase::Inference), "the one around it");
    b.worker.end_job(Outcome::Ok);
    assert_eq!(b.worker.shows(), Some(Phase::Idle));
    assert_eq!(Worker::detached().shows(), None);
}

#[test]
fn leaving_more_sections_than_are_open_changes_nothing() {
    let mut b = Bench::new();
    b.worker.leave();
    assert_eq!(b.count(), (Phase::Starting, 0, 0, 0, NO_PROGRESS, TOTAL_NONE));
    b.worker.enter(Phase::Loading, Total::None);
    b.worker.leave();
    let before = b.slot().read_hot().expect("live");
    assert_eq!((before.phase.id(), before.phase.section()), (Phase::Starting.id(), 0), "out of the section of a fresh claim");
    b.worker.leave();
    assert_eq!(b.slot().read_hot(), Ok(before));
}

#[test]
fn sections_too_deep_are_counted_and_change_nothing() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(21);
    for depth in 1..=7 {
        b.worker.enter(Phase::Loading, Total::Unknown);
        b.worker.step(depth);
    }
    let deepest = b.slot().read_hot().expect("live");
    for _ in 0..1000 {
        b.worker.enter(Phase::Compiling, Total::None);
    }
    assert_eq!(b.slot().read_hot(), Ok(deepest), "the eighth section around another has no place");
    (0..1000).for_each(|_| b.worker.leave());
    assert_eq!(b.slot().read_hot(), Ok(deepest), "nor has its end");
    for depth in (1..7).rev() {
        b.worker.leave();
        assert_eq!((b.count().4, u64::from(section(&b).0)), (depth, depth));
    }
    b.worker.leave();
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 21, 50));
}

#[test]
fn a_phase_and_a_jobs_begin_and_end_end_all_sections() {
    let ends: [fn(&mut Worker); 3] =
        [|w| w.phase(Phase::Safety), |w| w.begin_job("j2", "sdxl", Total::Known(9)), |w| w.end_job(Outcome::Ok)];
    for end in ends {
        let mut b = Bench::new();
        b.worker.begin_job("j1", "sdxl", Total::Known(50));
        (0..20).for_each(|_| b.worker.enter(Phase::Loading, Total::None));
        end(&mut b.worker);
        let after = b.slot().read_hot().expect("live");
        assert_eq!(after.phase.depth(), 0);
        b.worker.leave();
        assert_eq!(b.slot().read_hot(), Ok(after), "no section is open");
    }
}

#[test]
fn a_job_comes_back_to_its_inference_out_of_any_section() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(21);
    let inference = section(&b);
    b.worker.enter(Phase::Loading, Total::None);
    b.worker.enter(Phase::Inference, Total::Known(4));
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, NO_PROGRESS, 4), "an inference within is not the job's own");
    assert_ne!(section(&b), inference);
    b.worker.step(3);
    b.worker.phase(Phase::PostProcessing);
    b.worker.phase(Phase::Inference);
    assert_eq!((b.count(), section(&b)), ((Phase::Inference, 1, 0, 0, 21, 50), inference));
}

#[test]
fn a_pass_begins_every_count_again() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(50);
    b.worker.enter(Phase::Loading, Total::Known(3));
    b.worker.step(3);
    b.worker.begin_pass();
    assert_eq!(b.count(), (Phase::Loading, 1, 1, 0, NO_PROGRESS, 3));
    b.worker.leave();
    assert_eq!(b.count(), (Phase::Inference, 1, 1, 0, NO_PROGRESS, 50));
}

#[test]
fn a_section_is_left_by_its_scope_by_an_error_and_by_a_panic() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(21);
    let mut load = b.worker.section(Phase::Loading, Total::Known(2));
    load.step(1);
    drop(load);
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 21, 50));
    let failing = |worker: &mut Worker| -> std::result::Result<(), std::num::ParseIntError> {
        let mut load = worker.section(Phase::Loading, Total::None);
        load.step("none".parse()?);
        Ok(())
    };
    assert!(failing(&mut b.worker).is_err());
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 21, 50));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _load = b.worker.section(Phase::Loading, Total::None);
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(b.count(), (Phase::Inference, 1, 0, 0, 21, 50));
}

#[test]
fn section_numbers_wrap_past_the_one_of_a_fresh_claim() {
    let mut b = Bench::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4095 {
        b.worker.phase(Phase::Loading);
        seen.insert(section(&b).1);
    }
    assert_eq!((seen.len(), seen.first(), seen.last()), (4095, Some(&1), Some(&4095)));
    b.worker.phase(Phase::Loading);
    assert_eq!(section(&b).1, 1, "0 is nobody's");
}

#[test]
fn a_phase_that_was_entered_becomes_a_section_and_what_it_took_the_place_of_comes_back() {
    let mut b = Bench::new();
    b.worker.begin_job("j1", "sdxl", Total::Known(50));
    b.worker.step(21);
    b.worker.enter(Phase::Compiling, Total::Known(9));
    b.worker.step(4);
    let compiling = section(&b);
    b.worker.phase_total(Phase::Loading, Total::Known(100));
    b.worker.step(60);
    assert_eq!(section(&b).0, 0, "a phase is in no section");
    assert!(b.worker.nest());
    assert_eq!((b.count(), section(&b).0), ((Phase::Loading, 1, 0, 0, 60, 100), 2), "with what it has counted");
    assert!(!b.worker.nest(), "it is one already");
    b.worker.leave();
    assert_eq!((b.count(), section(&b)), ((Phase::Compiling, 1, 0, 0, 4, 9), compiling), "the same section");
    b.worker.leave();
    assert_eq!((b.count(), section(&b).0), ((Phase::Inference, 1, 0, 0, 21, 50), 0));
}

#[test]
fn a_phase_becomes_no_section_once_anything_else_began_or_ended() {
    let since: [fn(&mut Worker); 6] = [
        |w| w.enter(Phase::Safety, Total::None),
        |w| w.leave(),
        |w| w.begin_job("j2", "sdxl", Total::None),
        |w| w.end_job(Outcome::Ok),
        |w| w.begin_pass(),
        |w| *w = Worker::detached(),
    ];
    for (i, since) in since.iter().enumerate() {
        let mut b = Bench::new();
        assert!(!b.worker.nest(), "nothing was entered");
        b.worker.enter(Phase::Compiling, Total::None);
        b.worker.phase(Phase::Loading);
        since(&mut b.worker);
        let before = b.slot().read_hot();
        // Leaving where no section is open is nothing that ends.
        assert_eq!(b.worker.nest(), i == 1, "{i}");
        assert!(i == 1 || b.slot().read_hot() == before, "{i}: and nothing is done");
    }
}

#[test]
fn a_phase_too_deep_to_be_a_section_changes_nothing_and_is_left_all_the_same() {
    let mut b = Bench::new();
    for depth in 1..=7 {
        b.worker.enter(Phase::Loading, Total::Known(depth));
    }
    b.worker.phase(Phase::Safety);
    assert!(b.worker.nest());
    assert_eq!((b.count().0, b.count().5, section(&b).0), (Phase::Loading, 7, 7), "the innermost is shown");
    b.worker.leave();
    assert_eq!((b.count().5, section(&b).0), (7, 7));
    b.worker.leave();
    assert_eq!((b.count().5, section(&b).0), (6, 6));
}
