//! One gap alone sets nothing; several do.

use super::world::*;
use crate::learn::Part;

/// A key is warmed up with gaps that are not all alike.
fn warmed_up() -> World {
    let mut world = World::denoising();
    for i in 0..120 {
        world.steps(1, 4 + i % 3);
    }
    world
}

fn assert_moved_by_less_than(before: &World, after: &World, share: f64, what: &str) {
    let (before, after) = (thresholds(&before.learnt), thresholds(&after.learnt));
    for (key, threshold) in before {
        let (Some(threshold), Some((_, Some(now)))) = (threshold, after.iter().find(|(other, _)| *other == key)) else {
            continue;
        };
        let moved = (*now as f64 / threshold as f64 - 1.0).abs();
        assert!(moved <= share, "{what}: {key:?} moved from {threshold} to {now}");
    }
}

fn clone(world: &World) -> World {
    let mut copy = World::new();
    copy.learnt = world.learnt.clone();
    copy
}

#[test]
fn five_hangs_four_that_open_an_episode_and_one_that_ends_just_under_the_budget_move_no_threshold() {
    let mut world = warmed_up();
    let before = clone(&world);
    for _ in 0..4 {
        world.wait(600);
        assert!(world.suspicion.is_some());
        world.follower.episode();
        world.advance();
        world.poll();
        world.steps(20, 5);
    }
    world.wait(598);
    world.advance();
    world.poll();
    assert_moved_by_less_than(&before, &world, 0.05, "after the hangs");
    world.steps(200, 5);
    let mut without = warmed_up();
    without.steps(280, 5);
    assert_moved_by_less_than(&clone(&without), &world, 0.05, "long after, beside a worker that never hung");
}

#[test]
fn below_thirty_gaps_too_one_beyond_the_threshold_moves_nothing() {
    let mut world = World::denoising();
    for _ in 0..26 {
        world.steps(1, 5);
        let mut copy = World::denoising();
        copy.learnt = world.learnt.clone();
        let Some(before) = copy.row(Part::Rest).threshold else { continue };
        copy.wait(598);
        copy.advance();
        copy.poll();
        assert_eq!(copy.threshold(Part::Rest), before, "with {} gaps", world.samples(Part::Rest));
    }
}

#[test]
fn once_warmed_up_no_gap_moves_a_threshold_by_more_than_a_twentieth() {
    let mut world = World::denoising();
    world.steps(30, 5);
    let mut last = world.threshold(Part::Rest);
    for i in 0..300 {
        world.steps(1, [1, 9, 5][i % 3]);
        let now = world.threshold(Part::Rest);
        assert!((now as f64 / last as f64 - 1.0).abs() <= 0.0501, "from {last} to {now}");
        last = now;
    }
}

#[test]
fn a_worker_that_has_become_slower_is_suspected_three_times_and_then_believed() {
    let mut world = World::denoising();
    world.steps(2000, 2);
    let mut suspected = 0;
    for _ in 0..200 {
        world.wait(39);
        suspected += u32::from(world.suspicion.is_some());
        world.advance();
        world.poll();
    }
    assert_eq!(suspected, 3, "what goes on for ever is how it is");
}

#[test]
fn a_long_gap_in_fifty_is_believed_in_the_end_and_one_hang_in_two_thousand_never() {
    let mut world = World::denoising();
    for _ in 0..12 {
        world.steps(49, 2);
        world.steps(1, 30);
    }
    world.steps(49, 2);
    assert!(!world.wait(29), "twelve in six hundred are how it is");
    let mut world = World::denoising();
    world.steps(2000, 2);
    let before = world.threshold(Part::Rest);
    world.steps(1, 300);
    world.steps(10, 2);
    assert!(world.threshold(Part::Rest) <= before);
}

#[test]
fn a_gap_within_the_threshold_raises_it_where_few_are_known() {
    let mut world = World::denoising();
    world.steps(5, 4);
    let before = world.threshold(Part::Rest);
    world.steps(1, 12);
    assert!(world.threshold(Part::Rest) > before, "it is the longest of six");
}

#[test]
fn a_hang_among_the_first_gaps_of_a_size_is_left_out_where_the_model_is_known() {
    let mut world = World::denoising();
    world.steps(200, 2);
    world.info.size = 8192;
    world.begin_job(DENOISE, 1 << 40);
    world.poll();
    world.advance();
    world.poll();
    world.steps(1, 300);
    world.steps(40, 2);
    assert!(world.rows(Part::Rest).iter().all(|row| row.threshold.is_none_or(|threshold| threshold < 20 * S)));
}

#[test]
fn a_bad_minute_is_believed_for_a_hundred_gaps_and_no_longer() {
    let mut world = World::denoising();
    world.steps(2000, 2);
    let before = world.threshold(Part::Rest);
    world.steps(3, 40);
    assert!(world.threshold(Part::Rest) >= 60 * S, "three in a row are proof");
    world.steps(90, 2);
    assert!(world.threshold(Part::Rest) >= 60 * S);
    world.steps(110, 2);
    assert!(world.threshold(Part::Rest) <= before * 11 / 10);
}

#[test]
fn outliers_far_apart_are_no_proof_however_few_polls_lie_between() {
    let mut world = World::denoising();
    world.steps(2000, 2);
    let before = world.threshold(Part::Rest);
    for _ in 0..4 {
        world.steps(1, 40);
        world.step(world.words.progress + 16);
        world.poll();
    }
    assert!(world.threshold(Part::Rest) <= before * 3 / 2, "one hang in sixteen steps is many hangs, not a slow worker");
}
