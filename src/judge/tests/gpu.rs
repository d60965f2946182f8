//! A device's slot: only its steps speak, and its host's threads say nothing of it.

use super::world::*;
use crate::judge::{Severity, Verdict, running_clocks};
use crate::layout::phase::Phase;
use crate::layout::slot::{TOTAL_NONE, TOTAL_UNKNOWN};
use crate::layout::word::Kind;

fn in_job(total: u64) -> World {
    let mut world = World::claimed();
    world.kind = Kind::Gpu;
    world.claim();
    world.phase(Phase::Idle, TOTAL_NONE);
    world.poll();
    world.begin_job(total);
    world.poll();
    world
}

#[test]
fn a_device_that_falls_silent_is_stalled_and_never_silent() {
    for (total, done) in [(100, Some(25)), (100, None), (TOTAL_UNKNOWN, Some(7)), (TOTAL_NONE, Some(7))] {
        let mut world = in_job(total);
        if let Some(done) = done {
            world.step(done);
            world.poll();
        }
        world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, |_| {});
        assert_eq!(world.wait(s(3600)), Verdict::Stalled, "the heartbeat budget is not a device's");
        let clocks: Vec<_> = running_clocks(world.seen(), &world.policy).map(|clock| clock.clock).collect();
        assert_eq!(clocks, ["progress"]);
    }
}

#[test]
fn where_both_budgets_are_one_a_worker_is_silent_and_a_device_stalled() {
    for (mut world, verdict) in [(World::in_job(50), Verdict::Silent), (in_job(50), Verdict::Stalled)] {
        world.policy.heartbeat_timeout = PROGRESS;
        assert_eq!(world.wait(PROGRESS), verdict);
    }
}

#[test]
fn a_device_that_goes_round_below_its_mark_is_looping() {
    let mut world = in_job(100);
    world.step(25);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Looping, |world| {
        world.step(0);
        world.step(20);
    });
}

#[test]
fn a_device_that_only_beats_has_the_heartbeat_clock() {
    let mut world = in_job(TOTAL_NONE);
    assert_eq!(world.live(s(3600), World::beat), Verdict::Ok);
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_host_thread_that_ended_is_none_of_its_devices() {
    let mut world = in_job(50);
    world.thread_gone = true;
    assert_eq!(world.wait(s(3)), Verdict::Ok, "another thread may wait for the kernel");
    assert_eq!(world.wait(PROGRESS), Verdict::Stalled, "and what hangs is told by its own name");
    assert_eq!(world.judged.unwrap().severity, Severity::Acting);
}

#[test]
fn a_device_whose_host_is_given_no_cpu_to_launch_with_is_starved() {
    let mut world = in_job(50);
    world.policy.max_stretch = 4.0;
    let waits = |world: &mut World| world.run_delay = Some(world.run_delay.unwrap_or(s(0)) + s(1));
    assert_eq!(world.live(s(20), waits), Verdict::Starved, "whether a kernel runs meanwhile nobody can tell");
    assert_eq!(world.live(s(21), waits), Verdict::Stalled, "at four budgets it is stalled all the same");
}

#[test]
fn between_jobs_a_device_is_idle_at_any_age() {
    let mut world = in_job(50);
    world.end_job();
    assert_eq!(world.wait(s(3600)), Verdict::Idle);
}
