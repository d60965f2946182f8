//! The formula: cold start, floor, ceiling, the few and the many.

use super::world::*;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
use crate::learn::{Learnt, Part};

#[test]
fn of_what_nothing_is_known_a_silence_may_last_as_long_as_the_ceiling() {
    for (phase, ceiling) in [(Phase::Starting, 180), (Phase::Loading, 300), (Phase::Compiling, 1800), (Phase::Safety, 60)] {
        let mut world = World::new();
        world.enter(phase, TOTAL_NONE);
        world.poll();
        assert_eq!(world.polls_until_suspect(), ceiling, "{phase:?}");
        assert_eq!(world.suspicion.unwrap().samples, 0, "nothing was learnt of it");
    }
}

#[test]
fn a_first_meeting_of_a_shape_in_a_job_may_last_five_minutes() {
    let mut world = World::new();
    world.begin_job(DENOISE, 50);
    world.poll();
    assert_eq!(world.polls_until_suspect(), 300, "a compiler may be at work");
    assert_eq!(world.suspicion.unwrap().key.part, Part::Cold);
}

#[test]
fn quick_steps_make_no_threshold_below_the_floor() {
    let mut world = World::denoising();
    for _ in 0..50 {
        world.step(world.words.progress + 20);
        world.poll();
    }
    assert_eq!(world.threshold(Part::Rest), 2 * S);
    assert_eq!(world.polls_until_suspect(), 2);

    let mut world = World::new();
    world.enter(Phase::Downloading, 1 << 40);
    world.poll();
    for megabytes in 1..=50 {
        world.step(megabytes << 20);
        world.poll();
    }
    assert_eq!(world.threshold(Part::Rest), 10 * S, "a disk or a network pauses for longer");
}

#[test]
fn few_long_gaps_make_no_threshold_above_the_ceiling_or_twice_the_longest() {
    let mut world = World::denoising();
    world.steps(4, 25);
    assert_eq!(world.threshold(Part::Rest), 60 * S, "five times the longest would be beyond the ceiling");
    world.steps(4, 50);
    let threshold = world.threshold(Part::Rest);
    assert!((100 * S..120 * S).contains(&threshold), "twice the longest of 50 s, and the width of its bin: {threshold}");
}

#[test]
fn the_factor_falls_as_the_gaps_grow_in_number_and_in_hours() {
    let mut world = World::denoising();
    let mut last = u64::MAX;
    for steps in [4, 4, 21, 70, 900] {
        world.steps(steps, 5);
        let threshold = world.threshold(Part::Rest);
        assert!(threshold < last, "more evidence, less patience: {threshold} after {last}");
        last = threshold;
    }
    assert!(last >= 2 * 9 * S / 2, "never below twice a usual gap");
}

#[test]
fn below_three_gaps_the_phase_over_all_models_counts_with_twice_the_factor() {
    let mut world = World::denoising();
    world.steps(200, 4);
    let own = world.threshold(Part::Rest);
    world.info.model = "another".into();
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.advance();
    world.poll();
    let polls = world.polls_until_suspect();
    let suspicion = world.suspicion.take().unwrap();
    assert!(suspicion.samples >= 200 && suspicion.key.model == "another", "it rests on the other model's gaps");
    assert!(polls * S > own * 3 / 2 && polls * S <= 2 * own + POLL, "{polls} polls, {own} ns for the model that is known");
}

#[test]
fn another_size_of_a_known_model_goes_by_that_models_gaps_until_it_has_its_own() {
    let mut world = World::denoising();
    world.steps(200, 4);
    let own = world.threshold(Part::Rest);
    world.info.size = 4096;
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    assert_eq!(world.follower.suspicion(), None);
    world.advance();
    world.poll();
    assert!(world.polls_until_suspect() * S <= 2 * own + POLL);
    world.steps(20, 12);
    let buckets: Vec<u8> = world.rows(Part::Rest).iter().map(|row| row.key.bucket).collect();
    assert_eq!(buckets, [10, 13], "512 × 2 and 4096 × 2 are told apart");
    assert!(world.rows(Part::Rest)[1].threshold > world.rows(Part::Rest)[0].threshold);
}

#[test]
fn what_one_model_compiled_says_nothing_of_another() {
    let mut world = World::new();
    for job in 0..20 {
        world.info.size = 1 << job;
        world.begin_job(DENOISE, 10);
        world.poll();
        world.advance();
        world.poll();
    }
    world.info.model = "another".into();
    world.begin_job(DENOISE, 10);
    world.poll();
    assert_eq!(world.polls_until_suspect(), 300);
}

#[test]
fn few_gaps_of_its_own_allow_a_key_what_its_phase_allows() {
    let mut world = World::denoising();
    world.steps(200, 4);
    world.info.model = "another".into();
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.step(5);
    world.poll();
    world.step(10);
    world.poll();
    assert!(world.polls_until_suspect() > 8, "five quick steps are not enough to expect a sixth within 2 s");
}

#[test]
fn few_gaps_of_its_own_make_no_key_as_patient_as_a_slower_model() {
    let mut world = World::denoising();
    world.steps(200, 200);
    world.info.model = "another".into();
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.steps(6, 5);
    let polls = world.polls_until_suspect();
    assert!((20..=60).contains(&polls), "never beyond the ceiling, though the other model takes 200 s: {polls}");
}

#[test]
fn a_model_that_is_slower_than_all_others_is_suspected_once() {
    let mut world = World::denoising();
    world.steps(200, 4);
    world.info.model = "another".into();
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.advance();
    world.poll();
    let mut suspected = Vec::new();
    for step in 0..10 {
        if world.wait(99) {
            suspected.push(step);
        }
        world.advance();
        world.poll();
    }
    assert_eq!(suspected, [0], "what it took once it may take again, whatever others take");
}

#[test]
fn of_cold_gaps_the_long_ones_count_however_many_are_short() {
    let mut world = World::new();
    for shape in 0..400 {
        world.info.size = 512 + shape;
        world.begin_job(DENOISE, 10);
        world.poll();
        world.wait(if shape < 2 { 40 } else { 1 });
        world.advance();
        world.poll();
    }
    assert!(world.threshold(Part::Cold) >= 80 * S, "a compiler that took 40 s twice may do so again");
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let mut world = World::denoising();
    world.steps(400, 30);
    for _ in 0..5000 {
        world.step(world.words.progress + 16);
        world.poll();
    }
    assert!(world.samples(Part::Rest) <= 1 << 14);
    assert_eq!(world.threshold(Part::Rest), 2 * S, "400 gaps of half a minute, and 80 000 quick ones since");
}

#[test]
fn a_scale_stretches_every_threshold() {
    for (factor, polls) in [(0.5, 30), (2.0, 120)] {
        let mut world = World::new();
        world.learnt = Learnt::new().scaled(factor);
        world.enter(Phase::Safety, TOTAL_NONE);
        world.poll();
        assert_eq!(world.polls_until_suspect(), polls, "a ceiling of 60 s, times {factor}");
    }
}
