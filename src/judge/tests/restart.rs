//! A monitor that is restarted: a hung worker's age goes on, and nobody is accused by what its predecessor left.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::observe::{PollClock, Resume, Track};

/// Another monitor takes over: it knows what stands in the slot, and `away` later it polls.
fn restarted(world: &mut World, away: std::time::Duration, before: impl FnOnce(&mut World)) -> Verdict {
    let elapsed = world.tick().now;
    let former = world.track.take().unwrap().resumable();
    world.now += away;
    before(world);
    resume(world, former, elapsed)
}

fn resume(world: &mut World, former: Resume, elapsed: u64) -> Verdict {
    world.clock = PollClock::new(POLL, elapsed);
    let hot = world.slot.read_hot().unwrap();
    let tick = world.tick();
    let mut track = Track::new(&hot, &tick);
    track.resume(&hot, former, &tick, &world.policy);
    world.track = Some(track);
    world.poll()
}

#[test]
fn a_silent_workers_age_goes_on() {
    let mut world = World::in_job(50);
    world.wait(s(4));
    assert_eq!(restarted(&mut world, s(3600), |_| {}), Verdict::Ok, "the time without a monitor is nobody's");
    world.edge_at("heartbeat", s(2), HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_stalled_workers_age_goes_on_where_it_did_not_beat_meanwhile() {
    let mut world = World::in_job(50);
    world.policy.heartbeat_timeout = s(600);
    world.step(21);
    world.poll();
    world.live(s(7), World::beat);
    restarted(&mut world, s(60), |_| {});
    world.edge_at("progress", s(3), PROGRESS, Verdict::Ok, Verdict::Stalled);
}

#[test]
fn a_worker_that_never_started_is_no_younger() {
    let mut world = World::claimed();
    let budget = world.policy.starting_timeout;
    world.wait(budget - s(5));
    restarted(&mut world, s(60), |_| {});
    world.edge_at("start", s(5), budget, Verdict::Ok, Verdict::NeverStarted);
}

#[test]
fn what_was_excused_stays_excused() {
    let mut world = World::in_job(50);
    world.process = crate::snapshot::Process::Stopped;
    world.wait(s(100));
    world.process = crate::snapshot::Process::Running;
    assert_eq!(restarted(&mut world, s(1), |_| {}), Verdict::Ok);
    world.edge_at("heartbeat", HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_worker_that_beat_meanwhile_starts_anew() {
    let mut world = World::in_job(50);
    world.wait(s(5));
    restarted(&mut world, s(60), |world| world.step(1));
    world.edge_at("heartbeat", HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn the_last_passs_mark_is_not_this_ones() {
    let mut world = World::in_job(50);
    world.policy.heartbeat_timeout = s(600);
    world.step(21);
    world.poll();
    world.wait(s(5));
    restarted(&mut world, s(60), World::cross_to_next_pass);
    assert_eq!(world.seen().ages.progress.unwrap().real, 0, "the pass is new to this monitor");
    world.step(1);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
}

#[test]
fn a_helper_that_may_have_spoken_meanwhile_is_believed_to_have() {
    let mut world = World::in_job(TOTAL_NONE);
    world.alive();
    world.wait(s(5));
    restarted(&mut world, s(60), |_| {});
    world.edge_at("heartbeat", HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn what_is_left_of_a_lease_is_left_to_it() {
    let mut world = World::in_job(50);
    world.extend(s(20));
    world.poll();
    world.wait(s(8));
    assert_eq!(restarted(&mut world, s(60), |_| {}), Verdict::Ok);
    world.edge_at("heartbeat", s(12) + HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_lease_that_was_used_up_is_not_granted_again() {
    let mut world = World::in_job(50);
    world.extend(s(20));
    world.poll();
    world.wait(s(23));
    assert_eq!(restarted(&mut world, s(60), |_| {}), Verdict::Ok);
    world.edge_at("heartbeat", s(3), HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_lease_that_began_without_a_monitor_is_granted_from_its_first_sight() {
    let mut world = World::in_job(50);
    world.wait(s(5));
    restarted(&mut world, s(60), |world| world.extend(s(20)));
    world.edge_at("progress", s(20) + PROGRESS - s(5), PROGRESS, Verdict::Ok, Verdict::Stalled);
}

#[test]
fn a_stalled_workers_age_goes_on_though_it_beat_meanwhile() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.live(s(7), World::beat);
    restarted(&mut world, s(60), World::beat);
    world.edge_after("progress", s(3), PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
}

#[test]
fn a_phase_that_was_entered_meanwhile_is_not_the_marks() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.live(s(7), World::beat);
    restarted(&mut world, s(60), |world| {
        world.end_job();
        world.begin_job(50);
    });
    assert_eq!(world.seen().ages.progress.unwrap().real, 0, "a new job has no history");
}

#[test]
fn another_generations_words_are_no_history() {
    let mut world = World::in_job(50);
    world.wait(s(5));
    restarted(&mut world, s(60), |world| {
        world.claim();
        world.begin_job(50);
    });
    world.edge_at("heartbeat", HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn words_that_no_monitor_wrote_accuse_nobody() {
    let mut world = World::in_job(50);
    let former = Resume {
        beat: crate::layout::word::Beat(u64::MAX),
        beat_at: 0,
        epoch: crate::layout::word::Epoch(u64::MAX),
        mark: NO_PROGRESS,
        progress_at: 0,
        entry: 0,
    };
    assert_eq!(resume(&mut world, former, u64::MAX / 5), Verdict::Ok);
    assert_eq!(world.seen().ages.beat.real, 0);
}
