//! `hangwatch status` and `inspect`: the contract of the JSON, the exit codes, and what they make of hostile and missing things.

mod common;

use common::{Held, Monitor, Said, Scratch, c_worker, hangwatch, let_pass, rust_worker, said, status, until, worker};
use hangwatch::segment::Segment;
use serde_json::{Map, Value};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

/// Stands still at one half, and beats.
const BEATS: &str = "--steps 10 --step-ms 20 --hang-at 50 --beat-while-hung";
const HANGS: &str = "--steps 4 --step-ms 10 --hang-at 25";

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().map(Map::keys).expect("an object").map(String::as_str).collect()
}

/// Sorted, as a parsed object is.
const TOP: [&str; 4] = ["monitor", "schema_version", "segment", "workers"];
const MONITOR: [&str; 3] = ["alive", "interval_s", "worst_case_detection_s"];
const WORKER: [&str; 19] = [
    "device",
    "done",
    "eta_s",
    "heartbeat_age_s",
    "job",
    "kind",
    "lane",
    "lease_s",
    "model",
    "name",
    "percent",
    "phase",
    "pid",
    "progress_age_s",
    "rate_per_s",
    "restarts",
    "slot",
    "total",
    "verdict",
];

/// A worker in C and one in Rust, both at one half.
fn two(segment: &Segment) -> [Held; 2] {
    let held = [worker(c_worker(), segment.path(), "in-c", BEATS), worker(rust_worker(), segment.path(), "in-rust", BEATS)];
    for index in 0..2 {
        until(|| segment.slot(index).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.progress == 5)));
    }
    held
}

fn keeps_the_contract(status: &Value, held: &[Held; 2], segment: &Path) {
    assert_eq!(keys(status), TOP);
    assert_eq!(keys(&status["monitor"]), MONITOR);
    assert_eq!((&status["schema_version"], &status["segment"]), (&1.into(), &segment.display().to_string().into()));
    let workers = status["workers"].as_array().expect("a list");
    assert_eq!(workers.len(), 2, "both report into one segment");
    for (slot, (worker, (name, held))) in workers.iter().zip(["in-c", "in-rust"].iter().zip(held)).enumerate() {
        assert_eq!(keys(worker), WORKER);
        assert_eq!((&worker["slot"], &worker["name"], &worker["pid"]), (&slot.into(), &(*name).into(), &held.pid().into()));
        assert_eq!((&worker["phase"], &worker["verdict"]), (&"inference".into(), &"ok".into()), "{worker}");
        assert_eq!((&worker["done"], &worker["total"], &worker["percent"]), (&5.into(), &10.into(), &50.0.into()));
        assert_eq!((&worker["model"], &worker["restarts"]), (&"stable_diffusion_xl".into(), &0.into()));
        assert!(worker["job"].as_str().is_some_and(|job| job.contains(&held.pid().to_string())), "{worker}");
        let (rate, eta) = (worker["rate_per_s"].as_f64().expect("a number"), worker["eta_s"].as_f64().expect("a number"));
        // The stamp of the last step is a tick of the coarse clock old, 10 ms at most.
        assert!(rate > 0.0 && rate <= 5.0 / 0.09, "five steps of 20 ms at least: {worker}");
        assert!((eta - 5.0 / rate).abs() <= 0.1 + 0.01 * eta, "what is left of the job at its mean rate: {worker}");
        assert!(worker["heartbeat_age_s"].is_f64() && worker["progress_age_s"].is_f64(), "ages are numbers: {worker}");
        assert_eq!(worker["kind"], "worker");
        assert!(
            worker["device"].is_null() && worker["lane"].is_null() && worker["lease_s"].is_null(),
            "what is not there is null: {worker}"
        );
    }
}

#[test]
fn workers_in_c_and_rust_are_shown_by_their_stamps_where_no_monitor_is_alive() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let held = two(&segment);
    let status = status(segment.path());
    keeps_the_contract(&status, &held, segment.path());
    let monitor = &status["monitor"];
    assert_eq!(monitor["alive"], false);
    assert!(monitor["interval_s"].is_null() && monitor["worst_case_detection_s"].is_null(), "{monitor}");
}

#[test]
fn workers_in_c_and_rust_are_shown_by_the_words_of_a_live_monitor() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _watch = Monitor::watch(&segment, "--poll 100ms");
    let held = two(&segment);
    // Judged once, both of them.
    let_pass(&segment, 0.3);
    let status = status(segment.path());
    keeps_the_contract(&status, &held, segment.path());
    let monitor = &status["monitor"];
    assert_eq!((&monitor["alive"], &monitor["interval_s"]), (&true.into(), &0.1.into()));
    assert_eq!(monitor["worst_case_detection_s"], 600.2, "the budget and two polls");
}

#[test]
fn the_table_shows_both_workers_and_that_nobody_watches() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _held = two(&segment);
    let said = said(hangwatch().arg("status").arg("--segment").arg(segment.path()));
    assert_eq!(said.code, Some(0));
    for text in ["in-c", "in-rust", "no monitor alive", "50% (5/10)", "stable_diffusion_xl", "RATE", "ETA"] {
        assert!(said.out.contains(text), "'{text}' is missing:\n{}", said.out);
    }
}

#[test]
fn an_acting_verdict_is_an_exit_code() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _held = worker(c_worker(), segment.path(), "hung", HANGS);
    let mut asked = hangwatch();
    asked.args(["status", "--json", "--inference-step-timeout", "2s", "--segment"]).arg(segment.path());
    // With no monitor alive the age is that of the worker's own stamp.
    until(|| status(segment.path())["workers"][0]["heartbeat_age_s"].as_f64().is_some_and(|age| age >= 2.0));
    let said = said(&mut asked);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("\"silent\""), "{}", said.out);
}

#[test]
fn a_segment_that_is_missing_or_damaged_is_an_exit_code_each() {
    let scratch = Scratch::new();
    let of = |path: &Path| said(hangwatch().args(["status", "--segment"]).arg(path));
    let missing = of(&scratch.segment());
    assert_eq!(missing.code, Some(3), "{}", missing.err);
    let damaged = of(&scratch.file("damaged", "no segment"));
    assert_eq!(damaged.code, Some(4), "{}", damaged.err);
    for Said { out, err, .. } in [missing, damaged] {
        assert!(out.is_empty() && err.starts_with("hangwatch: cannot open segment '"), "{err}");
    }
}

#[test]
fn no_argument_is_status_and_no_default_segment_lists_the_others() {
    let scratch = Scratch::new();
    let asked = |arguments: &[&str]| said(hangwatch().env("HANGWATCH_DIR", scratch.path()).args(arguments));
    let none = asked(&[]);
    assert_eq!(none.code, Some(3));
    assert!(none.out.contains("no segment 'default'") && none.out.contains("nobody has made a segment"), "{}", none.out);
    scratch.made();
    let one = asked(&[]);
    assert_eq!((one.code, asked(&["status"]).out), (Some(3), one.out.clone()), "no argument is status");
    assert!(one.out.contains("hangwatch status --segment segment\n"), "those that exist are listed: {}", one.out);
    let json: Value = serde_json::from_str(&asked(&["status", "--json"]).out).expect("JSON");
    assert_eq!(json, serde_json::json!({ "schema_version": 1, "segments": ["segment"] }));
    std::fs::rename(scratch.segment(), scratch.path().join("default")).expect("the default segment");
    let default = asked(&[]);
    assert_eq!(default.code, Some(0));
    assert!(default.out.ends_with("no worker is attached\n"), "{}", default.out);
}

#[test]
fn a_hostile_name_is_shown_and_never_sent_to_a_terminal() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _held = worker(c_worker(), segment.path(), "evil\u{1b}[2J\nforged", BEATS);
    for arguments in [&["status"][..], &["status", "--json"], &["inspect"]] {
        let said = said(hangwatch().args(arguments).arg("--segment").arg(segment.path()));
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(!said.out.contains('\u{1b}') && !said.out.lines().any(|line| line.starts_with("forged")), "{:?}", said.out);
        assert!(said.out.contains("evil"), "it is shown all the same: {}", said.out);
    }
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut command = hangwatch();
    command.args(["status", "--segment"]).arg(segment.path());
    // A pipe that nobody reads any more.
    let mut child = command.stdout(closed_pipe()).stderr(Stdio::piped()).spawn().expect("the binary");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn inspect_shows_the_words_of_one_worker_by_slot_and_by_name() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let held = two(&segment);
    let of = |target: &str| said(hangwatch().args(["inspect", target, "--segment"]).arg(segment.path()));
    let (by_slot, by_name) = (of("1"), of("in-rust"));
    for said in [&by_slot, &by_name] {
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.starts_with("slot 1\n") && !said.out.contains("slot 0\n"), "{}", said.out);
        assert!(said.out.contains(&format!("Live, Worker, pid {}", held[1].pid())), "{}", said.out);
        assert!(said.out.contains("a job is open"), "{}", said.out);
    }
    let nobody = of("nobody");
    assert_eq!(nobody.code, Some(3), "{}", nobody.err);
    assert!(nobody.err.starts_with("hangwatch: cannot inspect worker 'nobody': "), "{}", nobody.err);
}

#[test]
fn inspect_shows_a_header_and_that_of_another_version_with_the_refusal() {
    let scratch = Scratch::new();
    let path = scratch.made().path().to_owned();
    let header = || said(hangwatch().args(["inspect", "--header"]).arg(&path));
    let own = header();
    assert_eq!(own.code, Some(0), "{}", own.err);
    for text in ["magic                HGWTCH01\n", "layout               1.0\n", "slot_count           64\n", "monitor polls"] {
        assert!(own.out.contains(text), "'{text}' is missing:\n{}", own.out);
    }
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the segment's file");
    let newer = (3_u64 << 32).to_le_bytes();
    file.write_all_at(&newer, 0x10).expect("another version");
    let other = header();
    assert_eq!(other.code, Some(0), "what cannot be opened can still be looked at: {}", other.err);
    assert!(other.out.contains("layout               3.0\n") && other.out.contains("refused"), "{}", other.out);
    let status = said(hangwatch().args(["status", "--segment"]).arg(&path));
    assert_eq!(status.code, Some(4), "{}", status.err);
}
