//! When nothing is said, though the rate is low; and that a warning does not flap.

use super::stage::*;
use crate::rate::Why;
use crate::snapshot::Process;

/// Past jobs at 10 units a second, and one that runs at 1.
fn slowing() -> Stage {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    stage.first().rate = 1.0;
    stage
}

#[test]
fn the_first_units_are_cold() {
    let mut stage = slowing();
    assert!(!stage.polls(5), "the first unit, two gaps, and five seconds");
    assert!(stage.polls(2));
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    // A first unit of ten minutes, as a compile takes, and the others as ever.
    stage.first().rate = 1.0 / 600.0;
    assert!(!stage.polls(600), "before the first unit there is no rate");
    stage.first().rate = 10.0;
    assert!(!stage.polls(60), "the cold unit is none of it");
}

#[test]
fn with_rare_polls_five_of_them_are_the_least_evidence() {
    let mut stage = slowing();
    stage.limits.poll_ns = 10 * S;
    assert!(!stage.polls(50));
    assert!(stage.polls(3));
}

#[test]
fn nothing_is_said_under_a_lease_and_what_it_covered_is_no_evidence() {
    let mut stage = slowing();
    assert!(stage.polls(30));
    stage.first().o.lease_left = Some(20 * S);
    assert!(!stage.polls(1), "from the poll on that sees the lease");
    let due = stage.first().follower.due();
    assert_eq!(due, Some(stage.now + 20 * S), "it is looked at again when the lease is over");
    let mut stage = Stage::solo(10.0);
    stage.polls(60);
    // Nothing for ten minutes, all of it leased, then a unit.
    for _ in 0..600 {
        stage.tick(false);
        let first = stage.first();
        first.rate = 0.0;
        first.work(S, S);
        first.o.lease_left = Some(S);
        let (actor, rates) = (&mut stage.actors[0], &mut stage.rates);
        assert_eq!(actor.show(stage.now, rates, &stage.limits), None);
    }
    (stage.first().rate, stage.first().o.lease_left) = (10.0, None);
    assert!(!stage.polls(60));
    assert!((stage.first().follower.rate().expect("a rate") - 10.0).abs() < 0.1, "the lease is no part of the rate");
}

#[test]
fn nothing_is_said_while_the_worker_is_stopped() {
    for process in [Process::Stopped, Process::Traced, Process::Frozen] {
        let mut stage = slowing();
        assert!(stage.polls(30));
        stage.first().o.probe.process = process;
        assert!(!stage.polls(60));
        stage.first().o.probe.process = Process::Running;
        assert!(stage.polls(30), "it goes on as slowly");
    }
}

#[test]
fn nothing_is_said_of_a_worker_that_waits_for_a_cpu() {
    let mut stage = slowing();
    for _ in 0..60 {
        // Of each second it waits for eight tenths: that would make it five times slower, and it is ten times.
        stage.first().starved += 8 * S / 10;
        assert!(!stage.polls(1));
    }
    assert!(stage.polls(30), "a delay that grows no more excuses nothing");
    let mut stage = slowing();
    stage.first().rate = 0.1;
    let slow = (0..60).any(|_| {
        stage.first().starved += 8 * S / 10;
        stage.polls(1)
    });
    assert!(slow, "what it was not given does not explain a hundredth");
}

#[test]
fn a_stop_that_only_the_age_shows_is_no_evidence() {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    for second in 0..120 {
        stage.tick(false);
        let (actor, rates) = (&mut stage.actors[0], &mut stage.rates);
        // Nine of ten seconds are excused; whoever excused them is gone when it is looked at.
        let excused = second % 10 != 0;
        actor.rate = if excused { 0.0 } else { 10.0 };
        actor.work(S, if excused { S } else { 0 });
        assert_eq!(actor.show(stage.now, rates, &stage.limits), None);
    }
}

#[test]
fn a_gap_judges_nobody_and_what_was_counted_across_it_is_no_evidence() {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    stage.polls(20);
    let before = stage.first().follower.rate();
    for _ in 0..30 {
        stage.tick(true);
        let (actor, rates) = (&mut stage.actors[0], &mut stage.rates);
        // The monitor slept for six minutes; its clock shows a second.
        actor.rate = 3_600.0;
        actor.work(S, 0);
        assert_eq!(actor.show(stage.now, rates, &stage.limits), None);
    }
    assert_eq!(stage.first().follower.rate(), before, "six minutes' units are not a second's");
    stage.first().rate = 1.0;
    assert!(stage.polls(30));
    let said = stage.first().said;
    stage.tick(true);
    let (actor, rates) = (&mut stage.actors[0], &mut stage.rates);
    actor.work(S, 0);
    assert_eq!(actor.show(stage.now, rates, &stage.limits), said, "what was said stands");
    assert_eq!(actor.follower.due(), Some(stage.now + 1), "until the next poll");
}

#[test]
fn a_job_that_has_done_its_last_unit_is_not_slow_however_long_its_tail() {
    let mut stage = slowing();
    stage.first().o.total = Some(30);
    stage.polls(29);
    assert_eq!(stage.first().why(), Some(Why::Own));
    assert!(!stage.polls(1), "30 of 30");
    assert_eq!(stage.rates.held().1, 0, "nor is it a measure of others");
    assert!(!stage.polls(1000));
    let first = stage.first();
    assert_eq!((first.follower.eta(&first.o), first.follower.due()), (Some(0.0), None));
}

#[test]
fn a_rate_that_wavers_about_the_threshold_is_one_warning() {
    let mut stage = slowing();
    stage.polls(30);
    let mut changes = 0;
    let mut slow = true;
    for i in 0..600 {
        // A third of what is expected is 3.33.
        stage.first().rate = if i / 20 % 2 == 0 { 3.0 } else { 3.7 };
        stage.polls(1);
        changes += u32::from(slow != stage.first().said.is_some());
        slow = stage.first().said.is_some();
    }
    assert_eq!((changes, slow), (0, true), "slow is slow until half-way back");
    stage.first().rate = 7.0;
    stage.polls(30);
    assert_eq!(stage.first().said, None, "two thirds of what is expected are half-way back");
}

#[test]
fn a_worker_that_falls_back_does_not_advance_until_it_passes_its_mark() {
    let mut stage = Stage::solo(10.0);
    stage.jobs(5);
    stage.polls(30);
    let mut slow = false;
    for done in 0..30 {
        stage.first().rate = 0.0;
        stage.polls(1);
        stage.tick(false);
        let (actor, rates) = (&mut stage.actors[0], &mut stage.rates);
        actor.work(S, 0);
        (actor.o.fell_back, actor.o.done) = (true, Some(10 * done));
        slow |= actor.show(stage.now, rates, &stage.limits).is_some();
    }
    assert!(slow, "units that were done before are no advance");
}
