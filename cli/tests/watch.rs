//! `hangwatch watch` beside workers that others spawn: what it tells, whom it refuses to touch, what it survives.

mod common;

use common::{Monitor, Scratch, assert_first_poll, c_worker, clock, hangwatch, let_pass, said, status, until, worker};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use hangwatch::{Attach, Outcome, Total};
use std::time::Duration;

const FLAGS: &str = "--inference-step-timeout 1s --poll 100ms";
/// One job without end: no budget of seconds runs before it and between two.
const WORKS: &str = "--steps 1000000 --step-ms 50";

fn progress(segment: &Segment, slot: u32) -> u64 {
    segment.slot(slot).and_then(|slot| slot.read_hot().ok()).map_or(u64::MAX, |hot| hot.progress)
}

#[test]
fn a_second_monitor_is_refused_and_names_the_first() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut first = Monitor::watch(&segment, FLAGS);
    for second in [&["watch"][..], &["run"]] {
        let mut command = hangwatch();
        command.args(second).arg("--segment").arg(segment.path());
        let command = if second == ["run"] { command.args(["--", "true"]) } else { &mut command };
        let said = said(command);
        assert_eq!(said.code, Some(4), "{second:?}: {}", said.err);
        assert!(said.err.contains(&format!("another monitor is alive (pid {})", first.held.pid())), "{}", said.err);
    }
    assert_eq!(first.stop(), Some(0), "the first one goes on until it is stopped");
}

#[test]
fn a_job_that_stands_still_at_half_and_keeps_beating_is_stalled() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let held = worker(c_worker(), segment.path(), "stuck", "--steps 8 --step-ms 50 --hang-at 50 --beat-while-hung");
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["worker"]), (&"stalled".into(), &"stuck".into()));
    assert_eq!((&opened["done"], &opened["total"], &opened["pid"]), (&4.into(), &8.into(), &held.pid().into()));
    assert_first_poll(&opened, "progress_age_s", 1.0, 0.1, watch.of_kind("monitor_gap").len());
    let would = watch.next("would_act");
    assert_eq!(would["episode"], opened["episode"], "it says what it would do, of the same episode");
    let_pass(&segment, 1.0);
    assert_eq!(
        status(segment.path())["workers"][0]["verdict"],
        "stalled",
        "it still is, and still there: a watcher acts on nobody"
    );
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.kinds(), ["opened", "would_act"], "told once an episode");
}

#[test]
fn steps_to_a_quarter_and_then_silence_are_silent_at_the_budget() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let _held = worker(c_worker(), segment.path(), "", "--steps 8 --step-ms 300 --hang-at 25");
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["done"]), (&"silent".into(), &2.into()), "no step before it was called a hang");
    assert_first_poll(&opened, "heartbeat_age_s", 1.0, 0.1, watch.of_kind("monitor_gap").len());
}

#[test]
fn a_slow_step_under_a_lease_is_no_hang_and_the_same_without_one_is() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let mut worker = Attach::new().segment(segment.path().to_string_lossy()).attach().expect("a slot");
    worker.begin_job("slow", "model", Total::Known(4));
    worker.step(1);
    worker.extend(Duration::from_secs(60));
    let_pass(&segment, 1.3);
    worker.step(2);
    let opened = watch.next("opened");
    assert_eq!(opened["done"], 2, "the first that is told of is the step without a lease, not the one with it");
    worker.step(3);
    worker.end_job(Outcome::Ok);
    assert_eq!(watch.next("closed")["episode"], opened["episode"]);
}

#[test]
fn a_worker_that_somebody_stopped_is_stopped_and_no_hang() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let held = worker(c_worker(), segment.path(), "", WORKS);
    until(|| progress(&segment, 0) < u64::MAX);
    held.signal(libc::SIGSTOP);
    assert_eq!(watch.next("opened")["verdict"], "stopped");
    let_pass(&segment, 2.0);
    held.signal(libc::SIGCONT);
    assert_eq!(watch.next("closed")["verdict"], "stopped", "its budgets did not run meanwhile");
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.kinds(), ["opened", "closed"], "a warning: nothing would be done about it");
}

#[test]
fn a_worker_killed_with_a_job_open_is_dead_its_job_is_named_and_its_slot_is_free() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let mut watch = Monitor::watch(&segment, FLAGS);
    let mut held = worker(c_worker(), segment.path(), "victim", WORKS);
    // Judged once with its job: a monitor that has not seen it could not name it.
    until(|| progress(&segment, 0) < u64::MAX);
    let_pass(&segment, 0.3);
    held.signal(libc::SIGKILL);
    held.wait();
    let opened = watch.next("opened");
    assert!(["dead", "zombie"].contains(&opened["verdict"].as_str().unwrap_or_default()), "proof of death: {opened}");
    let job = format!("c-{}-", held.pid());
    let lost = watch.next("lost_job");
    assert!(lost["job"].as_str().is_some_and(|id| id.starts_with(&job)), "the lost job is named: {lost}");
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.peek_owner().tag() == Tag::Free);
    let before = slot.peek_owner().generation();
    let _next = worker(c_worker(), segment.path(), "next", WORKS);
    assert_eq!(slot.peek_owner().generation(), before.wrapping_add(1), "the next worker gets the slot");
}

#[test]
fn a_monitor_that_was_stopped_for_five_budgets_accuses_nobody() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let _held = worker(c_worker(), segment.path(), "", WORKS);
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.read_hot().is_ok_and(|hot| hot.stamp_ns > 0));
    let stamp = || slot.read_hot().map_or(0, |hot| hot.stamp_ns);
    let from = stamp();
    let before = clock(&segment);
    watch.held.signal(libc::SIGSTOP);
    until(|| stamp() >= from + 5_000_000_000);
    watch.held.signal(libc::SIGCONT);
    watch.next("monitor_gap");
    let_pass(&segment, 1.5);
    assert!(clock(&segment) > before, "it went on judging");
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.kinds(), [""; 0], "a worker that went on working is told of by nobody: {:#?}", watch.events);
}

#[test]
fn a_monitor_that_is_killed_kills_nobody_and_its_successor_keeps_a_hung_workers_age() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let flags = "--inference-step-timeout 4s --poll 100ms";
    let first = Monitor::watch(&segment, flags);
    let hung = worker(c_worker(), segment.path(), "hung", "--steps 4 --step-ms 10 --hang-at 25");
    let _works = worker(c_worker(), segment.path(), "works", WORKS);
    until(|| progress(&segment, 0) == 1);
    let_pass(&segment, 2.0);
    first.held.signal(libc::SIGKILL);
    drop(first);
    let mut second = Monitor::watch(&segment, flags);
    let status = status(segment.path());
    assert_eq!(status["workers"][0]["pid"], hung.pid());
    let age = status["workers"][0]["progress_age_s"].as_f64();
    assert!(
        age.is_some_and(|age| age >= 1.8),
        "but for the poll that saw the step, the age goes on where the former monitor left it: {status}"
    );
    let opened = second.next("opened");
    assert_eq!((&opened["worker"], &opened["verdict"]), (&"hung".into(), &"silent".into()), "the one that hangs is told of");
    assert_first_poll(&opened, "heartbeat_age_s", 4.0, 0.1, second.of_kind("monitor_gap").len());
    assert_eq!(second.stop(), Some(0));
    assert!(second.events.iter().all(|event| event["worker"] != "works"), "the one that works never: {:#?}", second.events);
}
