//! What is a gap, and whose.

use super::world::*;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
use crate::learn::{Key, Part};

#[test]
fn a_phase_has_a_first_gap_the_rest_and_a_tail() {
    let mut world = World::new();
    for _ in 0..3 {
        world.begin_job(DENOISE, 3);
        world.poll();
        world.steps(3, 2);
        world.wait(4);
        world.end_job();
        world.poll();
    }
    assert_eq!(world.samples(Part::Cold), 1, "the shape is met for the first time in the first job");
    assert_eq!(world.samples(Part::First), 2);
    assert_eq!(world.samples(Part::Rest), 6);
    assert_eq!(world.samples(Part::Tail), 3);
}

#[test]
fn a_phase_that_reports_no_count_is_one_gap_from_its_entry_to_its_end() {
    let mut world = World::new();
    world.begin_job(Phase::Safety, TOTAL_NONE);
    world.poll();
    world.wait(6);
    world.end_job();
    world.poll();
    let row = world.row(Part::Cold);
    assert_eq!((row.key.phase.as_str(), row.samples), ("safety", 1));
    assert!((6 * S..=7 * S).contains(&row.watched), "{}", row.watched);
}

#[test]
fn an_idle_worker_is_not_timed() {
    let mut world = World::new();
    world.end_job();
    world.poll();
    assert!(!world.wait(5000));
    assert_eq!(world.follower.due(), None);
}

#[test]
fn a_shape_is_cold_again_after_a_load() {
    let mut world = World::new();
    for load in 1..=2 {
        world.enter(Phase::Loading, TOTAL_NONE);
        world.poll();
        for _ in 0..5 {
            world.begin_job(DENOISE, 3);
            world.poll();
            world.steps(3, 1);
        }
        assert_eq!(world.samples(Part::Cold), load);
    }
}

#[test]
fn of_several_steps_in_one_poll_each_is_a_gap_and_none_is_longer_than_the_silence_before_it() {
    let mut world = World::denoising();
    world.wait(9);
    world.step(5);
    world.poll();
    let row = world.row(Part::Rest);
    assert_eq!(row.samples, 4);
    assert!((9 * S..10 * S + S).contains(&row.watched), "nine polls of silence and four steps within the tenth: {}", row.watched);
}

#[test]
fn a_load_that_counts_bytes_does_not_outweigh_all_else_by_their_number() {
    let mut world = World::new();
    world.enter(Phase::Loading, 1 << 40);
    world.poll();
    world.step(1 << 33);
    world.poll();
    world.step(1 << 34);
    world.poll();
    assert!(world.samples(Part::First) + world.samples(Part::Rest) <= 2 * 16);
}

#[test]
fn progress_that_falls_back_is_none_until_it_passes_its_mark() {
    let mut world = World::denoising();
    world.steps(40, 2);
    let mark = world.words.progress;
    for done in mark - 30..=mark {
        world.step(done);
        world.poll();
    }
    assert!(world.suspicion.is_some(), "a loop that never passes its mark is a silence");
    world.step(mark + 1);
    assert!(!world.poll());
}

#[test]
fn a_helper_that_falls_silent_is_suspected_long_before_a_cold_phase_is() {
    let mut world = World::new();
    for _ in 0..3 {
        world.begin_job(DENOISE, 3);
        world.poll();
        for _ in 0..20 {
            world.alive();
            world.poll();
        }
        world.advance();
    }
    world.info.size = 7;
    world.begin_job(DENOISE, 3);
    for _ in 0..10 {
        world.alive();
        world.poll();
    }
    let polls = world.polls_until_suspect();
    assert!((3..20).contains(&polls), "{polls}");
    assert_eq!(world.suspicion.as_ref().unwrap().key.part, Part::Alive);
    world.alive();
    assert!(!world.poll(), "and cleared when it speaks");
}

#[test]
fn a_step_is_a_sign_of_life_where_the_helper_is_silent() {
    let mut world = World::denoising();
    for _ in 0..20 {
        world.alive();
        world.advance();
        world.poll();
    }
    world.steps(300, 1);
    assert_eq!(world.suspicion, None);
}

#[test]
fn the_bucket_of_a_load_is_the_models_own_whatever_the_job() {
    let mut world = World::new();
    for size in [64, 4096] {
        world.info.size = size;
        world.enter(Phase::Loading, TOTAL_NONE);
        world.poll();
        world.wait(3);
        world.end_job();
        world.poll();
    }
    let buckets: Vec<u8> =
        world.rows(Part::First).iter().filter(|row| row.key.phase == "loading").map(|row| row.key.bucket).collect();
    assert_eq!(buckets, [0]);
}

#[test]
fn in_a_worker_that_compiles_a_shape_that_was_met_may_be_compiled_again() {
    let mut world = World::new();
    let first_step_after = |world: &mut World, polls: u64| {
        world.begin_job(DENOISE, 3);
        world.poll();
        let suspect = world.wait(polls);
        world.advance();
        world.poll();
        suspect
    };
    for size in [64, 128, 256, 512, 640] {
        world.info.size = size;
        first_step_after(&mut world, 40);
    }
    for _ in 0..40 {
        first_step_after(&mut world, 1);
    }
    let first = world.row(Part::First);
    assert!(!first_step_after(&mut world, 40), "guidance or a scheduler is part of a shape too, and nobody says so");
    assert_eq!(world.row(Part::First), first, "what it took is a cold gap's");
    let cold = |world: &World| world.samples(Part::Cold);
    let before = cold(&world);
    first_step_after(&mut world, 30);
    assert_eq!((world.row(Part::First), cold(&world)), (first, before + 1));
}

#[test]
fn the_summary_of_all_models_holds_every_models_gaps() {
    let mut world = World::denoising();
    world.steps(10, 2);
    world.info.model = "another".into();
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.steps(11, 2);
    let all = world.learnt.rows().into_iter().find(|row| row.key.part == Part::Rest && row.key.model.is_empty()).unwrap();
    assert_eq!((all.samples, all.key.bucket), (10 + 1 + 10, Key::ANY_SIZE), "and one from the last step to the job's end");
}
