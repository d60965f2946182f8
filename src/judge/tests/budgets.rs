//! `overdue`: each phase's budget, what restarts it, its limit, and a job's deadline.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::UserPhase;
use crate::layout::phase::{Class, Phase, Sign, TABLE};
use crate::layout::slot::{TOTAL_NONE, TOTAL_UNKNOWN};

#[test]
fn every_phase_with_a_budget_is_overdue_at_its_edge() {
    let mut walked = 0;
    for row in TABLE.iter().filter(|row| row.phase != Phase::Inference) {
        let mut world = World::in_phase(row.phase);
        let Some(budget) = world.policy.phase_budget(row.phase, 0, None) else { continue };
        world.edge("phase", budget, Verdict::Ok, Verdict::Overdue, World::alive);
        walked += 1;
    }
    assert_eq!(walked, 9, "the table's phases with a budget, inference aside");
}

#[test]
fn any_beat_restarts_the_budget_of_a_phase_that_lives_on_any_beat() {
    for row in TABLE.iter().filter(|row| row.restarts_on == Sign::AnyBeat) {
        let mut world = World::in_phase(row.phase);
        let budget = world.policy.phase_budget(row.phase, 0, None).unwrap();
        world.wait(budget - NS);
        world.beat();
        assert_eq!(world.poll(), Verdict::Ok, "{}", row.name);
        world.edge("phase", budget, Verdict::Ok, Verdict::Overdue, World::alive);
    }
}

#[test]
fn progress_restarts_the_budget_of_a_load_that_reports_some_and_a_beat_does_not() {
    for row in TABLE.iter().filter(|row| row.restarts_on == Sign::ProgressElseBeat) {
        for total in [1 << 30, TOTAL_UNKNOWN] {
            let mut world = World::claimed();
            world.phase(row.phase, total);
            let budget = world.policy.phase_budget(row.phase, 0, None).unwrap();
            world.live(budget - NS, World::beat);
            world.step(1);
            assert_eq!(world.poll(), Verdict::Ok, "{}", row.name);
            world.edge("phase", budget, Verdict::Ok, Verdict::Overdue, World::beat);
        }
    }
}

#[test]
fn a_beat_restarts_the_budget_of_a_load_that_reports_no_progress() {
    let mut world = World::in_phase(Phase::Loading);
    let budget = world.policy.loading_timeout;
    world.wait(budget - NS);
    world.beat();
    world.poll();
    world.edge("phase", budget, Verdict::Ok, Verdict::Overdue, World::alive);
}

#[test]
fn entering_the_same_phase_again_restarts_its_budget() {
    let mut world = World::in_phase(Phase::Loading);
    world.wait(world.policy.loading_timeout - NS);
    world.phase(Phase::Loading, TOTAL_NONE);
    assert_eq!(world.poll(), Verdict::Ok);
    assert_eq!(world.seen().ages.phase.real, 0);
}

#[test]
fn a_phase_that_beats_all_along_is_overdue_at_its_limit() {
    let mut world = World::in_phase(Phase::Safety);
    let limit = world.policy.phase_limit(world.policy.safety_timeout);
    assert_eq!(limit, s(600));
    world.edge("max_phase", limit, Verdict::Ok, Verdict::Overdue, World::beat);
}

#[test]
fn a_load_towards_a_known_total_may_take_as_long_as_it_advances_and_one_without_may_not() {
    for (total, verdict) in [(1_000, Verdict::Ok), (TOTAL_UNKNOWN, Verdict::Overdue)] {
        let mut world = World::claimed();
        world.phase(Phase::Loading, total);
        world.poll();
        let mut done = 0;
        let last = world.live(20 * world.policy.loading_timeout, |world| {
            if world.now.as_secs() % 64 == 0 {
                done += 1;
                world.step(done);
            }
        });
        assert_eq!(last, verdict, "of {total} units");
    }
}

#[test]
fn post_processing_has_a_budget_by_its_batch() {
    for (batch, budget) in [(0, 63), (1, 63), (8, 84)] {
        let mut world = World::in_job(50);
        world.info.batch = batch;
        world.phase(Phase::PostProcessing, TOTAL_NONE);
        world.poll();
        world.edge("phase", s(budget), Verdict::Ok, Verdict::Overdue, World::alive);
    }
}

fn user(class: Class, budget_s: u64) -> World {
    let mut world = World::claimed();
    world.user = Some(UserPhase { index: 3, class, budget_ns: budget_s * 1_000_000_000, name: "upscale".into() });
    world.phase(Phase::User(3), TOTAL_NONE);
    world.poll();
    world
}

#[test]
fn a_users_phase_has_the_budget_that_it_registered() {
    for class in [Class::Work, Class::Exit] {
        user(class, 5).edge("phase", s(5), Verdict::Ok, Verdict::Overdue, World::alive);
    }
    assert_eq!(user(Class::Work, 0).wait(s(3600)), Verdict::Ok, "none was named");
}

#[test]
fn a_users_working_phase_that_reports_progress_lives_on_progress() {
    let mut world = user(Class::Work, 5);
    world.step(1);
    world.poll();
    world.edge("phase", s(5), Verdict::Ok, Verdict::Overdue, World::beat);
}

#[test]
fn a_phase_that_nobody_knows_is_judged_with_the_longest_budget() {
    World::in_phase(Phase::Unknown(99)).edge("phase", s(600), Verdict::Ok, Verdict::Overdue, World::alive);
}

#[test]
fn a_job_is_overdue_at_its_deadline_whatever_it_reports() {
    let mut world = World::in_job(1_000_000);
    world.info.deadline_ns = 60_000_000_000;
    let mut done = 0;
    world.edge("deadline", s(60), Verdict::Ok, Verdict::Overdue, |world| {
        done += 1;
        world.step(done);
    });
}

#[test]
fn a_deadline_counts_through_phases_and_leases() {
    let mut world = World::in_job(TOTAL_NONE);
    world.info.deadline_ns = 20_000_000_000;
    world.live(s(5), World::beat);
    world.phase(Phase::Loading, TOTAL_NONE);
    world.extend(s(30));
    world.live(s(5), |_| {});
    world.edge_at("deadline", s(10), s(20), Verdict::Ok, Verdict::Overdue);
}

#[test]
fn a_deadline_ends_with_its_job() {
    let mut world = World::in_job(TOTAL_NONE);
    world.info.deadline_ns = 20_000_000_000;
    world.live(s(19), World::beat);
    world.end_job();
    assert_eq!(world.wait(s(60)), Verdict::Idle);
    world.begin_job(TOTAL_NONE);
    world.poll();
    world.edge("deadline", s(20), Verdict::Ok, Verdict::Overdue, World::beat);
}
