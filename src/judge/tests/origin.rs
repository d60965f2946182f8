//! The hangs of the origin: an image worker's steps, loads and retries, and what each is judged to be.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;

/// Steps of a second each, to `done` of 100.
fn stepped_to(done: u64) -> World {
    let mut world = World::in_job(100);
    for done in 1..=done {
        world.step(done);
        assert_eq!(world.wait(s(1)), Verdict::Ok);
    }
    world.poll();
    world
}

#[test]
fn a_hang_at_any_percentage_without_beats_is_silent() {
    for done in [0, 1, 25, 50, 99, 100] {
        assert_eq!(stepped_to(done).wait(HEARTBEAT), Verdict::Silent, "at {done} %");
    }
}

#[test]
fn a_hang_at_any_percentage_that_still_beats_is_stalled() {
    for done in [0, 1, 25, 50, 99, 100] {
        assert_eq!(stepped_to(done).live(PROGRESS, World::beat), Verdict::Stalled, "at {done} %");
    }
}

#[test]
fn a_hang_before_the_first_step_under_a_helpers_beat_is_stalled() {
    assert_eq!(stepped_to(0).live(PROGRESS, World::alive), Verdict::Stalled);
}

#[test]
fn a_hang_in_the_decode_after_the_last_step_is_overdue() {
    let mut world = stepped_to(100);
    world.phase(Phase::PostProcessing, TOTAL_NONE);
    world.poll();
    assert_eq!(world.live(s(63), World::alive), Verdict::Overdue);
}

#[test]
fn a_load_that_hangs_at_5_percent_under_a_helpers_beat_is_overdue() {
    let mut world = World::claimed();
    world.phase(Phase::Loading, 100);
    world.step(5);
    world.poll();
    world.edge("phase", s(80), Verdict::Ok, Verdict::Overdue, World::alive);
}

#[test]
fn retries_at_75_percent_are_stalled_where_they_are_flat_and_looping_where_they_fall_back() {
    assert_eq!(stepped_to(75).live(PROGRESS, |world| world.step(75)), Verdict::Stalled);
    let mut low = true;
    let verdict = stepped_to(75).live(PROGRESS, |world| {
        low = !low;
        world.step(if low { 0 } else { 75 });
    });
    assert_eq!(verdict, Verdict::Looping, "75, 0, 75 is motion, not progress");
}

#[test]
fn steps_slower_than_a_poll_and_within_the_budget_are_ok() {
    let mut world = World::in_job(100);
    for done in 1..=100 {
        world.step(done);
        assert_eq!(world.wait(HEARTBEAT - NS), Verdict::Ok);
    }
}

#[test]
fn one_slow_step_under_a_lease_is_ok() {
    let mut world = stepped_to(25);
    world.extend(s(20));
    assert_eq!(world.wait(PROGRESS + s(3)), Verdict::Ok, "1.3 budgets");
    world.step(26);
    assert_eq!(world.poll(), Verdict::Ok);
}

#[test]
fn a_worker_between_two_jobs_is_idle_however_long_no_job_comes() {
    let mut world = stepped_to(100);
    world.end_job();
    assert_eq!(world.wait(s(7200)), Verdict::Idle);
    world.begin_job(100);
    assert_eq!(world.poll(), Verdict::Ok);
}
