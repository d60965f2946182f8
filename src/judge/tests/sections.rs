//! Sections that nest: each has its own count and budget, and the one around it goes on with what it had left.

use super::world::*;
use crate::judge::Verdict;
use crate::layout::phase::Phase;
use crate::layout::slot::TOTAL_NONE;
use crate::policy::Policy;

/// Inference at 21 of 50, six of its ten seconds spent.
fn six_spent() -> World {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.live(s(6), World::beat);
    world
}

/// Only what was spent of inference's progress budget counts: 4 s more, to the nanosecond, and it is stalled.
#[track_caller]
fn four_are_left(world: &mut World, at: Verdict) {
    assert_eq!(world.seen().ages.progress.unwrap().judged, 6_000_000_000, "the section's time is not inference's");
    assert_eq!(world.live(s(4) - NS, World::beat), Verdict::Ok);
    assert_eq!(world.live(NS, World::beat), at);
}

#[test]
fn a_section_that_ends_gives_the_one_around_it_its_spent_age_back() {
    let mut world = six_spent();
    world.enter(Phase::Loading, 100);
    world.poll();
    world.live(s(60), |world| world.step(7));
    world.leave();
    world.poll();
    world.step(21);
    four_are_left(&mut world, Verdict::Stalled);
}

#[test]
fn every_level_gets_its_own_age_back() {
    let mut world = six_spent();
    let mut spent = vec![6];
    for (depth, phase) in [Phase::Loading, Phase::Compiling, Phase::Downloading, Phase::Loading].into_iter().enumerate() {
        world.enter(phase, 100);
        world.poll();
        world.step(5);
        world.poll();
        world.live(s(depth as u64 + 1), World::beat);
        spent.push(depth as u64 + 1);
    }
    while spent.len() > 1 {
        spent.pop();
        world.leave();
        world.poll();
        let progress = world.seen().ages.progress.unwrap().judged;
        assert_eq!(progress, 1_000_000_000 * spent.last().unwrap(), "at depth {}", spent.len() - 1);
    }
    four_are_left(&mut world, Verdict::Stalled);
}

#[test]
fn a_section_has_the_budget_of_its_phase_and_its_own_count() {
    let budget = Policy::default().loading_timeout;
    for total in [TOTAL_NONE, 100] {
        let mut world = six_spent();
        world.enter(Phase::Loading, total);
        world.poll();
        assert_eq!(world.seen().done, None);
        world.edge("phase", budget, Verdict::Ok, Verdict::Overdue, |_| {});
    }
}

#[test]
fn an_outer_phase_has_what_its_budget_and_its_limit_had_left() {
    let policy = Policy::default();
    let (budget, limit) = (policy.loading_timeout, policy.phase_limit(policy.loading_timeout));
    let mut world = World::in_phase(Phase::Loading);
    world.phase(Phase::Loading, 100);
    world.poll();
    world.step(1);
    world.poll();
    world.wait(budget - s(5));
    world.enter(Phase::Compiling, TOTAL_NONE);
    world.poll();
    world.live(s(300), World::beat);
    world.leave();
    world.poll();
    assert_eq!(world.live(s(5) - NS, World::beat), Verdict::Ok, "a beat is no progress of a load that counts");
    assert_eq!(world.live(NS, World::beat), Verdict::Overdue);

    let mut world = World::in_phase(Phase::Loading);
    let mut rounds = 0;
    while world.wait(s(60)) == Verdict::Ok && rounds < 100 {
        rounds += 1;
        world.enter(Phase::Compiling, TOTAL_NONE);
        world.poll();
        world.leave();
        world.beat();
        world.poll();
    }
    let spent = world.judged.unwrap().spent.expect("what proves it");
    assert_eq!((spent.clock, world.judged.unwrap().verdict), ("max_phase", Verdict::Overdue));
    assert!(s(60) * rounds < limit && s(60) * (rounds + 2) > limit, "a load of many sections is one load: {rounds} rounds");
}

#[test]
fn a_section_and_back_between_two_polls_forgives_nothing() {
    let mut world = World::in_job(50);
    world.step(21);
    world.poll();
    world.edge("progress", PROGRESS, Verdict::Ok, Verdict::Stalled, |world| {
        for _ in 0..5000 {
            world.enter(Phase::Loading, TOTAL_NONE);
            world.leave();
        }
    });
}

#[test]
fn a_section_whose_beginning_or_end_no_poll_saw_forgives_nothing() {
    let mut world = six_spent();
    world.enter(Phase::Loading, 100);
    world.poll();
    // Three others, of which a poll sees one: their ages are nobody's.
    world.leave();
    world.enter(Phase::Loading, 100);
    world.enter(Phase::Compiling, TOTAL_NONE);
    world.poll();
    assert_eq!(world.seen().ages.phase.real, 0);
    world.leave();
    world.leave();
    world.enter(Phase::Loading, 100);
    world.poll();
    world.leave();
    world.poll();
    world.step(21);
    four_are_left(&mut world, Verdict::Stalled);
}

fn retries_through_a_section(poll_at_return: impl Fn(&mut World)) -> Verdict {
    retries(|world| world.enter(Phase::Loading, 100), |world| world.leave(), poll_at_return)
}

#[test]
fn a_retry_loop_through_a_section_is_caught_whether_or_not_a_poll_sees_the_return() {
    let seen = retries_through_a_section(|world| {
        world.poll();
    });
    assert_eq!([seen, retries_through_a_section(|_| {})], [Verdict::Looping; 2]);
}

#[test]
fn falls_within_a_section_are_not_those_of_the_one_around_it() {
    let mut world = six_spent();
    world.enter(Phase::Loading, 100);
    for done in [9, 3] {
        world.step(done);
        world.poll();
    }
    world.leave();
    world.poll();
    four_are_left(&mut world, Verdict::Stalled);
    let mut world = six_spent();
    world.step(5);
    world.poll();
    world.enter(Phase::Loading, 100);
    world.poll();
    world.leave();
    world.step(21);
    world.poll();
    four_are_left(&mut world, Verdict::Looping);
}

#[test]
fn an_inference_within_another_counts_for_itself() {
    let mut world = six_spent();
    world.enter(Phase::Inference, 4);
    world.poll();
    assert_eq!(world.live(PROGRESS - NS, World::beat), Verdict::Ok, "the mark of 21 is the outer one's");
    world.step(1);
    assert_eq!(world.poll(), Verdict::Ok);
    assert_eq!(world.live(s(3), World::beat), Verdict::Ok);
    world.leave();
    world.poll();
    four_are_left(&mut world, Verdict::Stalled);
}

#[test]
fn a_phase_out_of_a_section_and_back_to_inference_restores_its_age() {
    let mut world = six_spent();
    world.enter(Phase::Loading, 100);
    world.poll();
    world.phase(Phase::PostProcessing, TOTAL_NONE);
    world.poll();
    world.live(s(20), World::beat);
    world.phase(Phase::Inference, TOTAL_NONE);
    world.poll();
    four_are_left(&mut world, Verdict::Stalled);
}

#[test]
fn a_job_a_pass_and_another_entry_of_the_phase_begin_with_no_age() {
    let begins: [fn(&mut World); 3] = [
        |world| world.begin_job(50),
        |world| {
            world.begin_pass();
            world.leave();
        },
        |world| {
            world.leave();
            world.enter(Phase::Loading, 100);
        },
    ];
    for (i, begin) in begins.into_iter().enumerate() {
        let mut world = six_spent();
        world.enter(Phase::Loading, 100);
        world.poll();
        world.live(s(9), World::beat);
        begin(&mut world);
        world.poll();
        let ages = world.seen().ages;
        assert_eq!(ages.progress.map(|age| age.real), Some(0), "beginning {i}");
    }
}

#[test]
fn a_deadline_runs_through_every_section() {
    let mut world = World::claimed();
    world.info.deadline_ns = 30_000_000_000;
    world.begin_job(50);
    world.poll();
    world.enter(Phase::Compiling, TOTAL_NONE);
    world.poll();
    world.edge("deadline", s(30), Verdict::Ok, Verdict::Overdue, World::beat);
}
