//! `replay` over the recorded sessions of `tests/traces`, and over traces that `record` wrote.

mod common;

use common::{Scratch, hangwatch, said};
use serde_json::Value;

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces");
/// Every session in which somebody was watched step by step.
const STEPS: &str = "normal,overload,pause,compile,compile2,hang,overhang";

fn replay(arguments: &[&str]) -> common::Said {
    let mut command = hangwatch();
    said(command.args(["replay", TRACES]).args(arguments))
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let said = replay(&[arguments, &["--json"]].concat());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut all: Value = serde_json::from_str(&said.out).expect("JSON");
    serde_json::from_value(all["detectors"].take()).expect("a list of detectors")
}

fn of<'a>(detector: &'a Value, list: &str) -> &'a Vec<Value> {
    detector[list].as_array().unwrap_or_else(|| panic!("{list} is a list"))
}

#[test]
fn the_same_replay_twice_is_the_same_to_the_byte() {
    for more in [&["--verdicts"][..], &["--json"]] {
        let arguments = [&["--tune", "pause", "--score", "overhang", "--inject", "40", "--carry"][..], more].concat();
        let once = replay(&arguments);
        assert_eq!(once.code, Some(0), "{}", once.err);
        assert!(once.out.len() > 1000, "it says something: {}", once.out);
        assert!(once.out == replay(&arguments).out, "two replays differ, with {more:?}");
        let other = replay(&[&arguments[..], &["--seed", "2"]].concat());
        assert!(once.out != other.out, "another seed injects other hangs");
    }
}

#[test]
fn what_acts_by_default_has_no_false_alarm_in_any_session() {
    let detectors = json(&["--score", STEPS, "--no-baselines"]);
    let ours = detectors.iter().find(|detector| detector["detector"] == "hangwatch default").expect("the default policy");
    assert!(ours["job_hours"].as_f64().is_some_and(|hours| hours > 1.0), "there are hours of work: {}", ours["job_hours"]);
    let wrong: Vec<_> = of(ours, "alarms").iter().filter(|alarm| alarm["truth"] == "false").collect();
    assert!(wrong.is_empty(), "a healthy worker was accused: {wrong:?}");
}

#[test]
fn a_labelled_hang_is_found_once_its_budget_is_spent_and_not_before() {
    let scratch = Scratch::new();
    let policy = scratch.file("short.yaml", "hangwatch: 1\ninference_step_timeout: 10s\nmax_stretch: 1\n");
    let detectors = json(&["--score", "hang", "--no-baselines", "--policy", &format!("short={}", policy.display())]);
    let ours = detectors.iter().find(|detector| detector["detector"] == "hangwatch short").expect("the policy by its name");
    let stalls: Vec<_> = of(ours, "hangs").iter().filter(|hang| hang["kind"] == "stall_sleep").collect();
    assert!(!stalls.is_empty(), "the session has such hangs");
    for hang in stalls {
        let delay = hang["delay_s"].as_f64().unwrap_or_else(|| panic!("missed: {hang}"));
        assert!(delay >= 9.0, "it was accused before its budget was spent: {hang}");
        assert_eq!(hang["rule"], "overdue", "{hang}");
    }
    let told = of(ours, "hangs").iter().filter(|hang| hang["rule"] == "stopped").count();
    assert!(told > 0, "a worker that is stopped is said to be stopped");
}

#[test]
fn a_session_that_is_not_there_is_an_error_that_names_it() {
    let said = replay(&["--score", "normal,nightly"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("cannot replay session 'nightly'"), "{}", said.err);
}

#[test]
fn garbage_is_an_error_with_its_offset_and_never_a_panic() {
    let scratch = Scratch::new();
    let garbage = scratch.file("garbage", "hwtrace\0 and then something else that is no header of ours");
    let said = said(hangwatch().arg("replay").arg(&garbage));
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("cannot read trace") && said.err.contains("at byte 8"), "{}", said.err);
}
