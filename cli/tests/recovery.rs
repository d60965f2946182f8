//! How `hangwatch run` ends a worker and all that it started, and how it restarts what keeps hanging.

mod common;

use common::{Monitor, Scratch, c_worker, hangwatch, has_ended, until};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const SOON: &str = "--inference-step-timeout 500ms --poll 50ms --grace 300ms";
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20 --jobs 0";

/// A worker with what a shell does before it.
fn after(script: &str, flags: &str) -> Vec<String> {
    let worker = c_worker().to_str().expect("a UTF-8 path");
    let script = format!("{script}; exec \"$0\" \"$@\"");
    ["sh", "-c", &script, worker].into_iter().chain(flags.split_whitespace()).map(str::to_owned).collect()
}

fn run(scratch: &Scratch, flags: &str, variables: &[(&str, &str)], worker: &[String]) -> Monitor {
    let mut command = hangwatch();
    command
        .args(["run", "--events", "-", "--segment"])
        .arg(scratch.segment())
        .args(flags.split_whitespace())
        .arg("--")
        .args(worker);
    Monitor::start(command.env("HANGWATCH_BACKOFF", "10ms").envs(variables.iter().copied()))
}

/// The number after each `word` that workers said.
fn said(run: &Monitor, word: &str) -> Vec<u64> {
    run.lines.iter().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

fn time(event: &Value) -> SystemTime {
    humantime::parse_rfc3339(event["time"].as_str().expect("a time")).expect("RFC 3339")
}

#[test]
fn a_worker_that_ignores_sigterm_goes_with_its_children_and_with_those_that_left_its_session() {
    let scratch = Scratch::new();
    // One that is still its child, one whose parent is gone already, and one whose parents are gone and whose variables too.
    let script = "sleep 1000 & echo kin $!; setsid sleep 1001 & echo kin $!; (setsid sleep 1002 & echo kin $!); \
                  (setsid env -i sleep 1003 & echo kin $!)";
    let mut run = run(&scratch, SOON, &[], &after(script, &format!("{HANGS} --ignore-term")));
    let hung = run.next("opened")["pid"].as_u64().expect("a pid");
    let replaced = run.next("replaced");
    let acts: Vec<String> = run.of_kind("action").iter().map(|act| act["detail"].to_string()).collect();
    assert!(acts.len() == 2 && acts[0].contains("SIGTERM") && acts[1].contains("SIGKILL"), "each rung once: {acts:?}");
    let kin: Vec<u64> = said(&run, "kin ").into_iter().take(4).collect();
    assert_eq!(kin.len(), 4, "{:?}", run.lines);
    for pid in kin.into_iter().chain([hung]) {
        assert!(has_ended(pid), "pid {pid} is gone before its replacement starts");
    }
    assert_ne!(replaced["pid"], hung);
    run.stop();
    for pid in said(&run, "kin ") {
        until(|| has_ended(pid));
    }
}

#[test]
fn what_a_worker_that_ends_by_itself_leaves_behind_goes_too() {
    let scratch = Scratch::new();
    let script = "(setsid sleep 1000 & echo kin $!); exit 3";
    let mut run = run(&scratch, "--poll 50ms --max-restarts 1", &[], &after(script, ""));
    assert_eq!(run.end(), Some(5));
    let kin = said(&run, "kin ");
    assert_eq!(kin.len(), 2, "it was started twice: {:?}", run.lines);
    assert!(kin.into_iter().all(has_ended), "an orphan holds its memory for ever");
}

#[test]
fn a_worker_that_starts_well_and_hangs_every_time_is_restarted_at_doubling_distances_and_parked() {
    let scratch = Scratch::new();
    let mut run = run(&scratch, &format!("{SOON} --max-restarts 4"), &[("HANGWATCH_BACKOFF", "200ms")], &after(":", HANGS));
    assert_eq!(run.end(), Some(5), "parked has an exit code of its own");
    let lost: Vec<SystemTime> = run.of_kind("lost_job").into_iter().map(time).collect();
    let replaced: Vec<SystemTime> = run.of_kind("replaced").into_iter().map(time).collect();
    assert_eq!((lost.len(), replaced.len()), (5, 4), "parked after so many restarts");
    for (n, (lost, replaced)) in lost.iter().zip(&replaced).enumerate() {
        let least = Duration::from_millis(160) * 2u32.pow(u32::try_from(n).expect("few"));
        let gap = replaced.duration_since(*lost).expect("it is told in order");
        // A fifth less is the jitter; the clock of an event is one of milliseconds.
        assert!(
            gap + Duration::from_millis(2) >= least,
            "restart {} came {gap:?} after the hang, expected {least:?} or more",
            n + 1
        );
    }
    assert_eq!(run.of_kind("gave_up").len(), 1);
}

#[test]
fn a_model_that_keeps_hanging_is_quarantined_and_whoever_starts_next_is_told() {
    let scratch = Scratch::new();
    let variables = [("HANGWATCH_MAX_MODEL_HANGS", "2")];
    let worker = after("echo avoid [$HANGWATCH_QUARANTINED_MODELS]", HANGS);
    let mut run = run(&scratch, &format!("{SOON} --max-restarts 3"), &variables, &worker);
    assert_eq!(run.end(), Some(5));
    let quarantined = run.of_kind("quarantined");
    assert_eq!(quarantined.len(), 1, "told once: {quarantined:#?}");
    let model = run.of_kind("opened")[0]["model"].clone();
    assert_eq!((&quarantined[0]["model"], &quarantined[0]["slot"]), (&model, &Value::Null), "the model, and no worker");
    let avoid: Vec<&String> = run.lines.iter().filter(|line| line.starts_with("avoid")).collect();
    let named = format!("avoid [{}]", model.as_str().expect("a name"));
    assert_eq!(avoid, ["avoid []", "avoid []", &named, &named], "from the second hang on");
}

#[test]
fn workers_that_all_fail_together_are_a_storm_that_is_told_once() {
    let scratch = Scratch::new();
    let variables = [("HANGWATCH_STORM_RESTARTS", "6"), ("HANGWATCH_STORM_WINDOW", "1s")];
    let mut run = run(&scratch, "--poll 50ms --replicas 4 --max-restarts 2", &variables, &after("exit 1", ""));
    assert_eq!(run.end(), Some(5));
    assert_eq!(run.of_kind("replaced").len(), 8, "a storm slows restarts down and takes none away");
    assert!(!run.of_kind("storm").is_empty(), "{:#?}", run.events);
}

#[test]
fn lost_jobs_are_reported_by_worker_and_by_model_at_the_end() {
    let scratch = Scratch::new();
    let mut command = hangwatch();
    command.args(["run", "--segment"]).arg(scratch.segment()).args(SOON.split_whitespace()).args(["--max-restarts", "1", "--"]);
    command.args(after(":", HANGS)).env("HANGWATCH_BACKOFF", "10ms").env("HANGWATCH_ADAPTIVE", "off");
    let said = common::said(&mut command);
    assert_eq!(said.code, Some(5), "{}", said.err);
    let of = |what: &str| said.err.lines().rfind(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}: {}", said.err));
    assert!(of("replica 0").contains("2 lost jobs") && of("replica 0").contains("2 hangs"), "{}", of("replica 0"));
    assert!(of("model ").contains("2 lost jobs"), "{}", of("model "));
}
