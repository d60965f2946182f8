//! What a slot's past does to its clocks: jobs, passes, phases and back, generations, borders, gaps.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::phase::Phase;
use crate::layout::slot::{NO_PROGRESS, TOTAL_NONE};
use crate::layout::word::Beat;
use std::time::Duration;

#[test]
fn a_new_job_restarts_both_clocks_and_the_mark() {
    let mut world = World::in_job(50);
    world.step(49);
    world.live(PROGRESS - NS, World::alive);
    world.begin_job(50);
    world.poll();
    assert_eq!(world.seen().ages.beat.real, 0);
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, World::beat);
    world.step(1);
    assert_eq!(world.poll(), Verdict::Ok, "1 is an advance: the mark of 49 was the last job's");
}

#[test]
fn a_pass_restarts_the_count_until_passes_are_too_many() {
    let mut world = World::in_job(50);
    world.policy.max_passes = 2;
    for _ in 0..=2 {
        world.step(50);
        world.poll();
        assert_eq!(world.live(PROGRESS - NS, World::beat), Verdict::Ok);
        world.begin_pass();
    }
    world.poll();
    assert_eq!(world.live(NS, World::beat), Verdict::Looping, "the third pass restarts nothing: it is a loop");
}

#[test]
fn a_pass_too_many_does_not_forgive_the_mark() {
    let mut world = World::in_job(50);
    world.policy.max_passes = 0;
    world.step(50);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Looping, |world| {
        world.begin_pass();
        world.step(49);
    });
    world.step(51);
    assert_eq!(world.poll(), Verdict::Ok, "past the mark is past it");
}

#[test]
fn a_phase_and_back_restores_the_mark_and_the_age_that_was_spent() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.live(s(6), World::beat);
    world.phase(Phase::Loading, 1 << 30);
    world.poll();
    world.live(s(60), |world| world.step(7));
    world.phase(Phase::Inference, TOTAL_NONE);
    world.poll();
    let ages = world.seen().ages;
    assert_eq!(ages.progress.unwrap().judged, 6_000_000_000, "the load's time is not inference's");
    world.step(21);
    assert_eq!(world.live(s(4) - NS, World::beat), Verdict::Ok);
    assert_eq!(world.live(NS, World::beat), Verdict::Stalled);
}

#[test]
fn what_a_lease_excused_stays_excused_across_a_phase_and_back() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.extend(s(20));
    world.poll();
    world.live(s(26), World::beat);
    world.phase(Phase::Loading, TOTAL_NONE);
    world.poll();
    world.phase(Phase::Inference, TOTAL_NONE);
    world.poll();
    let progress = world.seen().ages.progress.unwrap();
    assert_eq!((progress.real, progress.judged), (26_000_000_000, 6_000_000_000));
}

fn retries_through_loading(poll_at_return: impl Fn(&mut World)) -> Verdict {
    retries(|world| world.phase(Phase::Loading, 100), |world| world.phase(Phase::Inference, TOTAL_NONE), poll_at_return)
}

#[test]
fn a_retry_loop_through_loading_is_caught() {
    let seen = retries_through_loading(|world| {
        world.poll();
    });
    assert_eq!(seen, Verdict::Looping);
}

#[test]
fn a_retry_loop_is_a_loop_though_no_poll_saw_the_return_itself() {
    assert_eq!(retries_through_loading(|_| {}), Verdict::Looping);
}

#[test]
fn a_phase_and_back_between_two_polls_forgives_nothing() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, |world| {
        world.phase(Phase::Loading, TOTAL_NONE);
        world.phase(Phase::Inference, TOTAL_NONE);
    });
}

#[test]
fn a_fall_before_a_phase_is_still_known_after_it() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.step(5);
    world.step(21);
    world.poll();
    world.phase(Phase::Loading, 100);
    world.poll();
    world.phase(Phase::Inference, TOTAL_NONE);
    world.poll();
    assert_eq!(world.live(PROGRESS, World::beat), Verdict::Looping);
}

#[test]
fn falls_of_another_phase_are_not_inferences() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.phase(Phase::Loading, 100);
    for done in [9, 3] {
        world.step(done);
        world.poll();
    }
    world.phase(Phase::Inference, TOTAL_NONE);
    world.poll();
    assert_eq!(world.live(PROGRESS, World::beat), Verdict::Stalled);
}

#[test]
fn a_new_generation_has_no_history() {
    let mut world = World::in_job(50);
    world.step(21);
    assert_eq!(world.wait(s(100)), Verdict::Silent);
    world.claim();
    assert_eq!(world.poll(), Verdict::Ok);
    assert_eq!(world.seen().ages.claim.real, 0);
    world.begin_job(50);
    world.poll();
    world.edge("heartbeat", HEARTBEAT, Verdict::Ok, Verdict::Silent, |_| {});
}

#[test]
fn a_beat_of_another_generation_is_not_credited_nor_is_what_came_with_it() {
    let mut world = World::in_job(50);
    world.step(1);
    world.poll();
    let mut done = 1;
    world.live(HEARTBEAT, |world| {
        done += 1;
        let mut zombie = world.snapshot();
        let hot = zombie.hot.as_mut().unwrap();
        hot.beat = Beat(Beat::start(hot.owner.generation().wrapping_sub(1)).0 + done);
        (hot.progress, hot.total) = (done, 7);
        hot.alive = hot.beat;
        world.observe(&zombie);
        assert_eq!(world.seen().done, Some(1), "the words beside it may be its writer's");
        foreign(world, done);
    });
    assert_eq!(world.judged.unwrap().verdict, Verdict::Foreign, "nobody is signalled while a stranger writes");
    assert_eq!(world.wait(POLL), Verdict::Silent, "what the stranger wrote was nobody's sign of life");
    assert_eq!(world.seen().ages.heartbeat.judged, 7_000_000_000);
}

/// Leaves the zombie's words in the slot, so that the poll that follows reads them too.
fn foreign(world: &mut World, count: u64) {
    use std::sync::atomic::Ordering::Relaxed;
    let beat = Beat(Beat::start(world.owner().generation().wrapping_sub(1)).0 + count);
    world.slot.beat.store(beat.0, Relaxed);
    world.slot.alive.store(beat.0, Relaxed);
    world.slot.progress.store(count, Relaxed);
}

#[test]
fn only_a_foreign_beat_is_no_start() {
    let mut world = World::claimed();
    let budget = world.policy.starting_timeout;
    let mut count = 0;
    let beating = |world: &mut World| {
        count += 1;
        foreign(world, count);
    };
    assert_eq!(world.live(budget, beating), Verdict::Foreign);
    assert_eq!(world.wait(POLL), Verdict::NeverStarted, "it was no start");
}

#[test]
fn a_reading_at_a_border_harms_nothing() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.live(s(6), World::beat);
    let mut border = world.snapshot();
    let hot = border.hot.as_mut().unwrap();
    (hot.progress, hot.total) = (NO_PROGRESS, TOTAL_NONE);
    assert_eq!(world.observe(&border), Verdict::Ok);
    assert_eq!(world.poll(), Verdict::Ok);
    assert_eq!(world.seen().ages.progress.unwrap().judged, 6_000_000_000, "the mark and its age stand");
    world.edge_at("progress", s(4), PROGRESS, Verdict::Ok, Verdict::Stalled);
}

#[test]
fn a_border_before_the_first_step_spares_a_stall_one_poll_and_no_more() {
    let mut world = World::in_job(50);
    world.live(PROGRESS, World::beat);
    let mut border = world.snapshot();
    border.hot.as_mut().unwrap().total = TOTAL_NONE;
    assert_eq!(world.observe(&border), Verdict::Ok, "nobody's count accuses nobody");
    assert_eq!(world.poll(), Verdict::Stalled);
}

#[test]
fn a_gap_of_any_length_adds_two_intervals_at_most() {
    for gap in [s(3), s(3600), s(100 * 86_400)] {
        let mut world = World::in_job(50);
        world.now += gap;
        assert_eq!(world.poll(), Verdict::Ok);
        let ages = world.seen().ages;
        assert_eq!(ages.beat.real, 2_000_000_000, "a monitor that was away for {gap:?} accuses nobody of it");
        assert_eq!(world.wait(HEARTBEAT - 2 * POLL - NS), Verdict::Ok);
        assert_eq!(world.wait(NS), Verdict::Starved, "a monitor that was late suspects the machine first");
        assert_eq!(world.wait(POLL - NS), Verdict::Starved);
        assert_eq!(world.wait(NS), Verdict::Silent, "half of the late poll's time was excused, and no more");
    }
}

#[test]
fn a_gap_spends_no_more_of_a_lease_than_of_a_budget() {
    let mut world = World::in_job(50);
    world.extend(s(20));
    world.poll();
    world.now += s(3600);
    world.poll();
    assert_eq!(world.seen().lease_left, Some(18_000_000_000));
}

#[test]
fn detection_is_at_the_first_poll_with_the_age_and_never_before() {
    let mut world = World::in_job(50);
    world.now += Duration::from_millis(700);
    let verdicts: Vec<Verdict> = (0..8)
        .map(|_| {
            let verdict = world.poll();
            world.now += POLL;
            verdict
        })
        .collect();
    let first = verdicts.iter().position(|verdict| *verdict == Verdict::Silent);
    assert_eq!(first, Some(6), "polls at 0.7, 1.7 … 6.7 s: the first past 6 s");
}
