//! Policies by model and worker, and others put in force on the way.

use super::stage::*;
use crate::judge::Verdict;
use crate::policy::Policy;
use std::time::Duration;

fn seconds(heartbeat: u64) -> Policy {
    Policy { heartbeat_timeout: Duration::from_secs(heartbeat), ..policy() }
}

#[test]
fn ages_go_on_when_another_policy_is_put_in_force() {
    let mut hand = Hand::new("sdxl", "w");
    hand.begin_job(50);
    let mut stage = Stage::new(vec![hand], seconds(600));
    stage.live(15, |_, _| {});
    stage.engine.set_policies(seconds(16).into());
    assert_eq!(stage.verdict(0), Some(Verdict::Ok));
    stage.live(1, |_, _| {});
    assert_eq!(stage.verdict(0), Some(Verdict::Silent), "fifteen seconds under the old policy count under the new one");
    stage.engine.set_policies(seconds(600).into());
    let found = stage.live(1, |_, _| {});
    assert_eq!(stage.verdict(0), Some(Verdict::Ok), "and a longer one clears it");
    assert_eq!(found[0].changes.len(), 1, "which closes the episode");
}

#[test]
fn another_poll_interval_keeps_ages_and_clamps_by_itself_from_then_on() {
    let mut hand = Hand::new("sdxl", "w");
    hand.begin_job(50);
    let mut stage = Stage::new(vec![hand], seconds(600));
    stage.live(15, |_, _| {});
    stage.engine.set_policies(Policy { poll_interval: Duration::from_secs(10), ..seconds(600) }.into());
    stage.host.monotonic_ns += 15 * S;
    stage.poll();
    let age = stage.judged[0].as_ref().expect("due at once").observation.ages.heartbeat.real;
    assert_eq!(age, 30 * S);
}
