//! What a job is slow against: its own past, its peers, a floor.

use super::stage::*;
use crate::layout::phase::Phase;
use crate::layout::word::{Kind, Owner, Tag};
use crate::rate::{RateFollower, Why};

/// A worker with a past of five jobs at 10 units a second.
fn experienced() -> Stage {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    stage
}

#[test]
fn a_job_is_slow_below_a_third_of_its_past_and_not_above() {
    for (rate, slow) in [(10.0, false), (5.0, false), (3.6, false), (3.1, true), (1.0, true), (0.1, true)] {
        let mut stage = experienced();
        stage.first().rate = rate;
        assert_eq!(stage.polls(60), slow, "at {rate} of 10 units a second");
        if slow {
            let said = stage.first().said.expect("still");
            assert_eq!(said.why, Why::Own);
            assert!((said.expected - 10.0).abs() < 0.1 && (said.rate - rate).abs() < 0.1 * rate, "{said:?}");
        }
    }
}

#[test]
fn a_slowdown_that_lasts_five_jobs_is_slow_in_the_fifth_and_in_the_fiftieth() {
    let mut stage = experienced();
    stage.first().rate = 1.0;
    for job in 1..=50 {
        assert!(stage.polls(60), "job {job}: what lasts is no reason to be silent");
        stage.first().next_job();
    }
}

#[test]
fn a_job_that_took_a_tenth_of_a_second_a_unit_and_takes_five_is_slow_before_the_second_of_them_ends() {
    for mut stage in [experienced(), Stage::solo(10.0)] {
        stage.polls(600);
        stage.first().rate = 0.2;
        assert!(!stage.polls(5), "one long unit may be a hiccup");
        assert!(stage.polls(4), "nine seconds and one unit are slow, and the second is not done yet");
    }
}

#[test]
fn a_job_of_long_steps_is_slow_in_the_middle_of_one() {
    let mut stage = Stage::solo(0.2);
    stage.jobs(4);
    stage.polls(30);
    stage.first().rate = 0.002;
    assert!(!stage.polls(20), "four of its steps: the fifth may be a long one");
    let due = stage.first().follower.due().expect("it wants to be seen without a change");
    stage.polls((due - stage.now).div_ceil(S));
    assert_eq!(stage.first().why(), Some(Why::Own), "no step has ended since");
}

#[test]
fn a_job_is_slow_below_the_median_of_three_peers_that_work_now() {
    let mut stage = Stage::at(&[1.0, 10.0, 9.0, 11.0]);
    assert!(stage.polls(15));
    let said = stage.first().said.expect("slow");
    assert_eq!(said.why, Why::Peers);
    assert!((said.expected - 10.0).abs() < 0.5, "{said:?}");
    assert!(stage.actors[1..].iter().all(|actor| actor.said.is_none()), "the others are not slow for that");
    let mut stage = Stage::at(&[1.0, 10.0, 9.0]);
    assert!(!stage.polls(15), "two others are no measure");
}

#[test]
fn workers_that_slow_down_together_are_slow_against_their_past_and_not_against_each_other() {
    let mut stage = Stage::at(&[10.0; 5]);
    stage.jobs(5);
    stage.actors.iter_mut().for_each(|actor| actor.rate = 1.0);
    stage.polls(60);
    assert!(stage.actors.iter().all(|actor| actor.why() == Some(Why::Own)), "{:?}", stage.first().said);
    let mut stage = Stage::at(&[1.0; 5]);
    assert!(!stage.polls(60), "without a past there is nothing that says so");
}

#[test]
fn a_peer_that_died_or_stands_still_is_no_measure_for_long() {
    let mut stage = Stage::at(&[1.0, 10.0, 10.0, 10.0]);
    assert!(stage.polls(10));
    stage.actors.truncate(3);
    stage.polls(60);
    assert_eq!(stage.first().said, None, "one of the three was never told to leave its seat");
    let mut stage = Stage::at(&[1.0, 10.0, 10.0, 10.0]);
    stage.polls(6);
    // The next worker in the slot of the third peer takes its seat away.
    let mut next = super::stage::Actor::new(3, 10.0);
    next.o.owner = Owner::new(2, Tag::Live, Kind::Worker, 5000);
    stage.actors[3] = next;
    stage.polls(1);
    assert_eq!(stage.rates.held().1, 3);
}

#[test]
fn a_job_under_the_floor_is_slow_with_no_past_and_no_peers() {
    // One percent a minute of 6000 units is a unit a second.
    for (rate, slow) in [(1.1, false), (0.9, true)] {
        let mut stage = Stage::solo(rate);
        (stage.limits.floor, stage.first().o.total) = (1.0, Some(6000));
        assert_eq!(stage.polls(120), slow, "at {rate} units a second");
        assert_eq!(stage.first().why(), slow.then_some(Why::Floor));
    }
}

#[test]
fn there_is_no_floor_and_no_eta_where_the_total_is_not_known() {
    let mut stage = Stage::solo(0.01);
    (stage.limits.floor, stage.first().o.total) = (1.0, None);
    assert!(!stage.polls(1000));
    let first = stage.first();
    assert!((first.follower.rate().expect("a rate") - 0.01).abs() < 0.001);
    assert_eq!(first.follower.eta(&first.o), None);
}

#[test]
fn the_eta_is_what_is_left_at_the_rate_of_now() {
    let mut stage = experienced();
    stage.first().o.total = Some(1000);
    stage.polls(50);
    let (first, now) = (stage.first().clone(), stage.now);
    assert!((first.follower.eta(&first.o).expect("known") - 50.0).abs() < 1.0, "at {now}");
    stage.first().rate = 1.0;
    stage.polls(40);
    let first = stage.first();
    let said = first.said.expect("slow");
    let left = 1000.0 - first.o.done.expect("progress") as f64;
    assert!((said.eta_s.expect("known") - left / said.rate).abs() < 1e-6);
    assert!(said.eta_s.expect("known") > 300.0, "of 460 units at one a second: {said:?}");
}

/// Whether 1 unit a second is slow for another job than those of the past, which did 10.
fn slow_against_the_past(other: impl FnOnce(&mut super::stage::Actor)) -> bool {
    let mut stage = experienced();
    stage.first().rate = 1.0;
    other(stage.first());
    // Fewer than the gaps after which a job is its own measure.
    stage.polls(15)
}

#[test]
fn a_rate_is_compared_with_its_like_only() {
    fn about(actor: &mut Actor, about: impl FnOnce(&mut crate::layout::info::Info)) {
        *actor = actor.clone().about(about);
    }
    assert!(slow_against_the_past(|_| {}), "the same model, phase and size");
    assert!(slow_against_the_past(|actor| about(actor, |info| info.batch = 1)), "one is what a job is that says nothing");
    assert!(!slow_against_the_past(|actor| about(actor, |info| info.model = "flux".into())));
    assert!(!slow_against_the_past(|actor| about(actor, |info| info.model.clear())), "a model that nobody names is none");
    assert!(!slow_against_the_past(|actor| about(actor, |info| info.size = 4096)));
    assert!(!slow_against_the_past(|actor| about(actor, |info| info.batch = 8)), "eight images at once take longer a step");
    assert!(!slow_against_the_past(|actor| about(actor, |info| info.device = 1)), "another card has a past of its own");
    assert!(!slow_against_the_past(|actor| actor.o.phase = Phase::PostProcessing));
    assert!(!slow_against_the_past(|actor| actor.o.total = None), "tokens are not steps");
    assert!(!slow_against_the_past(|actor| actor.o.info = None));
}

#[test]
fn a_later_pass_has_a_past_of_its_own() {
    let mut stage = Stage::solo(10.0);
    for _ in 0..4 {
        for rate in [10.0, 2.0] {
            stage.first().rate = rate;
            assert!(!stage.polls(60), "a second pass at higher resolution is slower, and every job has one");
            stage.first().next_pass();
        }
        stage.first().next_job();
    }
    stage.first().rate = 2.0;
    assert!(stage.polls(30), "in the first pass it would be slow");
}

#[test]
fn a_job_that_was_cut_short_by_its_workers_death_teaches_nothing() {
    let mut stage = Stage::solo(10.0);
    for generation in 2..9 {
        stage.polls(60);
        let first = stage.first();
        first.next_job();
        first.o.owner = Owner::new(generation, Tag::Live, Kind::Worker, 4821);
    }
    assert_eq!(stage.rates.held().0, 0);
    stage.jobs(1);
    stage.polls(1);
    assert_eq!(stage.rates.held().0, 1, "one that ended by itself does");
    let first = stage.first();
    (first.follower, first.rate) = (RateFollower::new(), 1.0);
    assert!(!stage.polls(15), "one job is no past");
}

#[test]
fn a_standstill_is_slow_and_is_not_taken_for_the_rate_of_the_job() {
    let mut stage = experienced();
    stage.polls(30);
    stage.first().rate = 0.0;
    assert!(stage.polls(60));
    stage.first().next_job();
    stage.first().rate = 10.0;
    stage.polls(30);
    stage.first().rate = 3.1;
    assert!(stage.polls(60), "what is expected has not moved");
}
