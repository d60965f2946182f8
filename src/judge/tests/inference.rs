//! The two clocks of inference: heartbeat (`silent`) and progress (`looping`, `stalled`).

use super::world::*;
use crate::judge::Verdict;
use crate::layout::phase::Phase;
use crate::layout::slot::{TOTAL_NONE, TOTAL_UNKNOWN};

#[test]
fn neither_beat_nor_step_nor_alive_for_the_heartbeat_budget_is_silent() {
    for total in [TOTAL_NONE, TOTAL_UNKNOWN, 50] {
        World::in_job(total).edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
    }
}

#[test]
fn beat_step_and_alive_each_restart_the_heartbeat_clock() {
    for sign in [World::beat as fn(&mut World), |world| world.step(1), World::alive] {
        let mut world = World::in_job(TOTAL_NONE);
        world.wait(HEARTBEAT - NS);
        sign(&mut world);
        world.poll();
        world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
    }
}

#[test]
fn a_helpers_beat_is_a_heartbeat_and_no_progress() {
    let mut world = World::in_job(50);
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::alive);
}

#[test]
fn where_both_clocks_expire_in_one_poll_the_worker_is_silent() {
    let mut world = World::in_job(50);
    world.policy.heartbeat_timeout = PROGRESS;
    world.edge("heartbeat", PROGRESS, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn only_inference_has_a_heartbeat_budget() {
    assert_eq!(World::in_phase(Phase::Compiling).wait(HEARTBEAT * 20), Verdict::Ok);
}

#[test]
fn progress_at_its_mark_for_the_budget_is_stalled_at_any_percentage() {
    for (total, done) in [(100, 0), (100, 1), (100, 25), (100, 99), (100, 100), (TOTAL_UNKNOWN, 17), (TOTAL_NONE, 17)] {
        let mut world = World::in_job(total);
        world.live(s(5), World::beat);
        world.step(done);
        world.poll();
        world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
        assert_eq!(world.seen().done, Some(done));
    }
}

#[test]
fn steps_that_repeat_the_mark_are_no_progress() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, |world| world.step(21));
}

#[test]
fn one_unit_past_the_mark_restarts_the_progress_clock() {
    let mut world = World::in_job(50);
    world.step(21);
    world.live(PROGRESS - NS, World::beat);
    world.step(22);
    assert_eq!(world.poll(), Verdict::Ok);
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
}

#[test]
fn before_the_first_step_the_clock_runs_from_begin_job_where_the_job_reports_progress() {
    for total in [50, TOTAL_UNKNOWN] {
        let mut world = World::in_job(total);
        world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
        assert_eq!(world.seen().done, None, "no progress is not progress of 0");
    }
}

#[test]
fn a_job_that_reports_no_progress_is_judged_by_its_heartbeat_alone() {
    let mut world = World::in_job(TOTAL_NONE);
    assert_eq!(world.live(s(3600), World::beat), Verdict::Ok);
    assert_eq!(world.seen().ages.progress, None);
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn without_a_total_the_first_step_starts_the_clock() {
    let mut world = World::in_job(TOTAL_NONE);
    world.live(s(3600), World::beat);
    world.step(0);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
}

#[test]
fn progress_that_fell_back_is_looping_at_the_same_edge() {
    let mut world = World::in_job(100);
    world.step(75);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Looping, |world| {
        world.step(0);
        world.step(40);
    });
}

#[test]
fn a_fall_that_no_poll_saw_is_still_a_fall() {
    let mut world = World::in_job(100);
    world.step(75);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Looping, |world| {
        world.step(0);
        world.step(75);
    });
    assert_eq!(world.seen().done, Some(75), "every poll saw the mark itself");
}

#[test]
fn a_fall_before_the_mark_rose_is_forgotten() {
    let mut world = World::in_job(100);
    for done in [75, 0, 76] {
        world.step(done);
        world.poll();
    }
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
}

#[test]
fn a_worker_that_falls_back_and_passes_its_mark_in_time_is_ok() {
    let mut world = World::in_job(100);
    let mut second = 0;
    let verdict = world.live(s(600), |world| {
        second += 1;
        world.step(if second % 9 == 0 { 0 } else { second });
    });
    assert_eq!(verdict, Verdict::Ok);
}

#[test]
fn before_the_first_beat_the_start_budget_is_the_only_one() {
    use crate::layout::word::PhaseWord;
    use std::sync::atomic::Ordering::Relaxed;
    let mut world = World::claimed();
    // As a writer leaves it that was stopped in `begin_job`, before the beat at its end.
    world.slot.phase.store(PhaseWord::new(Phase::Inference.id(), PhaseWord::JOB_OPEN, 1).0, Relaxed);
    world.slot.total.store(50, Relaxed);
    let budget = world.policy.starting_timeout;
    world.edge("start", budget, Verdict::Ok, Verdict::NeverStarted, |_| {});
}
