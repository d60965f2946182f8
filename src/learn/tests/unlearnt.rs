//! What is never learnt, and what excuses.

use super::world::*;
use crate::learn::{Follower, Part, Row};
use crate::snapshot::Process;

#[test]
fn a_gap_in_which_an_acting_episode_opened_is_not_learnt() {
    let mut world = World::denoising();
    world.steps(10, 2);
    world.wait(3);
    world.follower.episode();
    world.wait(3);
    world.advance();
    world.poll();
    assert_eq!(world.samples(Part::Rest), 10);
    world.steps(1, 2);
    assert_eq!(world.samples(Part::Rest), 11, "the next one is");
}

#[test]
fn a_gap_under_a_lease_is_not_learnt_and_spends_nothing() {
    for polls in [1, 90] {
        let mut world = World::denoising();
        world.steps(40, 3);
        world.lease(100_000);
        assert!(!world.wait(polls), "under the lease");
        world.advance();
        world.poll();
        assert_eq!(world.samples(Part::Rest), 40, "after {polls} polls");
    }
}

#[test]
fn a_worker_that_is_stopped_traced_or_frozen_is_not_suspected_and_its_gap_is_not_learnt() {
    for process in [Process::Stopped, Process::Traced, Process::Frozen] {
        for polls in [1, 90] {
            let mut world = World::denoising();
            world.steps(40, 3);
            world.process = process;
            assert!(!world.wait(polls), "{process:?}");
            world.process = Process::Running;
            world.advance();
            world.poll();
            assert_eq!(world.samples(Part::Rest), 40, "{process:?} for {polls} polls");
        }
    }
}

#[test]
fn a_gap_in_which_a_poll_was_more_than_a_second_late_is_not_learnt() {
    let mut world = World::denoising();
    world.steps(10, 2);
    world.poll_after(2 * POLL + 1);
    world.advance();
    world.poll();
    assert_eq!(world.samples(Part::Rest), 10);
    world.steps(1, 2);
    world.poll_after(2 * POLL - 1);
    world.advance();
    world.poll();
    assert_eq!(world.samples(Part::Rest), 12, "less is what polls are");
}

#[test]
fn a_gap_in_which_the_machine_was_suspended_is_not_learnt() {
    let mut world = World::denoising();
    world.steps(10, 2);
    world.suspended += 3600 * S;
    world.poll();
    world.advance();
    world.poll();
    assert_eq!(world.samples(Part::Rest), 10);
}

#[test]
fn the_poll_after_a_gap_suspects_nobody_and_the_next_one_does() {
    let mut world = World::denoising();
    world.steps(40, 2);
    let mut before = 0;
    while !world.poll() {
        before += 1;
    }
    world.advance();
    world.poll();
    world.wait(before - 1);
    assert!(!world.poll_after(100 * POLL), "nobody is judged by a poll that came too late");
    assert!(world.poll());
}

#[test]
fn what_began_before_anybody_looked_is_timed_and_not_learnt() {
    let mut world = World::denoising();
    world.steps(40, 2);
    world.follower = Follower::default();
    world.poll();
    world.steps(1, 2);
    assert_eq!(world.samples(Part::Rest), 40);
    world.steps(1, 2);
    assert_eq!(world.samples(Part::Rest), 41);
}

#[test]
fn a_successor_of_the_monitor_goes_on_with_the_silence_that_it_finds() {
    let mut world = World::denoising();
    world.steps(40, 2);
    let whole = world.polls_until_suspect();
    world.advance();
    world.poll();
    world.wait(whole - 2);
    world.follower = Follower::default();
    assert!(!world.poll());
    assert!(world.poll(), "the age is the track's, and that goes on");
}

#[test]
fn a_gap_that_ends_with_its_worker_is_not_learnt_and_another_owner_has_no_history() {
    let mut world = World::denoising();
    world.steps(10, 2);
    world.claim_anew();
    world.poll();
    assert_eq!(world.samples(Part::Rest), 10, "nobody saw it end");
    world.wait(5);
    world.begin_job(DENOISE, 3);
    world.poll();
    let start = |row: &&Row| row.key.phase == "starting" && row.key.part == Part::First && !row.key.is_summary();
    let start = world.learnt.rows().iter().find(start).cloned().expect("a start");
    assert!(start.watched >= 5 * S, "the new worker's start was seen whole");
    world.advance();
    world.poll();
    assert_eq!(world.samples(Part::Cold), 2, "and it has met no shape");
}

#[test]
fn waiting_for_a_cpu_is_not_silence_but_a_quarter_of_it_always_counts() {
    let mut world = World::denoising();
    world.run_delay = Some(0);
    world.steps(40, 2);
    let mut alike = World::denoising();
    alike.run_delay = Some(0);
    alike.steps(40, 2);
    let without = alike.polls_until_suspect();
    let mut polls = 0;
    let with = loop {
        world.run_delay = world.run_delay.map(|waited| waited + POLL);
        polls += 1;
        if world.poll() {
            break polls;
        }
    };
    assert!((4 * without - 3..=4 * without + 3).contains(&with), "{with} against {without}");
}

#[test]
fn past_the_ceiling_no_run_delay_excuses() {
    let mut world = World::denoising();
    world.run_delay = Some(0);
    world.steps(40, 25);
    let mut polls = 0;
    while !world.poll() {
        world.run_delay = world.run_delay.map(|waited| waited + POLL);
        polls += 1;
    }
    assert!(polls <= 62, "{polls}");
}

#[test]
fn what_was_waited_before_the_gap_is_not_the_gaps() {
    let mut world = World::denoising();
    world.run_delay = Some(0);
    world.steps(400, 2);
    let mut alike = World::denoising();
    alike.run_delay = Some(0);
    alike.steps(400, 2);
    let without = alike.polls_until_suspect();
    world.poll();
    world.run_delay = Some(4 * S);
    let with = 1 + world.polls_until_suspect();
    assert!(with <= without + 1, "four seconds in eight hundred are hundredths of a second in two: {with} against {without}");
}

#[test]
fn acting_doubles_a_threshold_until_a_gap_of_its_key_completes() {
    let mut world = World::denoising();
    world.steps(40, 3);
    let usual = world.polls_until_suspect();
    for factor in [2, 4, 8] {
        world.follower.acted(&mut world.learnt);
        world.begin_again();
        let now = world.polls_until_suspect();
        assert!((factor * (usual - 1)..=factor * usual).contains(&now), "{now} against {usual}");
    }
    world.advance();
    world.poll();
    world.steps(1, 3);
    assert!(world.polls_until_suspect() <= usual + 1, "one gap that completes is enough");
}

#[test]
fn a_suspicion_may_be_acted_on_only_after_the_threshold_once_more() {
    let mut world = World::denoising();
    world.steps(40, 3);
    let first = world.polls_until_suspect();
    assert!(!world.suspicion.as_ref().unwrap().may_act());
    let more = (1..100).find(|_| world.poll() && world.suspicion.as_ref().unwrap().may_act()).unwrap();
    assert!((first - 1..=first).contains(&more), "{more} after {first}");
    assert_eq!(world.follower.due(), None, "nothing more can come of it");
}

#[test]
fn a_first_meeting_of_a_shape_is_suspected_early_and_acted_on_five_minutes_later() {
    let mut world = World::new();
    for size in 0..40 {
        world.info.size = 512 + size;
        world.begin_job(DENOISE, 10);
        world.poll();
        world.advance();
        world.poll();
    }
    world.info.size = 777;
    world.begin_job(DENOISE, 10);
    world.poll();
    assert_eq!(world.polls_until_suspect(), 4);
    let more = (1..1000).find(|_| world.poll() && world.suspicion.as_ref().unwrap().may_act()).unwrap();
    assert_eq!(more, 300, "a compiler whose cache was thrown away would be killed and begin again");
}
