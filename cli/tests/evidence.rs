//! Evidence of real workers that hang, as `run` and `watch` keep it.

mod common;

use common::{Monitor, Scratch, c_worker, hangwatch, rust_worker, until, worker};
use serde_json::Value;
use std::path::{Path, PathBuf};

const SOON: &str = "--inference-step-timeout 500ms --poll 50ms --grace 300ms --max-restarts 1";
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20 --jobs 0";

fn monitor(scratch: &Scratch, command: &str, flags: &str, variables: &[(&str, &str)], worker: &[&str]) -> Monitor {
    let mut hangwatch = hangwatch();
    hangwatch.env_remove("HANGWATCH_EVIDENCE").args([command, "--events", "-", "--segment"]).arg(scratch.segment());
    hangwatch.arg("--evidence").arg(kept(scratch)).args(flags.split_whitespace());
    if !worker.is_empty() {
        hangwatch.arg("--").args(worker);
    }
    Monitor::start(hangwatch.env("HANGWATCH_BACKOFF", "10ms").envs(variables.iter().copied()))
}

fn kept(scratch: &Scratch) -> PathBuf {
    scratch.path().join("kept")
}

fn words<'a>(program: &'a Path, flags: &'a str) -> Vec<&'a str> {
    [program.to_str().expect("a UTF-8 path")].into_iter().chain(flags.split_whitespace()).collect()
}

/// The folder that an event of evidence names.
fn bundle(event: &Value) -> PathBuf {
    let detail = event["detail"].as_str().expect("it says where it is");
    let (_, path) = detail.rsplit_once("kept in '").unwrap_or_else(|| panic!("it is kept: {detail}"));
    path.trim_end_matches('\'').into()
}

fn json(bundle: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(bundle.join("evidence.json")).expect("whole")).expect("JSON")
}

#[test]
fn what_a_hung_worker_waits_for_is_told_and_kept_before_it_is_ended() {
    let scratch = Scratch::new();
    let logs = scratch.path().join("logs");
    let flags = format!("{SOON} --quiet-workers --log-dir {}", logs.display());
    let mut run = monitor(&scratch, "run", &flags, &[], &words(c_worker(), HANGS));
    let opened = run.next("opened");
    let evidence = run.next("evidence");
    let before: Vec<&str> = run.kinds();
    assert!(!before.contains(&"action"), "nothing was done to it before: {before:?}");
    assert_eq!([&evidence["episode"], &evidence["slot"]], [&opened["episode"], &opened["slot"]]);
    let detail = evidence["detail"].as_str().expect("a cause");
    assert!(detail.contains("thread") && detail.contains("wchan") || detail.contains("syscall"), "with its reading: {detail}");
    let bundle = bundle(&evidence);
    assert_eq!(bundle.parent(), Some(kept(&scratch).as_path()));
    let json = json(&bundle);
    assert_eq!(json["schema_version"], 1);
    let history = json["history"].as_array().unwrap_or_else(|| panic!("the slot's last observations: {json:#}"));
    assert!(history.iter().any(|moment| moment["done"] == 1), "where it stopped can be seen: {history:?}");
    let tail = std::fs::read_to_string(bundle.join("log-tail.txt")).expect("the tail of its log");
    assert!(tail.contains(", slot "), "what the worker said last: {tail:?}");
    run.next("replaced");
    assert_eq!(run.of_kind("evidence").len(), 1, "one an episode");
    run.end();
}

#[test]
fn a_dumper_that_does_not_end_delays_its_own_workers_end_by_its_own_time_and_the_scan_not_at_all() {
    let scratch = Scratch::new();
    // The second worker hangs while the dumper of the first is at it: a scan that waited would not see that before it is over.
    let script = "sleep $1; shift; exec \"$@\"";
    let worker = c_worker().to_str().expect("UTF-8");
    let shell = ["sh", "-c", script, "sh", "{i}", worker, "--hang-at", "25", "--steps", "4", "--step-ms", "20"];
    let mut hangwatch = hangwatch();
    hangwatch.env_remove("HANGWATCH_EVIDENCE").args(["run", "--events", "-", "--segment"]).arg(scratch.segment());
    hangwatch.arg("--evidence").arg(kept(&scratch)).args(["--dump", "sh -c 'sleep 1000; echo {pid}'", "--replicas", "2"]);
    hangwatch.args("--inference-step-timeout 500ms --poll 50ms --grace 300ms --restart never --".split_whitespace()).args(shell);
    // Two workers that hang are all of them, which is no part of what is shown.
    let mut run = Monitor::start(hangwatch.env("HANGWATCH_EVIDENCE_WAIT", "6s").env("HANGWATCH_MAX_KILLS_WINDOW", "1s"));
    assert_eq!(run.next("opened")["slot"], 0);
    let second = run.next("opened");
    assert_eq!(second["slot"], 1);
    assert!(run.of_kind("action").is_empty() && run.of_kind("evidence").is_empty(), "the first dumper is still at it");
    let evidence = run.next("evidence");
    let text = std::fs::read_to_string(bundle(&evidence).join("summary.txt")).expect("whole all the same");
    assert!(text.contains("timeout"), "what was not had is said: {text}");
    assert_eq!(run.end(), Some(1), "both were ended");
    assert_eq!(run.of_kind("action").len(), 2, "{:#?}", run.events);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_evidence_and_nothing_else() {
    let scratch = Scratch::new();
    scratch.file("kept", "no folder");
    let mut run = monitor(&scratch, "run", SOON, &[], &words(c_worker(), HANGS));
    let evidence = run.next("evidence");
    assert!(evidence["detail"].as_str().is_some_and(|detail| detail.contains("could not be kept")), "{evidence}");
    run.next("replaced");
    run.end();
}

#[test]
fn a_monitor_that_observes_keeps_evidence_too_and_signals_nobody() {
    let scratch = Scratch::new();
    drop(scratch.made());
    let hung = worker(rust_worker(), &scratch.segment(), "hung", HANGS);
    let flags = "--inference-step-timeout 500ms --poll 50ms --faulthandler SIGUSR1";
    let mut watch = monitor(&scratch, "watch", flags, &[], &[]);
    watch.next("would_act");
    let evidence = watch.next("evidence");
    assert_eq!(evidence["pid"], hung.pid());
    assert!(bundle(&evidence).join("summary.txt").exists());
    let mut hung = hung;
    assert!(hung.is_alive(), "a signal that it does not handle would have ended it");
    assert_eq!(watch.stop(), Some(0));
    assert!(hung.is_alive());
}

#[test]
fn a_gdb_dump_shows_where_a_worker_in_c_hangs() {
    let found = std::process::Command::new("gdb").arg("--version").stdout(std::process::Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return common::skip("a_gdb_dump_shows_where_a_worker_in_c_hangs: there is no gdb");
    }
    let scratch = Scratch::new();
    let variables = [("HANGWATCH_EVIDENCE_WAIT", "60s")];
    let mut run = monitor(&scratch, "run", &format!("{SOON} --dump gdb"), &variables, &words(c_worker(), HANGS));
    let bundle = bundle(&run.next("evidence"));
    let text = std::fs::read_to_string(bundle.join("gdb.txt")).expect("its stacks");
    if text.contains("ptrace: Operation not permitted") {
        return common::skip("a_gdb_dump_shows_where_a_worker_in_c_hangs: this user may not trace");
    }
    assert!(text.contains("main"), "{text}");
    run.next("replaced");
    until(|| run.of_kind("replaced").len() == 1);
    run.end();
}
