//! A real process for each verdict, seen by `hangwatch watch`, which says what it would do and does nothing.
//!
//! | verdict | here, unless another file is named |
//! |---|---|
//! | `dead`, `zombie`, `stopped`, `silent`, `looping`, `stalled`, `overdue`, `idle`, `ok` | the faults that `inject` plays |
//! | `unkillable` | `unkillable.rs` |
//! | `dead` of a process that was reaped | `a_worker_that_is_gone_before_anybody_looks_is_dead` |
//! | `foreign` | `a_slot_in_which_a_stranger_beats_is_foreign_…` |
//! | `thread_gone` | `a_worker_whose_claiming_thread_ended_…` |
//! | `never_started` | `a_worker_that_never_beats_…`, `a_command_that_never_attaches_…` |
//! | `starved`, `slow` | `guards.rs` |
//! | `suspect` | `a_job_that_is_silent_for_longer_than_it_ever_was_…` |

mod common;

use common::part::{attached, part, pass, playing};
use common::{Held, Monitor, Scratch, every_thread_is, hangwatch, let_pass, until};
use hangwatch::layout::header::HEADER_LEN;
use hangwatch::layout::word::{Beat, Tag};
use hangwatch::segment::Segment;
use hangwatch::{Outcome, Total};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Every budget that a fault here can spend is a second, and poll and reminder are short.
const POLICY: &str = "hangwatch: 1
poll_interval: 50ms
inference_step_timeout: 1s
starting_timeout: 1s
loading_timeout: 1s
post_processing_timeout: 1s
post_processing_per_batch: 0s
";

fn watch(scratch: &Scratch, segment: &Segment, more: &str) -> Monitor {
    let config = scratch.file("policy.yaml", &format!("{POLICY}{more}"));
    Monitor::watch(segment, &format!("--config {}", config.display()))
}

/// A worker with that fault, named after it.
fn inject(segment: &Path, fault: &str, flags: &str) -> Held {
    let mut command = hangwatch();
    command.args(["inject", fault, "--name", fault, "--segment"]).arg(segment);
    Held::start(command.args(flags.split_whitespace()))
}

/// A worker that plays in `test`, attached.
fn player(segment: &Path, test: &str) -> Held {
    let words = playing(test, "worker");
    let mut held = Held::start(common::command(&words[0]).args(&words[1..]).env("HANGWATCH_SEGMENT", segment));
    held.line_with(", slot ");
    held
}

#[test]
fn each_fault_that_can_be_played_has_the_verdict_that_it_deserves() {
    let faults = BTreeMap::from([
        ("none", "ok"),
        ("no-progress", "ok"),
        ("lease", "ok"),
        ("hang", "silent"),
        ("tail", "silent"),
        ("stall", "stalled"),
        ("stall-before-first-step", "stalled"),
        ("oom-flat", "stalled"),
        ("oom-loop", "looping"),
        ("load-deadlock", "overdue"),
        ("decode", "overdue"),
        // Nobody reaps them before the test ends.
        ("crash", "zombie"),
        ("exit", "zombie"),
        ("stop", "stopped"),
    ]);
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = watch(&scratch, &segment, "");
    let flags = "--steps 8 --step-time 50ms --slow 1s";
    let _workers: Vec<Held> = faults.keys().map(|fault| inject(segment.path(), fault, flags)).collect();
    let ill = faults.values().filter(|verdict| **verdict != "ok").count();
    let mut told = BTreeMap::new();
    while told.len() < ill {
        let opened = watch.next("opened");
        let text = |name: &str| opened[name].as_str().unwrap_or_else(|| panic!("{name}: {opened}")).to_owned();
        assert_eq!(told.insert(text("worker"), text("verdict")), None, "told once: {opened}");
    }
    let_pass(&segment, 2.0);
    assert_eq!(watch.stop(), Some(0));
    for (fault, verdict) in &faults {
        assert_eq!(told.get(*fault).map_or("ok", String::as_str), *verdict, "{fault}");
    }
    assert_eq!(watch.of_kind("opened").len(), ill, "nothing is told of the others: {:#?}", watch.events);
    for (fault, verdict) in faults {
        let would = watch.of_kind("would_act").into_iter().filter(|event| event["worker"] == fault).count();
        let acts = ["silent", "stalled", "looping", "overdue"].contains(&verdict);
        assert_eq!(would, usize::from(acts), "{fault}: a hang is acted on once, a death and a stop never");
    }
}

#[test]
fn every_verdict_that_acts_has_its_worker_replaced_by_the_one_that_spawned_it() {
    let faults = [
        ("hang", "silent"),
        ("tail", "silent"),
        ("stall", "stalled"),
        ("oom-flat", "stalled"),
        ("oom-loop", "looping"),
        ("load-deadlock", "overdue"),
        ("decode", "overdue"),
    ];
    let start = |fault| {
        let scratch = Scratch::new();
        let flags = format!("--grace 300ms --config {}", scratch.file("policy.yaml", POLICY).display());
        let program = env!("CARGO_BIN_EXE_hangwatch");
        let worker = [program, "inject", fault, "--steps", "8", "--step-time", "50ms"];
        (Monitor::run(&scratch.segment(), &flags, &worker), scratch)
    };
    let runs: Vec<_> = faults.iter().map(|(fault, _)| start(fault)).collect();
    for ((fault, verdict), (mut run, _scratch)) in faults.into_iter().zip(runs) {
        let opened = run.next("opened");
        assert_eq!(opened["verdict"], verdict, "{fault}: {opened}");
        let replaced = run.next("replaced");
        assert_eq!((&replaced["verdict"], &replaced["slot"]), (&verdict.into(), &opened["slot"]), "{fault}: {replaced}");
        assert_ne!(replaced["pid"], opened["pid"], "{fault}: another process has its slot");
        run.stop();
    }
}

#[test]
fn a_worker_that_is_gone_before_anybody_looks_is_dead() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let mut watch = watch(&scratch, &segment, "");
    let mut worker = inject(segment.path(), "hang", "--step-time 1ms");
    until(|| segment.slot(0).is_some_and(|slot| slot.peek_seen().beat.count() > 0));
    watch.held.signal(libc::SIGSTOP);
    // Until its last thread stands it might see a zombie.
    until(|| every_thread_is(watch.held.pid().into(), &['T']));
    worker.signal(libc::SIGKILL);
    worker.wait();
    watch.held.signal(libc::SIGCONT);
    assert_eq!(watch.next("opened")["verdict"], "dead");
    assert!(watch.next("lost_job")["job"].is_string());
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.peek_owner().tag() == Tag::Free);
}

#[test]
fn a_slot_in_which_a_stranger_beats_is_foreign_and_its_beats_are_not_credited() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let mut watch = watch(&scratch, &segment, "heartbeat_timeout: 3s\nprogress_timeout: 3s\n");
    let _worker = inject(segment.path(), "hang", "--step-time 1ms --at 0");
    let slot = segment.slot(0).expect("its slot");
    // The monitor has seen the owner beat.
    until(|| slot.read_hot().is_ok_and(|hot| hot.done().is_some() && slot.peek_seen().beat == hot.beat));
    // One that lost the slot and does not know it goes on: its words are of another generation.
    let file = std::fs::OpenOptions::new().write(true).open(segment.path()).expect("the segment's file");
    let mut beat = Beat::start(slot.peek_owner().generation().wrapping_add(7));
    let mut stranger = || {
        beat = Beat(beat.0 + 1);
        file.write_all_at(&beat.0.to_ne_bytes(), HEADER_LEN as u64).expect("into the first slot's first word");
    };
    until(|| {
        stranger();
        slot.peek_seen().verdict.verdict() == hangwatch::judge::Verdict::Foreign as u8
    });
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["done"]), (&"foreign".into(), &0.into()), "the owner's last words stand");
    // The stranger has ended; the owner was silent all the while.
    while watch.next("opened")["verdict"] != "silent" {}
    watch.next("would_act");
    assert_eq!(watch.stop(), Some(0));
    let verdicts = watch.verdicts();
    assert_eq!(verdicts, ["foreign", "silent"], "{:#?}", watch.events);
    assert!(watch.acts().iter().all(|event| event["verdict"] == "silent"), "a stranger is no reason to act: {:#?}", watch.events);
}

#[test]
fn a_worker_whose_claiming_thread_ended_is_warned_of_and_is_acted_on_once_its_budget_is_spent() {
    const TEST: &str = "a_worker_whose_claiming_thread_ended_is_warned_of_and_is_acted_on_once_its_budget_is_spent";
    if part().is_some() {
        let works = || {
            let mut worker = attached();
            worker.begin_job("orphan", "model", Total::Unknown);
            worker.step(1);
            // As a thread ends that panics in a program without unwinding, or is cancelled.
            std::mem::forget(worker);
        };
        std::thread::spawn(works).join().expect("it ended");
        loop {
            pass(1000);
        }
    }
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let mut watch = watch(&scratch, &segment, "");
    let _worker = player(segment.path(), TEST);
    let warned = watch.next("opened");
    assert_eq!(warned["verdict"], "thread_gone");
    assert!(warned["heartbeat_age_s"].as_f64().is_some_and(|age| age < 1.0), "before the budget is spent: {warned}");
    let acting = watch.next("opened");
    assert_eq!((&acting["verdict"], &acting["job"]), (&"thread_gone".into(), &"orphan".into()));
    assert!(acting["heartbeat_age_s"].as_f64().is_some_and(|age| age >= 1.0), "{acting}");
    assert_eq!(watch.next("would_act")["episode"], acting["episode"]);
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.kinds(), ["opened", "closed", "opened", "would_act"], "{:#?}", watch.events);
}

#[test]
fn a_worker_that_never_beats_is_never_started() {
    const TEST: &str = "a_worker_that_never_beats_is_never_started";
    if part().is_some() {
        let _worker = attached();
        loop {
            pass(1000);
        }
    }
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let mut watch = watch(&scratch, &segment, "");
    let _worker = player(segment.path(), TEST);
    assert_eq!(watch.next("opened")["verdict"], "never_started");
    watch.next("would_act");
}

#[test]
fn a_command_that_never_attaches_is_told_of_once_and_ended_only_where_that_is_asked() {
    for (flags, acts) in [("", false), ("--require-attach --max-restarts 1", true)] {
        let scratch = Scratch::new();
        let config = scratch.file("policy.yaml", POLICY);
        let flags = format!("--config {} {flags}", config.display());
        let mut run = Monitor::run(&scratch.segment(), &flags, &["sleep", "1000000"]);
        let opened = run.next("opened");
        assert_eq!(opened["verdict"], "never_started");
        assert!(opened["detail"].to_string().contains("never claimed"), "{opened}");
        if acts {
            run.next("replaced");
            let again = run.next("opened");
            assert_eq!(again["verdict"], "never_started", "each life is judged, and the second is no better");
            let ended: Vec<_> = run.of_kind("action").iter().map(|action| action["verdict"].clone()).collect();
            assert_eq!(ended, ["never_started"], "it is said why");
            assert_eq!((&opened["generation"], &again["generation"]), (&0.into(), &1.into()), "each by a reservation of its own");
            run.next("gave_up");
            assert_eq!(run.end(), Some(5), "none of them hangs for ever");
        } else {
            let_pass(&Segment::open_read_only(&scratch.segment()).expect("the segment"), 2.0);
            assert_eq!(run.kinds(), ["opened"], "any program may be wrapped: {:#?}", run.events);
            run.stop();
        }
    }
}

#[test]
fn a_run_that_observes_ends_no_command_that_never_attaches() {
    let scratch = Scratch::new();
    let config = scratch.file("policy.yaml", POLICY);
    let flags = format!("--config {} --require-attach --mode observe", config.display());
    let mut run = Monitor::run(&scratch.segment(), &flags, &["sleep", "1000000"]);
    let would = run.next("would_act");
    assert_eq!((&would["slot"], &would["verdict"]), (&0.into(), &"never_started".into()), "{would}");
    let_pass(&Segment::open_read_only(&scratch.segment()).expect("the segment"), 1.0);
    assert_eq!(run.kinds(), ["opened", "would_act"], "it is told once, and left alone: {:#?}", run.events);
    run.stop();
}

#[test]
fn evidence_of_a_command_that_never_attaches_says_where_it_waits() {
    let scratch = Scratch::new();
    let config = scratch.file("policy.yaml", POLICY);
    let kept = scratch.path().join("kept");
    let mut command = hangwatch();
    command.args(["run", "--events", "-", "--require-attach", "--restart", "never", "--config"]).arg(&config);
    command.arg("--segment").arg(scratch.segment()).arg("--evidence").arg(&kept).args(["--", "sleep", "1000000"]);
    let mut run = Monitor::start(&mut command);
    let evidence = run.next("evidence");
    assert_eq!((&evidence["slot"], &evidence["verdict"]), (&0.into(), &"never_started".into()), "{evidence}");
    assert!(evidence["detail"].to_string().contains("kept in"), "{evidence}");
    assert_eq!(run.end(), Some(1), "it was ended because it hung");
    let bundles: Vec<_> = std::fs::read_dir(&kept).expect("a folder").flatten().collect();
    assert_eq!(bundles.len(), 1, "{bundles:?}");
}

#[test]
fn a_command_that_is_started_again_before_it_attached_has_its_whole_time_anew() {
    let scratch = Scratch::new();
    let config = scratch.file("policy.yaml", POLICY);
    let flags = format!("--config {} --require-attach --max-restarts 1", config.display());
    let script = format!("[ -e '{0}' ] && exec sleep 1000000; echo > '{0}'; exit 3", scratch.path().join("again").display());
    let mut run = Monitor::run(&scratch.segment(), &flags, &["sh", "-c", &script]);
    run.next("replaced");
    let opened = run.next("opened");
    assert_eq!((&opened["verdict"], &opened["generation"]), (&"never_started".into(), &1.into()), "{opened}");
    assert_eq!(run.end(), Some(5));
    assert_eq!(run.verdicts(), ["never_started"], "the first life is not held against the second: {:#?}", run.events);
}

#[test]
fn a_job_that_is_silent_for_longer_than_it_ever_was_is_suspect_and_is_left_alone() {
    const TEST: &str = "a_job_that_is_silent_for_longer_than_it_ever_was_is_suspect_and_is_left_alone";
    if part().is_some() {
        let mut worker = attached();
        for job in ["one", "two", "three", "four"] {
            worker.begin_job(job, "model", Total::Known(50));
            for done in 0..=50 {
                worker.step(done);
                pass(20);
            }
            worker.end_job(Outcome::Ok);
        }
        worker.begin_job("long", "model", Total::Known(50));
        for done in 0..=50 {
            worker.step(done);
            pass(if done == 25 { 4000 } else { 20 });
        }
        worker.end_job(Outcome::Ok);
        loop {
            pass(1000);
        }
    }
    let scratch = Scratch::new();
    let segment = scratch.made_with(1);
    let more = "heartbeat_timeout: 1h\nprogress_timeout: 1h\nmodels:\n  model:\n    adaptive: suspect\n";
    let mut watch = watch(&scratch, &segment, more);
    let _worker = player(segment.path(), TEST);
    let opened = watch.next("opened");
    assert_eq!((&opened["verdict"], &opened["job"]), (&"suspect".into(), &"long".into()));
    assert!(opened["detail"].to_string().contains("learnt"), "it says what it rests on: {opened}");
    assert_eq!(watch.next("closed")["episode"], opened["episode"], "it went on");
    assert_eq!(watch.stop(), Some(0));
    assert!(watch.acts().is_empty(), "a guess is no reason to act: {:#?}", watch.events);
}
