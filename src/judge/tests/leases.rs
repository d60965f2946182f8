//! Leases: what they suspend, what ends them, and how much of them there is.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;

fn leased(lease: std::time::Duration) -> World {
    let mut world = World::in_job(50);
    world.step(1);
    world.poll();
    world.extend(lease);
    assert_eq!(world.poll(), Verdict::Ok);
    world
}

#[test]
fn a_lease_suspends_the_heartbeat_until_it_expires() {
    leased(s(20)).edge_at("heartbeat", s(20) + HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_lease_suspends_the_progress_clock() {
    let mut world = leased(s(20));
    assert_eq!(world.live(s(20) + PROGRESS - NS, World::beat), Verdict::Ok);
    assert_eq!(world.live(NS, World::beat), Verdict::Stalled);
    let progress = world.seen().ages.progress.unwrap();
    assert_eq!(progress.real - progress.judged, 20_000_000_000, "what was excused is the lease");
}

#[test]
fn a_lease_suspends_a_phases_budget_and_its_limit() {
    let mut world = World::in_phase(Phase::Safety);
    world.extend(s(20));
    world.poll();
    world.edge_at("phase", s(20 + 60), s(60), Verdict::Ok, Verdict::Overdue);
    let mut world = World::in_phase(Phase::Safety);
    world.extend(s(20));
    world.poll();
    assert_eq!(world.live(s(20 + 600) - NS, World::beat), Verdict::Ok);
    assert_eq!(world.live(NS, World::beat), Verdict::Overdue);
}

#[test]
fn a_lease_of_nothing_ends_the_one_before() {
    let mut world = leased(s(20));
    world.wait(s(3));
    world.extend(s(0));
    world.poll();
    assert_eq!(world.seen().lease_left, None);
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_phase_change_ends_a_lease() {
    let mut world = leased(s(20));
    world.phase(Phase::Safety, TOTAL_NONE);
    world.poll();
    world.edge("phase", s(60), Verdict::Ok, Verdict::Overdue, |_| {});
}

#[test]
fn the_end_of_a_job_ends_a_lease() {
    let mut world = leased(s(20));
    world.end_job();
    world.begin_job(50);
    world.poll();
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn progress_past_the_mark_ends_a_lease_and_progress_at_it_does_not() {
    let mut world = leased(s(20));
    world.step(1);
    world.poll();
    assert_eq!(world.seen().lease_left, Some(20_000_000_000));
    world.step(2);
    world.poll();
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_lease_taken_right_after_a_step_is_in_force_though_one_poll_saw_both() {
    let mut world = World::in_job(50);
    world.step(25);
    world.extend(s(20));
    world.poll();
    world.edge_at("heartbeat", s(20) + HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_lease_taken_right_after_a_phase_change_is_in_force_too() {
    let mut world = leased(s(20));
    world.phase(Phase::Safety, TOTAL_NONE);
    world.extend(s(20));
    world.poll();
    world.edge_at("phase", s(20 + 60), s(60), Verdict::Ok, Verdict::Overdue);
}

#[test]
fn the_newest_lease_replaces_the_one_before() {
    let mut world = leased(s(20));
    world.wait(s(5));
    world.extend(s(3));
    world.poll();
    world.edge_at("heartbeat", s(3) + HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn a_lease_is_clamped_to_the_longest() {
    leased(s(100_000_000)).edge_at("heartbeat", s(30) + HEARTBEAT, HEARTBEAT, Verdict::Ok, Verdict::Silent);
}

#[test]
fn leases_between_two_advances_are_clamped_in_sum() {
    let mut world = leased(s(30));
    world.wait(s(30));
    world.extend(s(30));
    world.poll();
    assert_eq!(world.seen().lease_left, Some(15_000_000_000), "45 s in sum, 30 of them used");
    world.wait(s(15));
    world.extend(s(30));
    world.poll();
    assert_eq!(world.seen().lease_left, None, "nothing is left of the sum");
    world.step(2);
    world.poll();
    world.extend(s(30));
    world.poll();
    assert_eq!(world.seen().lease_left, Some(30_000_000_000), "an advance allows leases anew");
}

#[test]
fn what_of_a_lease_was_not_used_is_not_in_the_sum() {
    let mut world = leased(s(30));
    for _ in 0..10 {
        world.wait(s(1));
        world.extend(s(30));
        world.poll();
    }
    assert_eq!(world.seen().lease_left, Some(30_000_000_000), "10 s were used of ten leases");
    for phase in [Phase::Loading, Phase::Safety, Phase::Loading] {
        world.phase(phase, TOTAL_NONE);
        world.extend(s(30));
        world.poll();
    }
    assert_eq!(world.seen().lease_left, Some(30_000_000_000), "a lease that a phase change ended gives back what it had left");
}

#[test]
fn a_policy_without_leases_honours_none() {
    let mut world = World::in_job(50);
    world.policy.max_lease = s(0);
    world.extend(s(20));
    world.poll();
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}
