//! Workers and monitors in pid, time and user namespaces of their own, real processes: a hang is found in time and with right
//! ages wherever either lives, by the monitor's clock and no other; it is ended only where it is proven whose it is.

mod common;

use common::places::{
    ALL, PID, PID_AND_PROC, Place, TIME, USER, behind, forbidden, hangwatch_in, linux, monitor_in, placed, stop, watch_in,
    worker_in,
};
use common::{Held, Monitor, Scratch, assert_first_poll, c_worker, let_pass, process, said, signal, skip, status, until};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;

const BUDGET: f64 = 0.5;
const POLL: f64 = 0.05;
const ACT: &str = "--mode act --inference-step-timeout 500ms --poll 50ms --grace 300ms";
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20";
const HERE: Place = &[];

fn tag(segment: &Segment, slot: u32) -> Tag {
    segment.slot(slot).expect("inside").peek_owner().tag()
}

fn is_in_a_job(segment: &Segment, slot: u32) -> bool {
    segment.slot(slot).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.done().is_some()))
}

/// The one hang of `watch`: found at the first poll past its budget, by ages that are neither the worker's clocks nor days.
fn found_in_time(watch: &mut Monitor) -> Value {
    let opened = watch.next("opened");
    assert_eq!(opened["verdict"], "silent", "{opened}");
    let gaps = watch.of_kind("monitor_gap").len();
    assert_first_poll(&opened, "heartbeat_age_s", BUDGET, POLL, gaps);
    assert_first_poll(&opened, "progress_age_s", BUDGET, POLL, gaps);
    for age in ["heartbeat_age_s", "progress_age_s"] {
        assert!(opened[age].as_f64().is_some_and(|age| age < 3600.0), "no clock of another namespace is in it: {opened}");
    }
    opened
}

/// A worker in `of_worker` hangs, a monitor in `of_monitor` finds it; it ends it if `spared_because` is `None`, else it tells
/// that reason and lets it live.
fn hangs(of_worker: Place, of_monitor: Place, spared_because: Option<&str>) {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker_in(of_worker, c_worker(), segment.path(), HANGS);
    let mut healthy = worker_in(of_worker, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let mut watch = watch_in(of_monitor, &segment, ACT);
    let opened = found_in_time(&mut watch);
    let case = format!("worker in {of_worker:?}, monitor in {of_monitor:?}");
    assert_eq!(opened["slot"], 0, "{case}");
    match spared_because {
        None => {
            let lost = watch.next("lost_job");
            assert_eq!((&lost["job"], &lost["slot"]), (&opened["job"], &0.into()), "{case}");
            held.wait();
            until(|| tag(&segment, 0) == Tag::Free);
        }
        Some(why) => {
            let would = watch.next("would_act");
            assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{case}: expected '{why}': {would}");
            let_pass(&segment, 1.0);
            assert!(held.is_alive() && tag(&segment, 0) == Tag::Live, "no proof, no signal: {case}");
        }
    }
    assert!(healthy.is_alive(), "{case}");
    assert_eq!(stop(&mut watch), Some(0), "{case}");
    let acted = if spared_because.is_none() { "action" } else { "would_act" };
    assert!(watch.acts().iter().all(|event| event["slot"] == 0), "{case}: {:#?}", watch.events);
    assert!(watch.acts().iter().any(|event| event["event"] == acted), "{case}: {:#?}", watch.events);
    assert_eq!(watch.verdicts(), ["silent"], "of nobody is anything else said: {case}: {:#?}", watch.events);
}

/// Runs each that this machine allows.
fn each(test: &str, cases: &[(Place, Place, Option<&str>)]) {
    for (of_worker, of_monitor, spared_because) in cases {
        let why = [of_worker, of_monitor].into_iter().filter(|place| !place.is_empty()).find_map(|place| forbidden(place));
        match why {
            Some(why) => skip(&format!("{test}: {why}")),
            None => hangs(of_worker, of_monitor, *spared_because),
        }
    }
}

#[test]
fn a_worker_that_hangs_in_namespaces_of_its_own_is_found_and_ended_from_outside() {
    // The first process of a pid namespace is known by its lock and by its inode, not by its number, which is 1.
    each(
        "a_worker_that_hangs_in_namespaces_of_its_own_is_found_and_ended_from_outside",
        &[(PID, HERE, None), (TIME, HERE, None), (USER, HERE, None), (ALL, HERE, None)],
    );
}

#[test]
fn a_monitor_in_namespaces_of_its_own_finds_a_worker_outside_and_ends_it_only_where_it_can_see_it() {
    let unseen = Some("it runs in a pid namespace that cannot be seen from here: watch from the host, or from its own container");
    each(
        "a_monitor_in_namespaces_of_its_own_finds_a_worker_outside_and_ends_it_only_where_it_can_see_it",
        &[(HERE, PID, unseen), (HERE, PID_AND_PROC, unseen), (HERE, TIME, None), (HERE, USER, None), (HERE, ALL, unseen)],
    );
}

#[test]
fn in_two_namespaces_side_by_side_a_hang_is_found_and_only_told_of() {
    let unseen = Some("it runs in a pid namespace that cannot be seen from here");
    each(
        "in_two_namespaces_side_by_side_a_hang_is_found_and_only_told_of",
        &[(PID_AND_PROC, PID_AND_PROC, unseen), (ALL, ALL, unseen), (TIME, TIME, None)],
    );
}

#[test]
fn a_run_in_namespaces_of_its_own_replaces_its_own() {
    const TEST: &str = "a_run_in_namespaces_of_its_own_replaces_its_own";
    for place in [PID, TIME, USER, ALL] {
        if let Some(why) = forbidden(place) {
            skip(&format!("{TEST}: {why}"));
            continue;
        }
        let scratch = Scratch::new();
        let mut command = hangwatch_in(place);
        command.args(["run", "--events", "-", "--segment"]).arg(scratch.segment());
        command.args("--inference-step-timeout 500ms --poll 50ms --grace 300ms --max-restarts 100".split(' '));
        command.arg("--").arg(c_worker()).args(HANGS.split(' ')).env("HANGWATCH_BACKOFF", "10ms");
        let mut run = monitor_in(place, &mut command);
        let opened = found_in_time(&mut run);
        let replaced = run.next("replaced");
        assert_eq!(replaced["job"], opened["job"], "{place:?}");
        assert_eq!(replaced["slot"], opened["slot"], "{place:?}");
        // Its replacement hangs as well, and is found by the same clock.
        run.next("replaced");
        assert!(run.verdicts().iter().all(|verdict| *verdict == "silent"), "{place:?}: {:#?}", run.events);
        assert_eq!(stop(&mut run), Some(0), "{place:?}");
        assert!(!scratch.segment().exists(), "it ended well in {place:?}");
    }
}

/// The shell is process 1, does what comes `first`, starts the worker, and becomes the monitor.
fn together(place: Place, test: &str, first: &str) -> Option<(Scratch, Monitor)> {
    if let Some(why) = forbidden(place) {
        skip(&format!("{test}: {why}"));
        return None;
    }
    let scratch = Scratch::new();
    let script = format!("{first} \"$1\" $2 & exec \"$0\" watch --events - --segment \"$HANGWATCH_SEGMENT\" $3");
    let mut command = placed(place, "sh");
    command.arg("-c").arg(script).arg(common::hangwatch().get_program()).arg(c_worker()).args([HANGS, ACT]);
    command.env("HANGWATCH_SEGMENT", scratch.segment()).env("HANGWATCH_EVIDENCE", "none");
    let monitor = monitor_in(place, &mut command);
    Some((scratch, monitor))
}

#[test]
fn a_worker_beside_its_monitor_in_one_namespace_is_ended_where_proc_is_theirs() {
    const TEST: &str = "a_worker_beside_its_monitor_in_one_namespace_is_ended_where_proc_is_theirs";
    let Some((_scratch, mut watch)) = together(PID_AND_PROC, TEST, "") else { return };
    found_in_time(&mut watch);
    watch.next("lost_job");
    assert_eq!(stop(&mut watch), Some(0));
    assert_eq!(watch.verdicts(), ["silent"], "{:#?}", watch.events);
}

#[test]
fn where_proc_is_another_namespaces_its_strangers_are_taken_for_nobody() {
    const TEST: &str = "where_proc_is_another_namespaces_its_strangers_are_taken_for_nobody";
    // Somebody outside is stopped, and the worker has the same number in its own namespace.
    let mut stranger = Held::start(common::command("sh").args(["-c", "echo here; exec sleep 1000000"]));
    stranger.line_with("here");
    stranger.signal(libc::SIGSTOP);
    let number = format!("echo {} > /proc/sys/kernel/ns_last_pid || exit;", stranger.pid() - 1);
    let Some((scratch, mut watch)) = together(PID, TEST, &number) else { return };
    found_in_time(&mut watch);
    let segment = Segment::open_read_only(&scratch.segment()).expect("the worker made it");
    assert_eq!(segment.slot(0).expect("inside").peek_owner().pid(), stranger.pid(), "else nothing is shown here");
    let would = watch.next("would_act");
    let why = "/proc is not mounted for this pid namespace, so its user cannot be asked for";
    assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{would}");
    assert_eq!(stop(&mut watch), Some(0));
    assert_eq!(watch.verdicts(), ["silent"], "not 'stopped', as the stranger is: {:#?}", watch.events);
    assert!(stranger.is_alive());
}

#[test]
fn a_worker_that_is_killed_in_a_namespace_below_is_dead_at_once_and_its_slot_is_free() {
    const TEST: &str = "a_worker_that_is_killed_in_a_namespace_below_is_dead_at_once_and_its_slot_is_free";
    if let Some(why) = forbidden(PID_AND_PROC).or_else(no_handles_by_inode) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    // Before there is a monitor, and while there is one.
    let mut before = worker_in(PID_AND_PROC, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let mut after = worker_in(PID_AND_PROC, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    (0..2).for_each(|slot| until(|| is_in_a_job(&segment, slot)));
    let kill = |held: &mut Held| {
        signal(behind(held.pid()).into(), libc::SIGKILL);
        held.wait();
    };
    kill(&mut before);
    let verdicts = |status: &Value| -> Vec<String> {
        let workers = status["workers"].as_array().expect("a list").iter();
        workers.map(|worker| worker["verdict"].as_str().expect("a word").to_owned()).collect()
    };
    assert_eq!(verdicts(&status(segment.path())), ["dead", "ok"], "without a monitor too: no process has its inode");
    let mut watch = watch_in(HERE, &segment, "--poll 50ms --inference-step-timeout 1h");
    watch.next("lost_job");
    until(|| tag(&segment, 0) == Tag::Free);
    kill(&mut after);
    watch.next("lost_job");
    until(|| tag(&segment, 1) == Tag::Free);
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.verdicts(), ["dead", "dead"], "long before a budget is spent: {:#?}", watch.events);
}

#[test]
fn a_worker_that_is_killed_two_namespaces_below_is_dead_for_the_monitor_in_between() {
    const TEST: &str = "a_worker_that_is_killed_two_namespaces_below_is_dead_for_the_monitor_in_between";
    if let Some(why) = forbidden(PID_AND_PROC).or_else(no_handles_by_inode) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let script = "unshare --pid --fork --kill-child --mount-proc \"$1\" --steps 1000000 --step-ms 20 &
        exec \"$0\" watch --events - --segment \"$HANGWATCH_SEGMENT\" --mode act --poll 50ms --inference-step-timeout 1h";
    let mut command = placed(PID_AND_PROC, "sh");
    command.args(["-c", script]).arg(common::hangwatch().get_program()).arg(c_worker());
    command.env("HANGWATCH_SEGMENT", segment.path()).env("HANGWATCH_EVIDENCE", "none");
    let mut watch = monitor_in(PID_AND_PROC, &mut command);
    until(|| is_in_a_job(&segment, 0) && segment.header().peek_monitor().beat.count() > 0);
    let polled = segment.header().peek_monitor().beat;
    until(|| segment.header().peek_monitor().beat.0 > polled.0 + 2);
    let own_unshare = process::children(behind(watch.held.pid()))[0];
    signal(behind(own_unshare).into(), libc::SIGKILL);
    watch.next("lost_job");
    until(|| tag(&segment, 0) == Tag::Free);
    assert_eq!(stop(&mut watch), Some(0));
    assert_eq!(watch.verdicts(), ["dead"], "{:#?}", watch.events);
}

#[test]
fn a_worker_that_is_stopped_in_a_namespace_below_is_stopped_and_no_hang() {
    const TEST: &str = "a_worker_that_is_stopped_in_a_namespace_below_is_stopped_and_no_hang";
    if let Some(why) = forbidden(PID_AND_PROC).or_else(no_handles_by_inode) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker_in(PID_AND_PROC, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let mut watch = watch_in(HERE, &segment, ACT);
    until(|| is_in_a_job(&segment, 0));
    signal(behind(held.pid()).into(), libc::SIGSTOP);
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["pid"]), (&"stopped".into(), &1.into()), "by the number that it has here: {opened}");
    let_pass(&segment, 1.0);
    signal(behind(held.pid()).into(), libc::SIGCONT);
    watch.next("closed");
    assert_eq!(watch.stop(), Some(0));
    assert!(held.is_alive() && watch.acts().is_empty(), "{:#?}", watch.events);
}

#[test]
fn a_worker_that_is_killed_beyond_sight_is_silent_and_never_dead() {
    const TEST: &str = "a_worker_that_is_killed_beyond_sight_is_silent_and_never_dead";
    if let Some(why) = forbidden(PID_AND_PROC) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut held = worker_in(HERE, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let mut watch = watch_in(PID_AND_PROC, &segment, ACT);
    until(|| is_in_a_job(&segment, 0));
    held.signal(libc::SIGKILL);
    assert_eq!(held.wait().signal(), Some(libc::SIGKILL));
    found_in_time(&mut watch);
    let would = watch.next("would_act");
    let why = "its process holds no lock on its byte";
    assert!(would["detail"].as_str().is_some_and(|detail| detail.contains(why)), "a lock that is gone is a hint: {would}");
    let_pass(&segment, 1.0);
    assert_eq!(tag(&segment, 0), Tag::Live, "and no proof of death: its slot is still its own");
    assert_eq!(stop(&mut watch), Some(0));
    assert_eq!(watch.verdicts(), ["silent"], "{:#?}", watch.events);
}

/// Why no process can be opened by its inode here, if that is so.
fn no_handles_by_inode() -> Option<String> {
    let (major, minor) = linux();
    ((major, minor) < (6, 14)).then(|| format!("Linux {major}.{minor} opens no process by its inode (6.14 does)"))
}

#[test]
fn stamps_of_another_time_namespace_are_no_ages() {
    const TEST: &str = "stamps_of_another_time_namespace_are_no_ages";
    if let Some(why) = forbidden(TIME) {
        return skip(&format!("{TEST}: {why}"));
    }
    let scratch = Scratch::new();
    let segment = scratch.made();
    let _there = worker_in(TIME, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let _here = worker_in(HERE, c_worker(), segment.path(), "--steps 1000000 --step-ms 20");
    let seen_from = |place: Place| -> Vec<(Value, Value)> {
        let said = said(hangwatch_in(place).args(["status", "--json", "--segment"]).arg(segment.path()));
        let status: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err));
        let workers = status["workers"].as_array().expect("a list").iter();
        workers.map(|worker| (worker["verdict"].clone(), worker["heartbeat_age_s"].clone())).collect()
    };
    for (place, known) in [(HERE, 1), (TIME, usize::MAX)] {
        for (slot, (verdict, age)) in seen_from(place).into_iter().enumerate() {
            if slot == known {
                assert_eq!(verdict, "ok", "a stamp of our own clock");
                assert!(age.as_f64().is_some_and(|age| age < 3600.0), "{age}");
            } else {
                assert_eq!((verdict, age), ("unknown".into(), Value::Null), "slot {slot} from {place:?}");
            }
        }
    }
    // With a monitor they are told by its clock, wherever the one lives who asks.
    let _watch = watch_in(TIME, &segment, "--poll 50ms");
    until(|| seen_from(HERE).iter().all(|(verdict, age)| verdict == "ok" && age.as_f64().is_some_and(|age| age < 3600.0)));
}
