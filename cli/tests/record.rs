//! `record` beside real workers: what it writes is what they reported, however it ends.

mod common;

use common::{Held, Scratch, hangwatch, rust_worker, said, until, worker};
use hangwatch::record::{Frame, Reader};
use std::fs::File;
use std::path::Path;

fn record(segment: &Path, trace: &Path, flags: &str) -> Held {
    let mut command = hangwatch();
    command.args(["record", "--interval", "100ms", "--segment"]).arg(segment).arg("--out").arg(trace);
    Held::start(command.args(flags.split_whitespace()))
}

fn frames(trace: &Path) -> Vec<Frame> {
    let Ok(reader) = File::open(trace).map_err(|e| e.to_string()).and_then(|file| Reader::new(file).map_err(|e| e.to_string()))
    else {
        return Vec::new();
    };
    reader.map(|frame| frame.expect("whole frames and at most a cut")).collect()
}

/// Steps that slot 0 is seen to have done.
fn steps(frames: &[Frame]) -> Vec<u64> {
    let hot = frames.iter().flat_map(|frame| &frame.slots).filter(|slot| slot.index == 0).filter_map(|slot| slot.hot);
    hot.filter_map(|hot| hot.done()).collect()
}

#[test]
fn a_recorder_writes_what_a_worker_reports_and_ends_cleanly_when_it_is_asked_to() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _worker = worker(rust_worker(), segment.path(), "sd-0", "");
    let trace = scratch.path().join("t.trace");
    let mut recorder = record(segment.path(), &trace, "");
    until(|| steps(&frames(&trace)).windows(2).any(|pair| pair[1] > pair[0]));
    recorder.signal(libc::SIGTERM);
    let line = recorder.line().expect("it says what it wrote");
    assert_eq!(recorder.wait().code(), Some(0));
    let frames = frames(&trace);
    assert!(line.contains(&format!("recorded {} polls in ", frames.len())), "{line}");
    let named = frames.iter().flat_map(|frame| &frame.slots).filter_map(|slot| slot.info.as_ref());
    assert!(named.into_iter().any(|info| info.name == "sd-0"), "the worker's own words are in the trace");
    let replayed = said(hangwatch().args(["replay", "--verdicts", "--no-baselines"]).arg(&trace));
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    assert!(replayed.out.contains("sd-0 (0)"), "the replay judges it: {}", replayed.out);
}

#[test]
fn a_recorder_that_is_killed_loses_at_most_one_poll_and_the_next_goes_on() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let trace = scratch.path().join("t.trace");
    let mut recorder = record(segment.path(), &trace, "");
    until(|| frames(&trace).len() >= 3);
    recorder.signal(libc::SIGKILL);
    recorder.wait();
    let before = frames(&trace).len();
    let mut recorder = record(segment.path(), &trace, "--duration 100ms");
    assert_eq!(recorder.wait().code(), Some(0));
    assert!(frames(&trace).len() > before, "recording went on after the last whole poll");
}

#[test]
fn a_recorder_stands_beside_a_live_monitor_and_needs_none() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _monitor = common::Monitor::watch(&segment, "");
    let trace = scratch.path().join("t.trace");
    assert_eq!(record(segment.path(), &trace, "--duration 1ms").wait().code(), Some(0));
    assert!(!frames(&trace).is_empty());
}

#[test]
fn a_segment_that_is_not_there_is_an_error_and_makes_no_trace() {
    let scratch = Scratch::new();
    let trace = scratch.path().join("t.trace");
    let said = said(hangwatch().args(["record", "--segment"]).arg(scratch.segment()).arg("--out").arg(&trace));
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(!trace.exists());
}

#[test]
fn a_stall_that_was_recorded_is_one_alarm_of_nobody_knows_yet_however_often_the_worker_beats() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut command = hangwatch();
    command.args(["inject", "stall", "--at", "20", "--step-time", "10ms", "--name", "stalls", "--segment"]).arg(segment.path());
    let _worker = Held::start(&mut command);
    let trace = scratch.path().join("t.trace");
    let mut recorder = record(segment.path(), &trace, "");
    // Thirty polls at which it beats and stands still.
    until(|| {
        let done = steps(&frames(&trace));
        done.iter().rev().take_while(|step| Some(*step) == done.last() && **step > 1).count() > 30
    });
    recorder.signal(libc::SIGTERM);
    assert_eq!(recorder.wait().code(), Some(0));
    let policy = scratch.file("p.yaml", "hangwatch: 1\npoll_interval: 100ms\ninference_step_timeout: 1s\n");
    let mut replay = hangwatch();
    replay.args(["replay", "--no-baselines", "--json", "--policy", &format!("one={}", policy.display())]).arg(&trace);
    let said = said(&mut replay);
    let replayed: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.err));
    let detectors = replayed["detectors"].as_array().expect("a list");
    let one = detectors.iter().find(|detector| detector["detector"] == "hangwatch one").expect("the policy by its name");
    let alarms: Vec<_> =
        one["alarms"].as_array().expect("a list").iter().map(|alarm| (&alarm["rule"], &alarm["truth"])).collect();
    assert_eq!(alarms, [(&"stalled".into(), &"open".into())], "the silence of a count does not end with a beat");
}
