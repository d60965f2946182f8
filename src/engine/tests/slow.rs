//! A job that slows down is told of once, with what it should do and how long it will take, and is never acted on.

use super::stage::*;
use crate::engine::{ChangeKind, Findings};
use crate::judge::{Severity, Verdict};
use crate::policy::{Adaptive, Policy};
use crate::rate::Why;

/// Seconds of a job that steps `every` so many seconds.
fn steps(stage: &mut Stage, seconds: u64, every: u64, from: u64) -> Vec<Findings> {
    stage.live(seconds, |hands, second| {
        if (second + 1) % every == 0 {
            hands[0].step(from + (second + 1) / every);
        }
    })
}

/// Kind, verdict and severity of every change.
fn changes(findings: &[Findings]) -> Vec<(ChangeKind, Verdict, Severity)> {
    let changes = findings.iter().flat_map(|findings| &findings.changes);
    changes.map(|change| (change.kind, change.episode.verdict, change.episode.severity)).collect()
}

/// Five jobs of sixty steps, a second each, and the first twenty of a sixth.
fn at_its_usual_rate() -> Stage {
    // A learnt threshold would be suspicious of the long gaps before the rate is known.
    at_its_usual_rate_with(Adaptive::Off)
}

fn at_its_usual_rate_with(adaptive: Adaptive) -> Stage {
    let policy = Policy { adaptive, ..policy() };
    let mut stage = Stage::new(vec![Hand::new("sdxl", "sd-0")], policy);
    for _ in 0..5 {
        stage.hands[0].begin_job(60);
        assert_eq!(changes(&steps(&mut stage, 60, 1, 0)), []);
        stage.hands[0].end_job();
    }
    stage.hands[0].begin_job(60);
    assert_eq!(changes(&steps(&mut stage, 20, 1, 0)), []);
    stage
}

#[test]
fn a_tenfold_slowdown_is_one_warning_that_ends_with_it() {
    let mut stage = at_its_usual_rate();
    let slow = steps(&mut stage, 200, 10, 20);
    let told: Vec<_> = changes(&slow).into_iter().filter(|(kind, ..)| *kind != ChangeKind::Reminder).collect();
    assert_eq!(told, [(ChangeKind::Opened, Verdict::Slow, Severity::Warning)], "slow is never a hang");
    let opened = slow.iter().flat_map(|findings| &findings.changes).next().expect("it was opened");
    let said = opened.slow.expect("why");
    assert_eq!(said.why, Why::Own);
    assert!((said.expected - 1.0).abs() < 0.05 && said.rate < 1.0 / 3.0, "{said:?}");
    assert!(said.eta_s.is_some_and(|eta| eta > 100.0), "forty steps at less than one in three seconds: {said:?}");
    let rest = changes(&steps(&mut stage, 20, 1, 40));
    assert_eq!(rest, [(ChangeKind::Closed, Verdict::Slow, Severity::Warning)]);
    assert_eq!(stage.verdict(0), Some(Verdict::Ok));
}

#[test]
fn a_slow_worker_that_stops_altogether_is_a_hang_all_the_same() {
    let mut stage = at_its_usual_rate();
    steps(&mut stage, 60, 10, 20);
    assert_eq!(stage.verdict(0), Some(Verdict::Slow));
    let hung = stage.live(40, |hands, _| hands[0].beat());
    assert!(changes(&hung).contains(&(ChangeKind::Opened, Verdict::Stalled, Severity::Acting)), "{:?}", changes(&hung));
}

#[test]
fn a_worker_that_is_shown_only_where_something_changed_is_slow_at_the_same_poll() {
    let told = |everything: bool| {
        let mut stage = at_its_usual_rate();
        stage.everything = everything;
        let slow = steps(&mut stage, 100, 10, 20);
        let verdicts: Vec<_> = slow.iter().map(|findings| changes(std::slice::from_ref(findings))).collect();
        (verdicts, stage.judged[0].as_ref().and_then(|judged| judged.slow))
    };
    assert_eq!(told(false), told(true));
}

#[test]
fn with_learnt_thresholds_a_slowdown_is_slow_too_and_does_not_open_an_episode_at_each_step() {
    let mut stage = at_its_usual_rate_with(Adaptive::Suspect);
    let slow = steps(&mut stage, 400, 10, 20);
    let opened: Vec<_> = changes(&slow).into_iter().filter(|(kind, ..)| *kind == ChangeKind::Opened).map(|c| c.1).collect();
    let slowly = slow.iter().flat_map(|f| &f.judged).filter(|judged| judged.judgement.verdict == Verdict::Slow).count();
    assert!(slowly > 100, "for most of the time it is called what it is: {slowly} of 400 polls");
    assert!(opened.len() <= 3, "forty steps, each ten times as long as it should be: {opened:?}");
}
