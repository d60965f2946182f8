//! All frozen together, and one alone.

use super::stage::*;
use crate::judge::{Severity, Verdict};
use crate::layout::phase::Phase;
use crate::layout::word::Kind;

fn workers(n: usize) -> Stage {
    let hands = (0..n).map(|_| {
        let mut hand = Hand::new("sdxl", "w");
        hand.begin_job(50);
        hand
    });
    Stage::new(hands.collect(), policy())
}

#[test]
fn eight_that_freeze_together_are_one_event_and_one_that_freezes_alone_is_none() {
    let mut stage = workers(8);
    let found = stage.live(11, |_, _| {});
    assert!(found.iter().all(|f| f.all_frozen.is_none()), "before process_timeout nobody suspects the host");
    let found = stage.live(30, |_, _| {});
    assert_eq!(found.iter().filter_map(|f| f.all_frozen).collect::<Vec<_>>(), [8], "one event about the host");
    assert!(found.last().is_some_and(|f| f.is_frozen), "and it stands");
    let mut stage = workers(8);
    let found = stage.live(40, |hands, second| hands[1..].iter_mut().for_each(|hand| hand.step(second)));
    assert!(found.iter().all(|f| f.all_frozen.is_none()));
    assert_eq!(stage.verdict(0), Some(Verdict::Silent));
    assert!((1..8).all(|index| stage.verdict(index) == Some(Verdict::Ok)));
}

#[test]
fn it_never_makes_a_slot_act_before_its_own_budget() {
    let mut stage = workers(3);
    let found = stage.live(19, |_, _| {});
    assert!(found.iter().any(|f| f.is_frozen));
    let acting = |f: &crate::engine::Findings| f.judged.iter().any(|judged| judged.judgement.severity == Severity::Acting);
    assert!(!found.iter().any(acting), "a budget is a promise to the worker");
}

#[test]
fn workers_that_stall_together_while_a_helper_beats_are_frozen_when_the_first_budget_is_near() {
    let mut stage = workers(4);
    let found = stage.live(31, |hands, _| hands.iter_mut().for_each(Hand::alive));
    let first_acting = found.iter().position(|f| f.judged.iter().any(|judged| judged.opened_acting)).expect("they stall");
    assert!(found[first_acting].is_frozen, "a driver that stalls them all is the host's");
}

#[test]
fn one_that_moves_is_idle_or_has_leave_to_be_silent_says_that_the_host_is_well() {
    for spare in 0..4 {
        let mut stage = workers(3);
        let found = stage.live(40, |hands, second| match (spare, second) {
            (0, _) => hands[2].step(second),
            (1, 0) => hands[2].extend(600),
            (2, 0) => hands[2].enter(Phase::Compiling, 0),
            (3, 0) => hands[1..].iter_mut().for_each(Hand::end_job),
            _ => {}
        });
        assert!(found.iter().all(|f| f.all_frozen.is_none()), "case {spare}");
    }
}

#[test]
fn a_slot_that_is_given_back_is_no_frozen_worker() {
    let mut stage = workers(2);
    stage.live(15, |_, _| {});
    stage.hands[1].leave();
    let found = stage.live(2, |_, _| {});
    assert!(!found.last().is_some_and(|f| f.is_frozen), "one worker is not all workers");
}

/// Each beside its GPU lane, in the slots that follow.
fn workers_with_gpus(n: usize) -> Stage {
    let hands = (0..2 * n).map(|index| {
        let kind = if index < n { Kind::Worker } else { Kind::Gpu };
        let mut hand = Hand::of(kind, "sdxl", "w");
        hand.begin_job(50);
        hand
    });
    Stage::new(hands.collect(), policy())
}

#[test]
fn a_worker_and_its_own_gpu_are_not_all_workers() {
    let mut stage = workers_with_gpus(1);
    let found = stage.live(60, |_, _| {});
    assert!(found.iter().all(|f| f.all_frozen.is_none() && !f.is_frozen), "one process that hangs in a kernel is one process");
    assert_eq!((stage.verdict(0), stage.verdict(1)), (Some(Verdict::Silent), Some(Verdict::Stalled)));
}

#[test]
fn gpus_that_stall_with_all_their_hosts_are_ended_no_faster_than_those() {
    let mut stage = workers_with_gpus(3);
    let found = stage.live(60, |_, _| {});
    assert_eq!(found.iter().filter_map(|f| f.all_frozen).collect::<Vec<_>>(), [3], "three processes");
    assert!((3..6).all(|gpu| stage.judged[gpu].as_ref().is_some_and(|judged| judged.frozen_with_all)));
    let mut stage = workers_with_gpus(3);
    stage.live(60, |hands, second| hands[..3].iter_mut().for_each(|host| host.step(second)));
    assert!((3..6).all(|gpu| stage.verdict(gpu) == Some(Verdict::Stalled)));
    assert!((3..6).all(|gpu| stage.judged[gpu].as_ref().is_some_and(|judged| !judged.frozen_with_all)), "their hosts are well");
}
