//! `hangwatch explain`: each value in force for a worker with its source, with no monitor alive and with no worker at all.

mod common;

use common::{Held, Monitor, Said, Scratch, hangwatch, said, until};
use hangwatch::segment::Segment;
use hangwatch::{Attach, Phase, Total, Worker};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "hangwatch: 1
profile: mid-range
grace: 3s
models:
  \"stable_diffusion_xl*\":
    loading_timeout: 5m
    max_passes: 3
workers:
  gpu-7:
    max_passes: 4
";

fn explain(scratch: &Scratch, arguments: &[&str]) -> Said {
    let file = scratch.file("policy.yaml", FILE);
    let mut command = hangwatch();
    command.args(["explain", "--config"]).arg(file).args(arguments);
    said(command.env("HANGWATCH_D_WAIT", "4s"))
}

/// The same of the scratch's segment, as JSON.
fn explained(scratch: &Scratch, worker: &str) -> Value {
    let segment = scratch.segment().display().to_string();
    let said = explain(scratch, &[worker, "--json", "--segment", &segment]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.out))
}

fn row<'a>(worker: &'a Value, key: &str) -> &'a Map<String, Value> {
    let rows = worker["policy"].as_array().expect("a list");
    rows.iter().find(|row| row["key"] == key).and_then(Value::as_object).unwrap_or_else(|| panic!("no {key}: {worker}"))
}

/// A worker that is a process of its own, in its first job.
fn stalls(segment: &Segment, name: &str, model: &str) -> Held {
    let mut command = hangwatch();
    command.args(["inject", "stall", "--step-time", "5ms", "--name", name, "--model", model, "--segment"]).arg(segment.path());
    let mut held = Held::start(&mut command);
    until(|| {
        assert!(held.is_alive(), "it stalls before it ends");
        segment.slot(0).is_some_and(|slot| slot.read_info().is_some_and(|info| info.model == model))
    });
    held
}

/// A worker of this test.
fn attached(segment: &Arc<Segment>, name: &str, model: &str) -> Worker {
    let mut worker = Attach::new().name(name).attach_to(segment).expect("a slot");
    worker.begin_job("a1b2c3d4", model, Total::Known(50));
    worker
}

#[test]
fn every_key_is_explained_from_the_layer_that_named_it() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _held = stalls(&segment, "gpu-7", "stable_diffusion_xl");
    let explained = explained(&scratch, "gpu-7");
    let file = scratch.path().join("policy.yaml").display().to_string();
    let worker = &explained["workers"][0];
    assert_eq!((&worker["slot"], &worker["model"]), (&0.into(), &"stable_diffusion_xl".into()));
    for (key, value, text, layer, source) in [
        ("poll_interval", Value::from(1.0), "1s", "default", "default".to_string()),
        ("progress_timeout", 900.0.into(), "15m", "profile", "profile mid-range".into()),
        ("grace", 3.0.into(), "3s", "file", format!("{file}:3")),
        ("d_wait", 4.0.into(), "4s", "environment", "HANGWATCH_D_WAIT".into()),
        ("loading_timeout", 300.0.into(), "5m", "model", format!("{file}:6 (models.\"stable_diffusion_xl*\")")),
        ("max_passes", 4.into(), "4", "worker", format!("{file}:10 (workers.\"gpu-7\")")),
        ("adaptive", "suspect".into(), "suspect", "default", "default".into()),
        ("require_attach", false.into(), "false", "default", "default".into()),
    ] {
        let row = row(worker, key);
        assert_eq!((&row["value"], &row["text"]), (&value, &text.into()), "{key}");
        assert_eq!((&row["layer"], &row["source"]), (&layer.into(), &source.into()), "{key}");
    }
    let rows = worker["policy"].as_array().expect("a list");
    let fields = hangwatch::policy::KEYS.iter().filter(|key| !key.is_combined());
    assert!(fields.map(|key| key.name).eq(rows.iter().filter_map(|row| row["key"].as_str())), "every key, in the table's order");
}

#[test]
fn the_json_keeps_its_contract() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let _worker = attached(&segment, "gpu-0", "flux");
    let explained = explained(&scratch, "0");
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).expect("an object");
    assert_eq!(keys(&explained), ["monitor", "schema_version", "segment", "workers"]);
    assert_eq!((&explained["schema_version"], &explained["monitor"]["alive"]), (&1.into(), &false.into()));
    assert_eq!(explained["segment"], segment.path().display().to_string());
    let worker = &explained["workers"][0];
    assert_eq!(keys(worker), ["lane", "learnt", "lease", "model", "name", "policy", "slot"]);
    assert!(worker["lane"].is_null() && worker["lease"].is_null(), "what is not there is null: {worker}");
    assert_eq!(keys(&worker["policy"][0]), ["key", "kind", "layer", "source", "text", "value"]);
}

#[test]
fn a_flag_is_named_and_an_entry_goes_before_it() {
    let scratch = Scratch::new();
    let flag = ["--inference-step-timeout", "90s"];
    let said = explain(&scratch, &[&["--model", "stable_diffusion_xl_turbo", "gpu-7", "--json"], &flag[..]].concat());
    let explained: Value = serde_json::from_str(&said.out).expect("JSON");
    let worker = &explained["workers"][0];
    let progress = row(worker, "progress_timeout");
    assert_eq!((&progress["layer"], &progress["source"]), (&"flag".into(), &"--inference-step-timeout".into()));
    assert_eq!((&row(worker, "loading_timeout")["text"], &row(worker, "max_passes")["text"]), (&"5m".into(), &"4".into()));
}

#[test]
fn a_model_is_explained_with_no_segment_at_all() {
    let scratch = Scratch::new();
    let said = explain(&scratch, &["--model", "stable_diffusion_xl"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("a worker without a label, model stable_diffusion_xl\n"), "{}", said.out);
    let line = said.out.lines().find(|line| line.trim_start().starts_with("max_passes")).expect("its line");
    assert!(line.contains(" 3 ") && line.contains("policy.yaml:7 (models.\"stable_diffusion_xl*\")"), "{line}");
    let base = explain(&scratch, &[]);
    let line = base.out.lines().find(|line| line.trim_start().starts_with("max_passes")).expect("its line");
    assert!(line.contains("16") && line.contains("default"), "without a model no entry is in force: {line}");
    assert!(!scratch.segment().exists(), "nothing is made");
}

#[test]
fn a_lease_in_force_is_shown_and_one_that_ended_is_not() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let mut worker = attached(&segment, "gpu-0", "flux");
    worker.extend(Duration::from_secs(7200));
    let lease = explained(&scratch, "gpu-0")["workers"][0]["lease"].clone();
    assert_eq!((&lease["asked_s"], &lease["honoured_s"]), (&7200.0.into(), &1800.0.into()), "max_lease is 30m: {lease}");
    assert_eq!(lease["left_s"], 1800.0, "no more is left than is honoured: {lease}");
    let path = segment.path().display().to_string();
    let said = explain(&scratch, &["gpu-0", "--segment", &path]);
    assert!(said.out.contains("its lease of 2h00m, honoured for 30m00s, at most 30m00s left: until then, "), "{}", said.out);
    worker.phase(Phase::PostProcessing);
    assert!(explained(&scratch, "gpu-0")["workers"][0]["lease"].is_null(), "a change of phase ends a lease");
}

#[test]
fn a_lease_of_a_worker_without_stamps_is_shown_without_what_is_left_of_it() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let mut worker = Attach::new().name("gpu-0").without_stamps().attach_to(&segment).expect("a slot");
    worker.extend(Duration::from_secs(60));
    let lease = explained(&scratch, "gpu-0")["workers"][0]["lease"].clone();
    assert_eq!((&lease["asked_s"], &lease["left_s"]), (&60.0.into(), &Value::Null));
}

#[test]
fn a_label_is_of_a_worker_and_its_lanes_and_a_number_of_one_slot() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let worker = attached(&segment, "gpu-0", "flux");
    let mut lane = worker.lane("second").expect("a slot");
    lane.begin_job("b2", "stable_diffusion_xl", Total::Unknown);
    let both = explained(&scratch, "gpu-0");
    let models: Vec<_> = both["workers"].as_array().expect("a list").iter().map(|worker| worker["model"].clone()).collect();
    assert_eq!(models, ["flux", "stable_diffusion_xl"], "each slot has its own job's model");
    assert_eq!(row(&both["workers"][1], "max_passes")["value"], 3, "and that model's values");
    let one = explained(&scratch, "1");
    assert_eq!((one["workers"].as_array().map(Vec::len), &one["workers"][0]["lane"]), (Some(1), &"second".into()));
}

#[test]
fn a_monitor_with_other_values_is_told_apart() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _watch = Monitor::watch(&segment, "--poll 100ms");
    let segment = Arc::new(segment);
    let _worker = attached(&segment, "gpu-0", "flux");
    let path = segment.path().display().to_string();
    let said = explain(&scratch, &["0", "--segment", &path]);
    let other = "its monitor polls every 0.1s: it was started with other values than these\n";
    assert!(said.out.contains(other), "{}", said.out);
    let same = explain(&scratch, &["0", "--poll", "100ms", "--segment", &path]);
    assert!(!same.out.contains("other values") && same.out.contains("100ms"), "{}", same.out);
}

#[test]
fn nobody_of_that_name_and_no_such_segment_are_exit_code_3_with_the_way_out() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let _worker = attached(&segment, "gpu-0", "flux");
    let path = segment.path().display().to_string();
    for target in ["nobody", "7", "GPU-0"] {
        let said = explain(&scratch, &[target, "--segment", &path]);
        assert_eq!(said.code, Some(3), "{}", said.err);
        assert!(said.err.starts_with(&format!("hangwatch: cannot explain worker '{target}': ")), "{}", said.err);
        assert!(said.err.contains("'hangwatch status' lists the workers"), "{}", said.err);
    }
    let gone = explain(&scratch, &["gpu-0", "--segment", &format!("{path}-gone")]);
    assert_eq!(gone.code, Some(3), "{}", gone.err);
}

#[test]
fn a_policy_that_does_not_hold_is_refused_before_anything_is_explained() {
    let scratch = Scratch::new();
    let file = scratch.file("bad.yaml", "hangwatch: 1\nmodels:\n  \"sdxl*\":\n    poll_interval: 2s\n");
    let said = said(hangwatch().args(["explain", "--model", "sdxl", "--config"]).arg(&file));
    assert_eq!(said.code, Some(2));
    let at = format!("cannot use poll_interval = 2s ({}:4, models.\"sdxl*\"): ", file.display());
    assert!(said.err.contains(&at) && said.err.contains("move it to the top level"), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.out);
}

#[test]
fn a_hostile_name_is_shown_and_never_sent_to_a_terminal() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let _worker = attached(&segment, "evil\u{1b}[2J\nforged", "model\u{1b}[2J\nforged");
    let path = segment.path().display().to_string();
    for arguments in [&["0", "--segment", &path][..], &["0", "--json", "--segment", &path]] {
        let said = explain(&scratch, arguments);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(!said.out.contains('\u{1b}') && !said.out.lines().any(|line| line.starts_with("forged")), "{:?}", said.out);
        assert!(said.out.contains("evil") && said.out.contains("model"), "it is shown all the same: {}", said.out);
    }
}

#[test]
fn what_was_learnt_is_a_value_with_its_source_and_outlives_the_monitor() {
    let scratch = Scratch::new();
    let segment = Arc::new(scratch.made());
    let mut command = hangwatch();
    command.env("HANGWATCH_ADAPTIVE", "suspect").env("HANGWATCH_POLL_INTERVAL", "20ms");
    let mut watch = Monitor::start(command.args(["watch", "--events", "-", "--segment"]).arg(segment.path()));
    let mut worker = attached(&segment, "learns", "stable_diffusion_xl");
    let polls = || segment.header().peek_monitor().beat.count();
    for done in 1..=40 {
        worker.step(done);
        let seen = polls();
        until(|| polls() > seen + 1);
    }
    assert_eq!(watch.stop(), Some(0));
    let said = explain(&scratch, &["learns", "--json", "--segment", &segment.path().display().to_string()]);
    let explained: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.err));
    let learnt = explained["workers"][0]["learnt"].as_array().expect("a list");
    let rest = learnt.iter().find(|row| row["part"] == "rest" && row["model"] == "stable_diffusion_xl");
    let rest = rest.unwrap_or_else(|| panic!("gaps between steps: {learnt:#?}"));
    assert!(rest["gaps"].as_u64().is_some_and(|gaps| gaps >= 20), "{rest}");
    assert!(rest["source"].as_str().is_some_and(|source| source.ends_with(".learnt")), "{rest}");
    let kept = std::fs::read(hangwatch::monitor::learnt_path(&segment)).expect("kept");
    let mut again = Monitor::watch(&segment, "");
    assert_eq!(again.stop(), Some(0));
    assert_eq!(std::fs::read(hangwatch::monitor::learnt_path(&segment)).ok(), Some(kept), "a restart loses nothing");
}
