//! A monitor that is killed in the middle of an episode, and the one that is started after it: the same episode, the same
//! age, nobody accused, nobody killed.

mod common;

use common::{Monitor, Scratch, c_worker, clock, hangwatch, let_pass, status, until, worker};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use hangwatch::{Attach, Total, Worker};
use serde_json::Value;

const FLAGS: &str = "--inference-step-timeout 1s --poll 100ms";
/// More patient than any test is long.
const PATIENT: &str = "--inference-step-timeout 1h --poll 100ms";

/// A worker of this process, in a job that stands still.
fn hangs(segment: &Segment) -> Worker {
    let attach = Attach::new().segment(segment.path().to_string_lossy()).name("hung");
    let mut worker = attach.attach().expect("a slot");
    worker.begin_job("j", "model", Total::Known(10));
    worker.step(1);
    worker
}

fn kill(monitor: Monitor) {
    monitor.held.signal(libc::SIGKILL);
    drop(monitor);
}

/// A `watch` that reminds after a second, once it has polled.
fn watch(segment: &Segment, flags: &str) -> Monitor {
    let mut command = hangwatch();
    command.args(["watch", "--events", "-", "--segment"]).arg(segment.path()).args(flags.split_whitespace());
    let monitor = Monitor::start(command.env("HANGWATCH_REMINDER", "1s"));
    polled(segment, &monitor, 1);
    monitor
}

/// Waits until it has polled so often.
fn polled(segment: &Segment, monitor: &Monitor, polls: u64) {
    until(|| {
        let words = segment.header().peek_monitor();
        words.owner.pid() == monitor.held.pid() && words.beat.count() >= polls
    });
}

/// How long a closed episode lasted, from its `for 12.3s` or `after 1m 2s`.
fn lasted(closed: &Value) -> f64 {
    let detail = closed["detail"].as_str().expect("how long it lasted");
    let number = detail.split("for ").nth(1).and_then(|rest| rest.split('s').next()).and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("seconds: {closed}"))
}

#[test]
fn an_episode_goes_on_over_three_kills_of_its_monitor() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut hung = hangs(&segment);
    let mut first = watch(&segment, FLAGS);
    let opened = first.next("opened");
    let (episode, opened_at) = (opened["episode"].clone(), clock(&segment));
    let mut now = first;
    for restart in 1..=3 {
        let before = clock(&segment);
        kill(now);
        now = watch(&segment, FLAGS);
        let age = || status(segment.path())["workers"][0]["progress_age_s"].as_f64().expect("an age");
        assert!(age() >= 1.0, "restart {restart}: its age is kept from the first poll on");
        polled(&segment, &now, 2);
        let worker = &status(segment.path())["workers"][0];
        assert_eq!(worker["verdict"], "silent", "restart {restart}: called what it was, within two intervals");
        assert_eq!(segment.slot(0).expect("its slot").peek_seen().episode, episode.as_u64().expect("a number"));
        assert!(clock(&segment) >= before, "the clock goes on");
        // Reminders at one, three and seven seconds after the opening; what a test reads is in the order it was told.
        let reminder = now.next("reminder");
        assert_eq!(reminder["episode"], episode, "restart {restart}");
        assert_eq!(now.kinds(), ["reminder"], "restart {restart}: it is not opened anew, and nothing is said to be done");
    }
    let least = clock(&segment) - opened_at;
    hung.step(2);
    let closed = now.next("closed");
    assert_eq!((&closed["episode"], &closed["verdict"]), (&episode, &"silent".into()), "the end names the same one");
    assert!(lasted(&closed) >= least, "it lasted since it was opened: {closed}, at least {least}");
    assert_eq!(now.stop(), Some(0));
}

#[test]
fn a_worker_that_recovered_without_a_monitor_is_told_of_once() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut hung = hangs(&segment);
    let mut first = watch(&segment, FLAGS);
    let opened = first.next("opened");
    kill(first);
    hung.step(2);
    let mut second = watch(&segment, FLAGS);
    polled(&segment, &second, 3);
    let closed = second.next("closed");
    assert_eq!((&closed["episode"], &closed["worker"]), (&opened["episode"], &"hung".into()));
    hung.step(3);
    kill(second);
    hung.step(4);
    let mut third = watch(&segment, PATIENT);
    let_pass(&segment, 1.0);
    assert_eq!(third.stop(), Some(0));
    assert_eq!(third.kinds(), [""; 0], "it is over, and said so: {:#?}", third.events);
}

#[test]
fn another_policy_ends_the_episode_under_its_number_or_goes_on_with_it() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _hung = hangs(&segment);
    let mut first = watch(&segment, FLAGS);
    let opened = first.next("opened");
    kill(first);
    let mut second = watch(&segment, "--inference-step-timeout 500ms --poll 100ms");
    second.next("reminder");
    assert_eq!(second.kinds(), ["reminder"], "less patient: it is hung as before");
    kill(second);
    let mut third = watch(&segment, PATIENT);
    let closed = third.next("closed");
    assert_eq!(closed["episode"], opened["episode"], "more patient: it is not hung any more, and that is told");
    let_pass(&segment, 0.5);
    assert_eq!(third.stop(), Some(0));
    assert_eq!(third.kinds(), ["closed"]);
}

#[test]
fn an_episode_of_a_worker_that_left_without_a_monitor_is_closed_and_its_successor_is_nobodys_heir() {
    for comes_another in [false, true] {
        let scratch = Scratch::new();
        let segment = scratch.made();
        let hung = hangs(&segment);
        let mut first = watch(&segment, FLAGS);
        let opened = first.next("opened");
        kill(first);
        drop(hung);
        let slot = segment.slot(0).expect("its slot");
        assert_eq!(slot.peek_owner().tag(), Tag::Free);
        let next = comes_another.then(|| worker(c_worker(), segment.path(), "next", "--steps 1000000 --step-ms 20"));
        let mut second = watch(&segment, FLAGS);
        let closed = second.next("closed");
        assert_eq!([&closed["episode"], &closed["generation"]], [&opened["episode"], &opened["generation"]]);
        assert!(closed["detail"].as_str().is_some_and(|detail| detail.contains("left the slot")), "{closed}");
        assert_eq!(slot.peek_seen().episode, 0, "the slot forgets it");
        let_pass(&segment, 1.5);
        kill(second);
        let mut third = watch(&segment, FLAGS);
        let_pass(&segment, 0.5);
        assert_eq!(third.stop(), Some(0));
        assert_eq!(third.kinds(), [""; 0], "told once, and of nobody else: {:#?}", third.events);
        drop(next);
    }
}

#[test]
fn a_stopped_worker_stays_stopped_under_its_number() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let held = worker(c_worker(), segment.path(), "", "--steps 1000000 --step-ms 20");
    let mut first = watch(&segment, FLAGS);
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.progress < u64::MAX)));
    held.signal(libc::SIGSTOP);
    let opened = first.next("opened");
    assert_eq!(opened["verdict"], "stopped");
    kill(first);
    let mut second = watch(&segment, FLAGS);
    let_pass(&segment, 2.0);
    held.signal(libc::SIGCONT);
    let closed = second.next("closed");
    assert_eq!((&closed["episode"], &closed["verdict"]), (&opened["episode"], &"stopped".into()));
    assert_eq!(second.stop(), Some(0));
    let kinds: Vec<_> = second.kinds().into_iter().filter(|kind| *kind != "reminder").collect();
    assert_eq!(kinds, ["closed"], "no successor takes a stop for a hang: {:#?}", second.events);
}

#[test]
fn a_run_that_takes_a_segment_over_acts_on_nobody_at_its_first_poll() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut hung = hangs(&segment);
    let mut first = watch(&segment, "--inference-step-timeout 2s --poll 100ms");
    let opened = first.next("opened");
    kill(first);
    let program = c_worker().to_str().expect("a UTF-8 path");
    let mut run = Monitor::run(
        segment.path(),
        "--inference-step-timeout 2s --poll 1s",
        &[program, "--steps", "1000000", "--step-ms", "20"],
    );
    // Its own worker is what it acts on; the other one is told of at the second poll, under its number.
    let would = run.next("would_act");
    assert_eq!(would["episode"], opened["episode"]);
    assert!(segment.header().peek_monitor().beat.count() >= 2, "the first poll is nobody's");
    assert!(run.of_kind("opened").is_empty() && run.of_kind("action").is_empty(), "{:#?}", run.events);
    hung.step(2);
    assert_eq!(run.next("closed")["episode"], opened["episode"]);
    assert_eq!(run.stop(), Some(0));
}
