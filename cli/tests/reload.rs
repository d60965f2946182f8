//! Thresholds by model at work, and a configuration that changes under a live monitor.

mod common;

use common::{Held, Monitor, Scratch, hangwatch, let_pass, until};
use hangwatch::segment::Segment;

const PATIENT: &str = "hangwatch: 1\nprogress_timeout: 1h\n";
const BY_MODEL: &str = "hangwatch: 1\nprogress_timeout: 1h\nmodels:\n  \"sdxl*\":\n    progress_timeout: 500ms\n";

/// A worker that stands still in its first job, and beats.
fn stalls(segment: &Segment, slot: u32, model: &str) -> Held {
    let mut command = hangwatch();
    command.args(["inject", "stall", "--step-time", "5ms", "--model", model, "--segment"]).arg(segment.path());
    let mut held = Held::start(&mut command);
    until(|| {
        assert!(held.is_alive(), "it stalls before it ends");
        segment.slot(slot).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.progress == 25))
    });
    held
}

fn watch(segment: &Segment, file: &std::path::Path) -> Monitor {
    Monitor::watch(segment, &format!("--poll 100ms --config {}", file.display()))
}

#[test]
fn each_worker_is_judged_by_the_budget_of_its_own_model() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _flux = stalls(&segment, 0, "flux");
    let _sdxl = stalls(&segment, 1, "sdxl_turbo");
    let mut watch = watch(&segment, &scratch.file("policy.yaml", BY_MODEL));
    let opened = watch.next("opened");
    assert_eq!((&opened["slot"], &opened["model"], &opened["budget_s"]), (&1.into(), &"sdxl_turbo".into(), &0.5.into()));
    let_pass(&segment, 1.0);
    watch.stop();
    assert_eq!(watch.of_kind("opened").len(), 1, "the other model's budget is an hour: {:#?}", watch.events);
}

#[test]
fn a_changed_file_is_in_force_at_a_signal_and_no_age_starts_anew() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.file("policy.yaml", PATIENT);
    let mut watch = watch(&segment, &file);
    let _worker = stalls(&segment, 0, "sdxl_turbo");
    // The first tenths may pass before the monitor has seen it stand still.
    let_pass(&segment, 1.5);
    scratch.file("policy.yaml", BY_MODEL);
    watch.held.signal(libc::SIGHUP);
    watch.next("config_reloaded");
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["budget_s"]), (&"stalled".into(), &0.5.into()));
    let age = opened["progress_age_s"].as_f64().expect("an age");
    assert!(age >= 1.2, "what had passed before the signal counts: {opened}");
}

#[test]
fn a_file_that_became_bad_is_told_of_and_the_policy_in_force_stays() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let file = scratch.file("policy.yaml", BY_MODEL);
    let mut watch = watch(&segment, &file);
    scratch.file("policy.yaml", "hangwatch: 1\nmodels:\n  \"sdxl*\":\n    progres_timeout: 1h\n");
    watch.held.signal(libc::SIGHUP);
    let rejected = watch.next("config_rejected");
    let detail = rejected["detail"].as_str().expect("why");
    assert!(detail.contains(&format!("{}:4", file.display())) && detail.contains("progress_timeout"), "{detail}");
    let _worker = stalls(&segment, 0, "sdxl_turbo");
    assert_eq!(watch.next("opened")["budget_s"], 0.5, "the old budget is in force");
    scratch.file("policy.yaml", PATIENT);
    watch.held.signal(libc::SIGHUP);
    watch.next("config_reloaded");
    assert_eq!(watch.next("closed")["slot"], 0, "under the new budget it is no hang any more");
}
