//! The rules that need no job: death, stops, starts, idleness, and the order of them all.

use super::world::*;
use crate::judge::{Severity, Verdict, is_idle, running_clocks};
use crate::layout::UserPhase;
use crate::layout::phase::{Class, Phase};
use crate::layout::slot::TOTAL_NONE;
use crate::snapshot::Process;

#[test]
fn an_exited_process_is_dead_and_one_that_is_not_reaped_a_zombie() {
    for (process, verdict) in [(Process::Gone, Verdict::Dead), (Process::Zombie, Verdict::Zombie)] {
        let mut world = World::in_job(50);
        world.process = process;
        assert_eq!(world.poll(), verdict);
        assert!(verdict.is_death() && verdict.severity() == Severity::Acting);
    }
}

#[test]
fn silence_however_long_is_no_proof_of_death() {
    for process in [Process::Unknown, Process::Running] {
        let mut world = World::in_job(50);
        world.process = process;
        assert_eq!(world.wait(s(3600)), Verdict::Silent, "only an exit is death");
    }
}

#[test]
fn a_stopped_worker_is_stopped_and_nothing_that_acts() {
    let mut world = World::in_job(50);
    world.process = Process::Stopped;
    assert_eq!(world.poll(), Verdict::Stopped);
    assert_eq!(world.wait(s(3600)), Verdict::Stopped, "a stop may last for ever");
    assert_eq!(Verdict::Stopped.severity(), Severity::Warning, "somebody stopped it on purpose: it never acts");
    world.process = Process::Running;
    assert_eq!(world.poll(), Verdict::Ok, "the time in which it was stopped is excused");
}

#[test]
fn after_a_stop_every_clock_has_left_what_it_had_before() {
    let mut world = World::in_job(50);
    world.info.deadline_ns = 3_600_000_000_000;
    world.wait(s(4));
    world.process = Process::Stopped;
    world.wait(s(100));
    world.process = Process::Running;
    world.poll();
    let ages = world.seen().ages;
    for age in [ages.claim, ages.beat, ages.heartbeat, ages.progress.unwrap(), ages.phase, ages.job.unwrap()] {
        assert_eq!((age.real, age.judged), (104_000_000_000, 4_000_000_000), "the person is told all of it, the budget less");
    }
    world.edge_at("heartbeat", HEARTBEAT - s(4), HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_slot_that_is_stopped_at_first_sight_is_excused_nothing_before_it() {
    let mut world = World::in_job(50);
    world.track = None;
    world.now += POLL;
    world.process = Process::Stopped;
    world.poll();
    world.process = Process::Running;
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_claim_without_a_beat_never_started_at_the_start_budget() {
    let mut world = World::claimed();
    let budget = world.policy.starting_timeout;
    world.edge("start", budget, Verdict::Ok, Verdict::NeverStarted, |world| world.alive());
}

#[test]
fn one_beat_is_a_start() {
    let mut world = World::claimed();
    world.wait(world.policy.starting_timeout - NS);
    world.beat();
    assert_eq!(world.wait(s(60)), Verdict::Ok);
    assert!(world.seen().ever_beat);
}

#[test]
fn an_idle_worker_is_idle_at_any_age() {
    let mut world = World::in_phase(Phase::Idle);
    assert_eq!(world.poll(), Verdict::Idle);
    world.policy.poll_interval = s(60);
    assert_eq!(world.wait(s(24 * 3600)), Verdict::Idle, "no budget runs where a worker waits for work");
    assert!(is_idle(world.seen(), &world.policy));
    assert_eq!(running_clocks(world.seen(), &world.policy).count(), 0);
}

#[test]
fn an_ended_worker_and_an_idle_phase_of_its_own_wait_too() {
    let mut world = World::in_phase(Phase::Ended);
    assert_eq!(world.wait(s(3600)), Verdict::Idle);
    let mut world = World::claimed();
    world.user = Some(UserPhase { index: 3, class: Class::Idle, budget_ns: 1, name: "drained".into() });
    world.phase(Phase::User(3), TOTAL_NONE);
    assert_eq!(world.wait(s(3600)), Verdict::Idle);
}

#[test]
fn a_working_phase_is_never_idle() {
    for row in crate::layout::phase::TABLE.iter().filter(|row| row.class == Class::Work) {
        assert_eq!(World::in_phase(row.phase).poll(), Verdict::Ok, "{}", row.name);
    }
    assert_eq!(World::in_phase(Phase::Ending).poll(), Verdict::Ok, "an exit with a budget is watched");
}

#[test]
fn a_worker_that_steps_is_ok_for_ever() {
    let mut world = World::in_job(1_000_000);
    let mut done = 0;
    let verdict = world.live(s(3600), |world| {
        done += 1;
        world.step(done);
    });
    assert_eq!(verdict, Verdict::Ok);
}

#[test]
fn of_all_that_is_true_at_once_the_higher_row_is_the_verdict() {
    // Hung by every clock of inference, with progress that fell back and a deadline that has passed.
    let mut world = World::in_job(50);
    world.info.deadline_ns = 1;
    world.step(9);
    world.poll();
    world.step(1);
    assert_eq!(world.wait(s(60)), Verdict::Silent);
    assert_eq!(world.live(s(60), World::beat), Verdict::Looping, "without silence the fall is seen");
    world.step(10);
    assert_eq!(world.poll(), Verdict::Overdue, "without a stall the deadline is");
    assert_eq!(world.live(s(60), World::beat), Verdict::Stalled, "a stall stands above the deadline");
    for (process, verdict) in
        [(Process::Stopped, Verdict::Stopped), (Process::Zombie, Verdict::Zombie), (Process::Gone, Verdict::Dead)]
    {
        world.process = process;
        assert_eq!(world.poll(), verdict, "what was read of the process stands above every clock");
    }
    let mut world = World::in_phase(Phase::Idle);
    world.begin_job(50);
    world.phase(Phase::Idle, TOTAL_NONE);
    world.info.deadline_ns = 1;
    world.poll();
    assert_eq!(world.wait(NS), Verdict::Overdue, "a job's deadline stands above its idle phase");
}

#[test]
fn never_started_stands_above_the_budget_of_its_phase() {
    let mut world = World::claimed();
    assert_eq!(world.wait(s(10_000)), Verdict::NeverStarted);
    world.beat();
    world.poll();
    assert_eq!(world.wait(world.policy.starting_timeout), Verdict::Overdue, "one beat, and the phase's budget runs instead");
}

#[test]
fn verdicts_stand_in_the_order_of_their_numbers() {
    assert!(Verdict::ALL.is_sorted());
    for verdict in Verdict::ALL {
        assert_eq!(Verdict::from_bits(verdict as u8), verdict);
    }
    for bits in [0, 18, u8::MAX] {
        assert_eq!(Verdict::from_bits(bits), Verdict::Unknown, "any byte is a value");
    }
}

#[test]
fn the_clocks_that_run_are_named_with_their_ages_and_budgets() {
    let mut world = World::in_job(50);
    world.wait(s(3));
    world.live(s(6), World::beat);
    let clocks: Vec<_> =
        running_clocks(world.seen(), &world.policy).map(|c| (c.clock, c.age / 1_000_000_000, c.budget)).collect();
    assert_eq!(clocks, [("heartbeat", 0, 6_000_000_000), ("progress", 9, 10_000_000_000)]);
}
