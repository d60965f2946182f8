//! The guards against the machine: starvation, late polls, pressure, threads that ended, strangers that write.

use super::world::*;
use crate::judge::{Severity, Verdict};
use crate::layout::slot::TOTAL_NONE;
use crate::snapshot::Process;

/// Lets a second pass a number of times, in each of which the worker's thread waits `delay` for a CPU.
fn starve(world: &mut World, seconds: u64, delay: std::time::Duration) -> Verdict {
    world.live(s(seconds), |world| {
        let waited = world.run_delay.unwrap_or(s(0));
        world.run_delay = Some(waited + delay);
    })
}

#[test]
fn a_worker_that_is_given_no_cpu_is_starved_until_its_budget_is_stretched_as_far_as_it_goes() {
    let mut world = World::in_job(TOTAL_NONE);
    world.policy.max_stretch = 4.0;
    assert_eq!(starve(&mut world, 5, s(1)), Verdict::Ok);
    assert_eq!(starve(&mut world, 18, s(1)), Verdict::Starved, "it waits for a CPU all the time");
    let spent = world.judged.unwrap().spent.expect("the clock that is stretched");
    assert_eq!((spent.clock, spent.budget), ("heartbeat", 6_000_000_000));
    assert!(spent.age >= spent.budget, "what is told is the age without the excuse");
    assert_eq!(world.judged.unwrap().severity, Severity::Warning, "while a budget is stretched nobody acts");
    assert_eq!(starve(&mut world, 1, s(1)), Verdict::Silent, "at four budgets the verdict beneath stands");
}

#[test]
fn a_worker_that_sleeps_on_a_busy_machine_is_not_starved() {
    let mut world = World::in_job(TOTAL_NONE);
    world.run_delay = Some(s(7));
    world.pressure_us = Some(0);
    let verdict = world.live(s(6), |world| world.pressure_us = world.pressure_us.map(|us| us + 1_000_000));
    assert_eq!(verdict, Verdict::Silent, "the kernel says that this very thread waited for nothing");
}

#[test]
fn where_the_thread_cannot_be_asked_half_of_the_machines_pressure_excuses() {
    let mut world = World::in_job(TOTAL_NONE);
    world.pressure_us = Some(0);
    world.poll();
    let under_pressure = |world: &mut World| world.pressure_us = world.pressure_us.map(|us| us + 1_000_000);
    assert_eq!(world.live(s(11), under_pressure), Verdict::Starved);
    assert_eq!(world.live(s(1), under_pressure), Verdict::Silent);
}

#[test]
fn what_a_thread_waited_before_it_fell_silent_excuses_nothing() {
    let mut world = World::in_job(TOTAL_NONE);
    world.run_delay = Some(s(3600));
    world.poll();
    world.beat();
    world.poll();
    world.run_delay = Some(s(7200));
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_thread_that_ended_is_told_of_and_acts_once_a_budget_is_spent() {
    let mut world = World::in_job(50);
    world.thread_gone = true;
    assert_eq!(world.wait(s(3)), Verdict::ThreadGone);
    assert_eq!(world.judged.unwrap().severity, Severity::Warning, "a handle may have been sent to another thread");
    assert_eq!(world.wait(s(3)), Verdict::ThreadGone);
    assert_eq!(world.judged.unwrap().severity, Severity::Acting);
    assert_eq!(world.judged.unwrap().spent.map(|spent| spent.clock), Some("heartbeat"));
    world.thread_gone = false;
    assert_eq!(world.poll(), Verdict::Silent);
    let mut world = World::in_phase(crate::layout::phase::Phase::Loading);
    world.thread_gone = true;
    world.wait(world.policy.loading_timeout);
    assert_eq!(world.judged.unwrap().severity, Severity::Acting, "a loader that died has no job yet, and is hung all the same");
}

#[test]
fn a_worker_is_unkillable_once_sigkill_has_been_pending_in_uninterruptible_sleep_for_d_wait() {
    let mut world = World::in_job(50);
    world.wait(HEARTBEAT);
    world.process = Process::Unkillable;
    assert_eq!(world.wait(s(1)), Verdict::Silent, "most sleeps in state D end when a SIGKILL comes");
    let left = world.policy.d_wait;
    assert_eq!(world.wait(left - NS), Verdict::Silent);
    assert_eq!(world.wait(NS), Verdict::Unkillable);
    world.process = Process::Running;
    assert_eq!(world.wait(s(1)), Verdict::Silent, "it woke up, and may end yet");
    world.process = Process::Unkillable;
    assert_eq!(world.wait(s(2)), Verdict::Silent, "which is counted anew");
    world.process = Process::Gone;
    assert_eq!(world.poll(), Verdict::Dead);
}

#[test]
fn a_held_process_is_stopped_whoever_holds_it_and_spends_no_budget() {
    for process in [Process::Stopped, Process::Traced, Process::Frozen] {
        let mut world = World::in_job(50);
        world.process = process;
        assert_eq!(world.wait(s(3600)), Verdict::Stopped, "{process:?}");
        assert_eq!(world.judged.unwrap().severity, Severity::Warning);
        world.process = Process::Running;
        world.edge_at("heartbeat", HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
    }
}

#[test]
fn the_first_units_of_a_job_have_a_budget_of_their_own() {
    let mut world = World::in_job(50);
    (world.policy.warmup_steps, world.policy.warmup_timeout) = (2, s(40));
    world.edge("heartbeat", s(40), Verdict::Ok, Verdict::Silent, |_| {});
    world.step(1);
    assert_eq!(world.wait(s(39)), Verdict::Ok, "the second unit warms up too");
    world.step(2);
    world.poll();
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}
