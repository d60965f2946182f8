//! The demo, as it is shipped: real worker processes, each row judged by the monitor's clock.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The demo, with its segment in `dir`.
fn demo(dir: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hangwatch"))
        .arg("demo")
        .args(arguments)
        .env("HANGWATCH_DIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn left_in(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("the folder is there").map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn every_row_gets_the_verdict_that_it_is_promised_and_nothing_is_left_behind() {
    let dir = TempDir::new().unwrap();
    let output = demo(dir.path(), &["--json"]).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "the demo keeps its promises: {text}{complaints}");
    assert_eq!(complaints, "", "off a terminal there is no progress bar, and no worker has anything to complain of");

    let outcome: Value = serde_json::from_str(&text).expect("--json prints JSON");
    assert_eq!((&outcome["schema_version"], &outcome["as_promised"]), (&Value::from(1), &Value::from(true)));
    let rows = outcome["rows"].as_array().unwrap();
    let verdicts: Vec<_> = rows.iter().map(|row| (row["worker"].as_str().unwrap(), row["verdict"].as_str().unwrap())).collect();
    let promised = [
        ("hang-0", "silent"),
        ("stall-1", "stalled"),
        ("stall-25", "stalled"),
        ("stall-50", "stalled"),
        ("stall-99", "stalled"),
        ("hang-25", "silent"),
        ("first-step", "stalled"),
        ("decode", "overdue"),
        ("tail", "silent"),
        ("load", "overdue"),
        ("oom-flat", "stalled"),
        ("oom-loop", "looping"),
        ("healthy", "ok"),
        ("lease", "ok"),
        ("no-progress", "ok"),
    ];
    assert_eq!(verdicts, promised);
    for row in rows {
        let flagged = row["verdict"] != "ok";
        assert_eq!(row["detected_after_s"].is_number(), flagged, "an age proves each hang, and no healthy worker has one: {row}");
        assert_eq!(row["window_s"].is_array(), flagged, "a window is promised where something is to be flagged: {row}");
        if let Some(after) = row["detected_after_s"].as_f64() {
            assert!(after >= 2.0, "nobody is flagged before the timeout: {row}");
        }
    }
    assert_eq!(left_in(dir.path()), [""; 0], "the segment and what stood beside it are removed");
}

#[test]
fn a_demo_that_is_interrupted_removes_its_segment_and_its_workers() {
    let dir = TempDir::new().unwrap();
    let mut running = demo(dir.path(), &[]);
    while left_in(dir.path()).is_empty() {
        assert_eq!(running.try_wait().unwrap(), None, "it makes its segment before it ends");
        std::thread::yield_now();
    }
    let killed = Command::new("kill").arg(running.id().to_string()).status().unwrap();
    assert!(killed.success());
    // The workers hold its stderr: its end is theirs too.
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "it did not finish");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint, "hangwatch: cannot finish the demo: interrupted by a signal\n");
    assert_eq!(left_in(dir.path()), [""; 0]);
}

#[test]
fn times_that_cannot_hold_are_refused_before_anybody_is_started() {
    let dir = TempDir::new().unwrap();
    let output = demo(dir.path(), &["--inference-step-timeout", "150ms"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with("hangwatch: cannot play the demo with these times: "), "{complaint}");
    assert_eq!(left_in(dir.path()), [""; 0]);
}
