//! Many workers at once: all of them frozen, one of them frozen, one lane of one of them.

mod common;

use common::part::{attached, part, pass, playing};
use common::{Monitor, Scratch, assert_first_poll, c_worker, let_pass};
use hangwatch::segment::Segment;
use hangwatch::{Total, Worker};
use serde_json::Value;
use std::collections::BTreeSet;

/// `run` with a policy of its own.
fn run(scratch: &Scratch, policy: &str, flags: &str, worker: &[String]) -> Monitor {
    let config = scratch.file("policy.yaml", &format!("hangwatch: 1\npoll_interval: 50ms\ngrace: 300ms\n{policy}"));
    let words: Vec<&str> = worker.iter().map(String::as_str).collect();
    Monitor::run(&scratch.segment(), &format!("--config {} {flags}", config.display()), &words)
}

fn c_words(flags: &str) -> Vec<String> {
    let program = c_worker().to_str().expect("a UTF-8 path");
    [program].into_iter().chain(flags.split_whitespace()).map(String::from).collect()
}

fn segment(scratch: &Scratch) -> Segment {
    Segment::open_read_only(&scratch.segment()).expect("the segment of the run")
}

#[test]
fn eight_workers_that_freeze_together_are_told_of_once_and_one_is_replaced_in_the_window() {
    let scratch = Scratch::new();
    let policy = "inference_step_timeout: 1s\nprocess_timeout: 500ms\nmax_kills_window: 1h\n";
    let mut run = run(&scratch, policy, "--replicas 8", &c_words("--steps 8 --step-ms 50 --hang-at 50"));
    run.next("all_frozen");
    let replaced = run.next("replaced");
    // For three more budgets the seven others stand there, and the new one freezes too.
    let_pass(&segment(&scratch), 3.0);
    run.stop();
    let slots: BTreeSet<u64> = run.of_kind("opened").iter().filter_map(|event| event["slot"].as_u64()).collect();
    assert_eq!(slots.len(), 8, "each of them is told of: {slots:?}");
    assert_eq!(run.of_kind("all_frozen").len(), 1, "the host is told of once: {:#?}", run.events);
    assert_eq!(run.of_kind("replaced"), [&replaced], "one recovery in the window");
}

#[test]
fn one_of_eight_that_freezes_is_replaced_at_its_budget_and_no_other() {
    let scratch = Scratch::new();
    let policy = "inference_step_timeout: 1s\nprocess_timeout: 500ms\n";
    let worker = c_words("--steps 8 --step-ms 50 --jobs 0 --hang-at 50 --hang-replica 3 --replica {i}");
    let mut run = run(&scratch, policy, "--replicas 8", &worker);
    let opened = run.next("opened");
    assert_eq!((&opened["slot"], &opened["verdict"]), (&3.into(), &"silent".into()));
    assert_first_poll(&opened, "heartbeat_age_s", 1.0, 0.05, run.of_kind("monitor_gap").len());
    let replaced = run.next("replaced");
    assert_eq!((&replaced["slot"], &replaced["job"]), (&3.into(), &opened["job"]));
    assert!(run.events.iter().all(|event| event["slot"] == 3 || event["event"] == "monitor_gap"), "{:#?}", run.events);
    run.stop();
    assert!(run.of_kind("all_frozen").is_empty(), "seven of eight work: {:#?}", run.events);
}

/// Three workers of four lanes each; in the second, the third lane freezes.
fn four_lanes(replica: &str) -> ! {
    let first = attached();
    let mut lanes: Vec<Worker> = (1..4).map(|n| first.lane(&format!("lane {n}")).expect("a slot")).collect();
    lanes.insert(0, first);
    for (n, lane) in lanes.iter_mut().enumerate() {
        lane.begin_job(&format!("job {replica}.{n}"), "model", Total::Unknown);
    }
    for done in 0.. {
        for (n, lane) in lanes.iter_mut().enumerate() {
            if !(replica == "1" && n == 2 && done > 3) {
                lane.step(done);
            }
        }
        pass(20);
    }
    unreachable!("64 bits of steps");
}

#[test]
fn of_three_workers_with_four_lanes_each_the_one_lane_that_freezes_is_reported_by_its_job_and_no_other() {
    const TEST: &str = "of_three_workers_with_four_lanes_each_the_one_lane_that_freezes_is_reported_by_its_job_and_no_other";
    if let Some(replica) = part() {
        four_lanes(&replica);
    }
    let scratch = Scratch::new();
    let policy = "inference_step_timeout: 1s\n";
    let mut run = run(&scratch, policy, "--replicas 3 --mode observe", &playing(TEST, "{i}"));
    let opened = run.next("opened");
    assert_eq!((&opened["job"], &opened["verdict"]), (&"job 1.2".into(), &"silent".into()));
    assert_eq!(run.next("would_act")["job"], "job 1.2");
    let_pass(&segment(&scratch), 2.0);
    let named: BTreeSet<&str> = run.events.iter().filter_map(|event| event["job"].as_str()).collect();
    assert_eq!(named, BTreeSet::from(["job 1.2"]), "eleven others work, three of them in the same process");
    run.stop();
    assert_eq!(run.opened_alive(), [&opened], "two budgets later too: {:#?}", run.events);
}

#[test]
fn with_the_process_of_a_frozen_lane_the_jobs_of_all_its_lanes_are_lost_and_of_no_other() {
    const TEST: &str = "with_the_process_of_a_frozen_lane_the_jobs_of_all_its_lanes_are_lost_and_of_no_other";
    if let Some(replica) = part() {
        four_lanes(&replica);
    }
    let scratch = Scratch::new();
    let mut run = run(&scratch, "inference_step_timeout: 1s\n", "--replicas 3", &playing(TEST, "{i}"));
    let replaced = run.next("replaced");
    assert_eq!(replaced["job"], "job 1.2");
    let lost: BTreeSet<&str> = run.of_kind("lost_job").iter().filter_map(|event| event["job"].as_str()).collect();
    assert_eq!(lost, BTreeSet::from(["job 1.0", "job 1.1", "job 1.2", "job 1.3"]));
    let hung = run.of_kind("lost_job").into_iter().filter(|event| event["verdict"] == "silent");
    let hung: Vec<&Value> = hung.map(|event| &event["job"]).collect();
    assert_eq!(hung, ["job 1.2"], "the one that hung is marked");
    run.stop();
}
