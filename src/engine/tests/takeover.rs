//! A monitor that takes over from one that is gone: episodes go on, and end only when it is known that they are over.

use super::stage::*;
use crate::engine::{ChangeKind, Engine, Findings};
use crate::judge::{Severity, Verdict};
use crate::layout::phase::Phase;
use crate::policy::{Adaptive, Policy, PolicySet};
use crate::snapshot::Process;
use std::time::Duration;

/// Writes what the engine says into the slots, as a monitor does.
fn write(stage: &Stage, findings: &Findings) {
    for judged in &findings.judged {
        if let Some(seen) = &judged.write {
            stage.hands[judged.observation.index as usize].slot.publish_seen(seen);
        }
    }
}

fn live(stage: &mut Stage, seconds: u64, mut act: impl FnMut(&mut Vec<Hand>)) -> Vec<(ChangeKind, u64, f64)> {
    let mut told = Vec::new();
    for _ in 0..seconds {
        stage.host.monotonic_ns += S;
        act(&mut stage.hands);
        stage.engine.begin(&stage.host);
        for (index, hand) in stage.hands.iter().enumerate() {
            let slot = &hand.slot;
            stage.engine.take_over(hand.snapshot(index as u32), || Some(slot.peek_seen()));
        }
        let findings = stage.engine.finish();
        findings.judged.iter().for_each(|judged| stage.judged[judged.observation.index as usize] = Some(judged.clone()));
        write(stage, &findings);
        told.extend(findings.changes.iter().map(|change| (change.kind, change.episode.id, change.lasted as f64 / S as f64)));
        if findings.tick.gap {
            assert!(findings.changes.is_empty(), "the first poll of a successor opens and ends nothing");
            assert!(findings.judged.iter().all(|judged| judged.write.is_none()), "and changes no word");
        }
    }
    told
}

/// The monitor is killed, and `away` seconds later another one is there.
fn another(stage: &mut Stage, number: u64, away: u64, policies: impl Into<PolicySet>) {
    let clock = stage.engine.tick.now;
    stage.host.monotonic_ns += away * S;
    let learnt = stage.engine.learnt().clone();
    let engine = Engine::new(stage.hands.len(), policies.into(), clock);
    stage.engine = engine.numbered_after(number * 1000).with_learnt(learnt).succeeding();
}

fn one(policy: &Policy) -> Stage {
    let mut hand = Hand::new("model", "worker");
    hand.begin_job(50);
    let stage = Stage::new(vec![hand], policy.clone());
    let first = stage.judged[0].as_ref().and_then(|judged| judged.write);
    stage.hands[0].slot.publish_seen(&first.expect("what the first poll saw"));
    stage
}

fn nothing(_: &mut Vec<Hand>) {}

#[test]
fn an_episode_keeps_its_number_its_age_and_its_reminders_over_three_restarts() {
    let policy = policy();
    let mut stage = one(&policy);
    let told = live(&mut stage, 25, nothing);
    let &[(ChangeKind::Opened, id, _)] = told.as_slice() else { panic!("opened once: {told:?}") };
    // Opened at 20 s, seen at 20 s; 60 s after that a reminder.
    for number in 1..=3 {
        another(&mut stage, number, 2, policy.clone());
        assert_eq!(live(&mut stage, 1, nothing), [], "the first poll is nobody's");
        assert_eq!(stage.verdict(0), Some(Verdict::Silent), "what the former monitor judged stands");
        assert_eq!(live(&mut stage, 15, nothing), [], "no second opening");
        let judged = stage.judged[0].as_ref().expect("judged");
        assert_eq!((judged.episode, judged.judgement.severity, judged.opened_acting), (Some(id), Severity::Acting, false));
    }
    let told = live(&mut stage, 20, nothing);
    let [(ChangeKind::Reminder, same, lasted)] = told[..] else { panic!("its reminder goes on: {told:?}") };
    assert_eq!((same, lasted), (id, 60.0));
    another(&mut stage, 4, 2, policy);
    let told = live(&mut stage, 3, |hands| hands[0].step(1));
    let [(ChangeKind::Closed, same, lasted)] = told[..] else { panic!("the closing names it: {told:?}") };
    assert!(same == id && (60.0..75.0).contains(&lasted), "for as long as it lasted: {told:?}");
}

#[test]
fn a_worker_that_recovered_while_nobody_watched_is_told_of_once_and_its_slot_forgets() {
    let policy = policy();
    let mut stage = one(&policy);
    let id = live(&mut stage, 25, nothing)[0].1;
    another(&mut stage, 1, 100, policy.clone());
    stage.hands[0].step(1);
    let told = live(&mut stage, 2, |hands| hands[0].step(2));
    assert!(matches!(told[..], [(ChangeKind::Closed, same, _)] if same == id), "closed within two polls: {told:?}");
    assert_eq!(stage.hands[0].slot.peek_seen().episode, 0, "no successor finds it open");
    another(&mut stage, 2, 100, policy);
    assert_eq!(live(&mut stage, 3, |hands| hands[0].step(3)), []);
}

#[test]
fn a_policy_that_is_more_patient_ends_an_episode_and_one_that_is_less_goes_on_with_it() {
    let s = Duration::from_secs;
    for (timeout, ends) in [(40, true), (10, false)] {
        let mut stage = one(&policy());
        let id = live(&mut stage, 25, nothing)[0].1;
        another(&mut stage, 1, 1, Policy { heartbeat_timeout: s(timeout), progress_timeout: s(timeout), ..policy() });
        let told = live(&mut stage, 3, nothing);
        let closed = matches!(told[..], [(ChangeKind::Closed, same, _)] if same == id);
        assert_eq!(closed, ends, "at {timeout}s: {told:?}");
        assert!(ends || told.is_empty(), "and nothing else is told: {told:?}");
    }
}

#[test]
fn another_owner_inherits_no_episode() {
    let mut stage = one(&policy());
    live(&mut stage, 25, nothing);
    another(&mut stage, 1, 1, policy());
    let mut next = Hand::new("model", "next");
    std::mem::swap(&mut next.slot, &mut stage.hands[0].slot);
    next.leave();
    let owner = next.slot.peek_owner();
    next.slot.claim(owner, crate::layout::word::Kind::Worker, 4822, &Default::default(), |_, _| {}).expect("a free slot");
    let written = next.slot.peek_seen();
    stage.hands[0] = next;
    assert!(written.episode != 0 && !crate::engine::is_taken_over(&written, stage.hands[0].slot.peek_owner()));
    assert_eq!(live(&mut stage, 3, nothing), [], "it is somebody else's");
    assert_eq!(stage.judged[0].as_ref().and_then(|judged| judged.episode), None);
}

#[test]
fn a_stopped_worker_is_not_called_well_before_it_was_looked_at() {
    let mut stage = one(&policy());
    stage.hands[0].probe.process = Process::Stopped;
    let id = live(&mut stage, 15, nothing)[0].1;
    another(&mut stage, 1, 1, policy());
    // Its turn to be looked at comes at the third poll.
    stage.hands[0].probe.process = Process::Unknown;
    assert_eq!(live(&mut stage, 2, nothing), []);
    stage.hands[0].probe.process = Process::Stopped;
    assert_eq!(live(&mut stage, 5, nothing), [], "it goes on under its number");
    stage.hands[0].probe.process = Process::Running;
    let told = live(&mut stage, 1, |hands| hands[0].beat());
    assert!(matches!(told[..], [(ChangeKind::Closed, same, _)] if same == id), "{told:?}");
    another(&mut stage, 2, 1, policy());
    assert_eq!(live(&mut stage, 5, nothing), []);
}

#[test]
fn a_stop_that_nobody_sees_any_more_ends_after_some_polls() {
    let mut stage = one(&policy());
    stage.hands[0].probe.process = Process::Stopped;
    live(&mut stage, 15, nothing);
    another(&mut stage, 1, 1, policy());
    stage.hands[0].probe.process = Process::Running;
    let told = live(&mut stage, 8, nothing);
    assert!(matches!(told[..], [(ChangeKind::Closed, ..)]), "a look that finds it running ends it: {told:?}");
}

#[test]
fn a_starved_worker_is_not_hung_because_its_monitor_was_restarted() {
    let mut stage = one(&policy());
    let mut waited = 0;
    let mut starve = |hands: &mut Vec<Hand>| {
        waited += 900_000_000;
        hands[0].probe.run_delay_ns = Some(waited);
    };
    live(&mut stage, 25, &mut starve);
    assert_eq!(stage.verdict(0), Some(Verdict::Starved));
    another(&mut stage, 1, 1, policy());
    live(&mut stage, 15, &mut starve);
    let verdict = stage.verdict(0).expect("judged");
    assert_ne!(verdict.severity(), Severity::Acting, "what was excused is not known here, and not held against it: {verdict}");
    live(&mut stage, 25, nothing);
    assert_eq!(stage.verdict(0), Some(Verdict::Silent), "a budget later it is");
}

#[test]
fn words_that_no_monitor_wrote_open_nothing_and_end_nothing() {
    let mut stage = one(&policy());
    live(&mut stage, 2, |hands| hands[0].beat());
    for verdict in [0, 15, 16, 17, 18, 255] {
        let seen = stage.hands[0].slot.peek_seen();
        let generation = stage.hands[0].slot.peek_owner().generation();
        let word = crate::layout::monitor::VerdictWord::new(verdict, 255, generation, u32::MAX);
        stage.hands[0].slot.publish_seen(&crate::layout::monitor::Seen { verdict: word, episode: u64::MAX, ..seen });
        another(&mut stage, 1, 1, policy());
        assert_eq!(live(&mut stage, 3, |hands| hands[0].enter(Phase::Idle, 0)), [], "verdict {verdict}");
        assert_eq!(stage.hands[0].slot.peek_seen().episode, 0, "garbage is wiped");
    }
}

#[test]
fn a_successor_judges_nobody_at_its_first_poll_however_impatient_it_is() {
    let s = Duration::from_secs;
    let mut stage = one(&policy());
    assert_eq!(live(&mut stage, 15, nothing), [], "well, by the former policy");
    another(&mut stage, 1, 1, Policy { heartbeat_timeout: s(5), progress_timeout: s(5), ..policy() });
    assert_eq!(live(&mut stage, 1, nothing), []);
    assert_eq!(stage.verdict(0), Some(Verdict::Ok), "it may be stopped or starved: nobody has looked");
    let told = live(&mut stage, 1, nothing);
    assert!(matches!(told[..], [(ChangeKind::Opened, 1001, _)]), "at the second it is: {told:?}");
}

/// A step every so many seconds, from `done` on.
fn steps(every: u64, mut done: u64) -> impl FnMut(&mut Vec<Hand>) {
    let mut second = 0;
    move |hands| {
        second += 1;
        if second % every == 0 {
            done += 1;
            hands[0].step(done);
        }
    }
}

fn without_reminders(told: Vec<(ChangeKind, u64, f64)>) -> Vec<(ChangeKind, u64)> {
    told.into_iter().filter(|(kind, ..)| *kind != ChangeKind::Reminder).map(|(kind, id, _)| (kind, id)).collect()
}

#[test]
fn a_slow_job_is_slow_under_its_number_until_its_rate_is_known_again() {
    let policy = Policy { slow_floor: 6.0, adaptive: Adaptive::Off, ..policy() };
    let mut stage = one(&policy);
    stage.hands[0].begin_job(500);
    let told = without_reminders(live(&mut stage, 300, steps(5, 0)));
    let &[(ChangeKind::Opened, id)] = told.as_slice() else { panic!("below the floor: {told:?}") };
    assert_eq!(stage.verdict(0), Some(Verdict::Slow));
    another(&mut stage, 1, 1, policy);
    assert_eq!(without_reminders(live(&mut stage, 300, steps(5, 60))), [], "nobody says that it is well, or slow anew");
    assert_eq!(stage.judged[0].as_ref().and_then(|judged| judged.episode), Some(id));
    assert_eq!(without_reminders(live(&mut stage, 100, steps(1, 120))), [(ChangeKind::Closed, id)]);
}

#[test]
fn a_suspect_gap_goes_on_under_its_number_until_it_ends() {
    let policy = policy();
    let mut stage = one(&policy);
    for _ in 0..5 {
        stage.hands[0].begin_job(60);
        live(&mut stage, 60, steps(1, 0));
        stage.hands[0].end_job();
    }
    stage.hands[0].begin_job(60);
    live(&mut stage, 20, steps(1, 0));
    let told = without_reminders(live(&mut stage, 15, nothing));
    let &[(ChangeKind::Opened, id)] = told.as_slice() else { panic!("past what is usual: {told:?}") };
    assert_eq!(stage.verdict(0), Some(Verdict::Suspect));
    for number in 1..=2 {
        another(&mut stage, number, 1, policy.clone());
        assert_eq!(without_reminders(live(&mut stage, 1, nothing)), []);
        assert_eq!(without_reminders(live(&mut stage, 1, nothing)), [], "its gap goes on");
        assert_eq!(stage.verdict(0), Some(Verdict::Suspect));
    }
    assert_eq!(without_reminders(live(&mut stage, 3, steps(1, 20))), [(ChangeKind::Closed, id)]);
}
