//! `hangwatch run` on real workers that really hang, fail and end.

mod common;

use common::{
    Monitor, Scratch, assert_first_poll, c_worker, go_writer, hangwatch, let_pass, python, rust_worker, said, status, until,
};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use serde_json::Value;
use std::path::Path;

/// Two replicas of which the first hangs at 25 %.
const ONE_OF_TWO_HANGS: &str = "--hang-at 25 --hang-replica 0 --replica {i} --steps 8 --step-ms 50 --jobs 0";
const FLAGS: &str = "--replicas 2 --inference-step-timeout 2s --poll 100ms --grace 300ms";
/// Python's argument: its writer.
const PYTHON_WRITER: &str = "examples/python_writer.py";
/// One worker that hangs, and is soon called so.
const HANGS: &str = "--hang-at 25 --steps 4 --step-ms 20";
const SOON: &str = "--inference-step-timeout 500ms --poll 50ms --grace 300ms";
/// One job without end: no budget of seconds runs before it and between two.
const WORKS: &str = "--steps 1000000 --step-ms 50";

fn words<'a>(program: &'a Path, flags: &'a str, more: &'a str) -> Vec<&'a str> {
    let program = program.to_str().expect("a UTF-8 path");
    [program].into_iter().chain(flags.split_whitespace()).chain(more.split_whitespace()).collect()
}

fn pid_in(segment: &Path, slot: usize) -> Value {
    status(segment)["workers"][slot]["pid"].clone()
}

/// A hung worker is flagged in time, ended by these signals, and replaced in its slot; the other one is left alone.
fn replaces_the_hung_one_alone(worker: &[&str], signals: &[&str]) {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let mut run = Monitor::run(&path, FLAGS, worker);
    run.said(", slot 1");
    let healthy = pid_in(&path, 1);
    let opened = run.next("opened");
    assert_eq!(
        (&opened["slot"], &opened["verdict"]),
        (&0.into(), &"silent".into()),
        "the hung replica is the one that is told of"
    );
    assert_eq!((&opened["done"], &opened["total"]), (&2.into(), &8.into()), "it is told where it hangs: at 25 %");
    let gaps = run.of_kind("monitor_gap").len();
    assert_first_poll(&opened, "heartbeat_age_s", 2.0, 0.1, gaps);
    assert_first_poll(&opened, "progress_age_s", 2.0, 0.1, gaps);

    let replaced = run.next("replaced");
    // The replacement hangs in its turn, and may have done so if the other one took long to start.
    let kinds: Vec<&str> = run.kinds_up_to_next().into_iter().filter(|kind| *kind != "closed").collect();
    let expected = ["opened"].into_iter().chain(signals.iter().map(|_| "action")).chain(["lost_job", "replaced"]);
    assert_eq!(kinds, expected.collect::<Vec<_>>(), "each once, in this order");
    for (action, signal) in run.of_kind("action").iter().zip(signals) {
        let detail = action["detail"].as_str().expect("an act says what is done");
        assert!(detail.contains(&format!("{signal} to pid {}", opened["pid"])), "each rung in its turn: {detail}");
    }
    let lost = run.of_kind("lost_job")[0];
    assert_eq!((&lost["job"], &lost["pid"]), (&opened["job"], &opened["pid"]), "the lost job is the hung one");
    assert!(lost["job"].is_string() && lost["detail"].as_str().is_some_and(|d| d.contains("silent")), "marked as hung: {lost}");
    assert_eq!(replaced["job"], opened["job"], "every replacement says which job was lost");
    assert_eq!(replaced["slot"], opened["slot"], "the replacement has the slot of the replaced");
    assert_eq!(replaced["generation"].as_u64(), opened["generation"].as_u64().map(|g| g + 1), "the next generation");
    assert_ne!(replaced["pid"], opened["pid"], "a new process");
    for event in &run.events {
        assert_ne!(event["slot"], 1, "nothing is told of the healthy replica: {event}");
    }
    run.said(&format!("pid {}, slot 0", replaced["pid"]));
    assert_eq!(pid_in(&path, 1), healthy, "the healthy replica is untouched");
    assert!(status(&path)["workers"][0]["restarts"].as_u64() >= Some(1), "the slot counts its restarts");
    assert_eq!(run.stop(), Some(0));
}

#[test]
fn a_worker_in_c_that_hangs_is_flagged_killed_and_replaced_and_the_other_one_is_untouched() {
    replaces_the_hung_one_alone(&words(c_worker(), ONE_OF_TWO_HANGS, ""), &["SIGTERM"]);
}

#[test]
fn a_worker_in_c_that_ignores_sigterm_is_killed_after_the_grace_and_replaced() {
    replaces_the_hung_one_alone(&words(c_worker(), ONE_OF_TWO_HANGS, "--ignore-term"), &["SIGTERM", "SIGKILL"]);
}

#[test]
fn a_worker_in_rust_that_hangs_is_flagged_killed_and_replaced_and_the_other_one_is_untouched() {
    replaces_the_hung_one_alone(&words(rust_worker(), ONE_OF_TWO_HANGS, ""), &["SIGTERM"]);
}

#[test]
fn a_worker_in_pure_python_that_hangs_is_flagged_killed_and_replaced_and_the_other_one_is_untouched() {
    replaces_the_hung_one_alone(&words(python(), PYTHON_WRITER, ONE_OF_TWO_HANGS), &["SIGTERM"]);
}

#[test]
fn a_worker_in_go_that_hangs_is_flagged_killed_and_replaced_and_the_other_one_is_untouched() {
    let Some(program) = go_writer() else { return };
    replaces_the_hung_one_alone(&words(program, ONE_OF_TWO_HANGS, ""), &["SIGTERM"]);
}

#[test]
fn a_worker_of_another_language_that_beats_while_it_hangs_is_stalled_and_its_job_is_lost() {
    for (program, script) in [(Some(python()), PYTHON_WRITER), (go_writer(), "")] {
        let Some(program) = program else { continue };
        let scratch = Scratch::new();
        let words = words(program, script, HANGS);
        let words: Vec<&str> = words.into_iter().chain(["--beat-while-hung"]).collect();
        let mut run = Monitor::run(&scratch.segment(), &format!("{SOON} --restart never"), &words);
        assert_eq!(run.end(), Some(1), "a worker ended badly");
        assert_eq!(run.verdicts(), ["stalled"], "{:#?}", run.events);
        let lost = run.of_kind("lost_job");
        assert_eq!((lost.len(), &lost[0]["done"], &lost[0]["total"]), (1, &1.into(), &4.into()), "at 25 %: {lost:#?}");
    }
}

/// They go on unwatched, whatever is wrong with the segment, and say so.
#[test]
fn a_worker_of_another_language_runs_where_nobody_watches_and_where_attaching_fails() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let writers = [(Some(python()), PYTHON_WRITER, "no slot is reserved"), (go_writer(), "", "")];
    for (program, script, refused) in writers {
        let Some(program) = program else { continue };
        let run = |path: Option<&Path>| {
            let words = words(program, script, "--steps 1 --step-ms 0");
            let mut command = common::command(words[0]);
            said(command.args(&words[1..]).envs(path.map(|path| ("HANGWATCH_SEGMENT", path))))
        };
        let alone = run(None);
        assert_eq!((alone.code, alone.err.as_str()), (Some(0), ""), "where nobody watches nothing is said of it");
        assert!(alone.out.ends_with("detached\n"), "{}", alone.out);
        let absent = run(Some(Path::new("/nonexistent/segment")));
        assert_eq!(absent.code, Some(0), "a failed attach never stops inference: {}", absent.err);
        assert!(absent.err.contains("cannot ") && absent.out.ends_with("detached\n"), "{}{}", absent.err, absent.out);
        let unreserved = run(Some(segment.path()));
        assert_eq!(unreserved.code, Some(0));
        assert!(unreserved.err.contains(refused), "{}", unreserved.err);
        assert_eq!(segment.slots().filter(|(_, slot)| slot.peek_owner().tag() != Tag::Free).count(), 0);
    }
}

#[test]
fn a_worker_that_keeps_hanging_is_given_up_after_its_restarts() {
    let scratch = Scratch::new();
    let flags = format!("{SOON} --max-restarts 1");
    let mut run = Monitor::run(&scratch.segment(), &flags, &words(c_worker(), HANGS, ""));
    assert_eq!(run.end(), Some(5), "giving up has an exit code of its own");
    assert_eq!([run.of_kind("replaced").len(), run.of_kind("gave_up").len(), run.of_kind("lost_job").len()], [1, 1, 2]);
    assert!(!scratch.segment().exists(), "a run that gave up unlinks its segment too");
}

#[test]
fn a_hung_worker_is_not_restarted_where_none_is() {
    let scratch = Scratch::new();
    let mut run = Monitor::run(&scratch.segment(), &format!("{SOON} --restart never"), &words(c_worker(), HANGS, ""));
    assert_eq!(run.end(), Some(1), "a worker ended badly");
    assert_eq!([run.of_kind("action").len(), run.of_kind("lost_job").len(), run.of_kind("replaced").len()], [1, 1, 0]);
}

#[test]
fn a_worker_that_ends_by_itself_is_restarted_as_the_rule_says() {
    // Rule, the worker's code, the command's, replacements.
    for (rule, ends, code, replaced) in [
        ("never", 0, 0, 0),
        ("never", 3, 3, 0),
        ("on-failure", 0, 0, 0),
        ("on-failure", 3, 5, 1),
        ("always", 0, 5, 1),
        ("always", 3, 5, 1),
    ] {
        let scratch = Scratch::new();
        let flags = format!("--restart {rule} --max-restarts 1");
        let mut run = Monitor::run(&scratch.segment(), &flags, &["sh", "-c", &format!("exit {ends}")]);
        assert_eq!(run.end(), Some(code), "--restart {rule}, and a worker that ends with {ends}");
        assert_eq!(run.of_kind("replaced").len(), replaced, "--restart {rule}, and a worker that ends with {ends}");
    }
}

#[test]
fn a_stop_signal_ends_the_workers_and_unlinks_the_segment() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let scratch = Scratch::new();
        let path = scratch.segment();
        let mut run = Monitor::run(&path, "--replicas 2", &words(c_worker(), WORKS, ""));
        run.attached(2);
        let segment = Segment::open_read_only(&path).expect("the segment of the run");
        run.held.signal(signal);
        assert_eq!(run.end(), Some(0), "a stop is no failure");
        assert!(segment.slots().all(|(_, slot)| slot.peek_owner().tag() == Tag::Free), "no worker and no reservation is left");
        let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("the folder").collect();
        assert!(left.is_empty(), "a clean end leaves no file: {left:?}");
    }
}

#[test]
fn a_worker_that_ignores_sigterm_is_killed_when_the_run_is_stopped() {
    let scratch = Scratch::new();
    // It hangs too: a worker that goes on would read its command word, and end well without a signal.
    let mut run = Monitor::run(&scratch.segment(), "--grace 100ms", &words(c_worker(), WORKS, "--ignore-term --hang-at 0"));
    run.attached(1);
    let segment = Segment::open_read_only(&scratch.segment()).expect("the segment of the run");
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.phase.job_open())));
    assert_eq!(run.stop(), Some(0));
    let details: Vec<_> = run.of_kind("action").iter().map(|event| event["detail"].to_string()).collect();
    assert!(details.len() == 2 && details[1].contains("SIGKILL"), "{details:?}");
}

#[test]
fn a_worker_that_ignores_sigterm_and_reads_its_command_word_ends_without_sigkill() {
    let scratch = Scratch::new();
    let mut run = Monitor::run(&scratch.segment(), "--grace 1h", &words(c_worker(), WORKS, "--ignore-term"));
    run.attached(1);
    assert_eq!(run.stop(), Some(0));
    assert_eq!(run.of_kind("action").len(), 1, "an hour of grace was not needed");
}

#[test]
fn the_segment_of_a_run_is_kept_if_that_is_asked() {
    let scratch = Scratch::new();
    let mut run = Monitor::run(&scratch.segment(), "--keep", &["true"]);
    assert_eq!(run.end(), Some(0));
    Segment::open_read_only(&scratch.segment()).expect("it is still there, and whole");
}

#[test]
fn a_command_that_does_not_exist_is_an_error_that_names_it() {
    let scratch = Scratch::new();
    let said = said(hangwatch().args(["run", "--segment"]).arg(scratch.segment()).args(["--", "./no-such-worker"]));
    assert_eq!(said.code, Some(2));
    let expected = "hangwatch: cannot start './no-such-worker': no such file or directory\n  the worker's command follows '--'\n";
    assert!(said.err.ends_with(expected), "{}", said.err);
    assert!(!scratch.segment().exists(), "nothing is left of it");
}

#[test]
fn more_workers_than_slots_are_an_error_that_names_the_way_out() {
    let scratch = Scratch::new();
    let run = |flags: &[&str]| {
        let mut command = hangwatch();
        command.args(["run", "--replicas", "5", "--segment"]).arg(scratch.segment()).args(flags);
        said(command.args(["--", "true"]))
    };
    let refused = run(&["--slots", "4"]);
    assert_eq!(refused.code, Some(2));
    let expected = format!(
        "hangwatch: cannot run workers: 5 replicas, the segment has 4 slots\n  run fewer, or in a segment that was made with more \
         slots (HANGWATCH_SLOTS)\n  or remove '{}', if nobody uses it, and have it made with --slots 5\n",
        scratch.segment().display()
    );
    assert!(refused.err.ends_with(&expected), "{}", refused.err);
    std::fs::remove_file(scratch.segment()).expect("it was made");
    assert_eq!(run(&["--slots", "5"]).code, Some(0), "that is a way out");
}

#[test]
fn a_run_that_observes_says_what_it_would_do_and_ends_nobody() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let mut run = Monitor::run(&path, &format!("{SOON} --mode observe"), &words(c_worker(), HANGS, ""));
    run.attached(1);
    let pid = pid_in(&path, 0);
    run.next("would_act");
    let_pass(&Segment::open_read_only(&path).expect("the segment"), 1.0);
    assert_eq!(pid_in(&path, 0), pid, "the worker that hangs is left alone");
    run.stop();
    let acts: Vec<_> = run.of_kind("action").into_iter().filter(|e| !e["detail"].to_string().contains("stopping")).collect();
    assert!(acts.is_empty() && run.of_kind("replaced").is_empty(), "{:#?}", run.events);
}

#[test]
fn a_run_that_was_stopped_for_five_budgets_kills_nobody() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let flags = "--inference-step-timeout 1s --poll 100ms";
    let mut run = Monitor::run(&path, flags, &words(c_worker(), WORKS, ""));
    run.attached(1);
    let segment = Segment::open_read_only(&path).expect("the segment");
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.read_hot().is_ok_and(|hot| hot.stamp_ns > 0) && segment.header().peek_monitor().beat.count() > 0);
    let stamp = || slot.read_hot().map_or(0, |hot| hot.stamp_ns);
    let (pid, from) = (pid_in(&path, 0), stamp());
    run.held.signal(libc::SIGSTOP);
    until(|| stamp() >= from + 5_000_000_000);
    run.held.signal(libc::SIGCONT);
    run.next("monitor_gap");
    let_pass(&segment, 1.5);
    assert_eq!(pid_in(&path, 0), pid, "the worker that went on working is untouched");
    assert_eq!(run.stop(), Some(0));
    assert_eq!(run.kinds(), ["action"], "its own end is all that is ever done: {:#?}", run.events);
}

#[test]
fn a_worker_that_somebody_stopped_is_told_of_and_never_killed() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let mut run = Monitor::run(&path, "--inference-step-timeout 1s --poll 100ms", &words(c_worker(), WORKS, ""));
    run.attached(1);
    let segment = Segment::open_read_only(&path).expect("the segment");
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.read_hot().is_ok_and(|hot| hot.progress < u64::MAX));
    let pid = pid_in(&path, 0);
    let signal = |name: &str| assert_eq!(said(common::command("kill").args([name, &pid.to_string()])).code, Some(0));
    signal("-STOP");
    let opened = run.next("opened");
    assert_eq!(opened["verdict"], "stopped", "somebody did it on purpose");
    let_pass(&segment, 2.0);
    assert_eq!(pid_in(&path, 0), pid, "stopped for two budgets, and still there");
    signal("-CONT");
    run.next("closed");
    assert_eq!(run.stop(), Some(0));
    assert_eq!(run.kinds(), ["opened", "closed", "action"], "its own end is all that is ever done: {:#?}", run.events);
}

#[test]
fn a_replaced_worker_is_reaped() {
    let scratch = Scratch::new();
    let mut run = Monitor::run(&scratch.segment(), SOON, &words(c_worker(), HANGS, ""));
    let (old, new) = (run.next("opened")["pid"].to_string(), run.next("replaced")["pid"].to_string());
    let tasks = std::fs::read_dir(format!("/proc/{}/task", run.held.pid())).expect("its threads");
    let children: String = tasks
        .map(|task| std::fs::read_to_string(task.expect("a thread").path().join("children")).expect("its children"))
        .collect();
    let children: Vec<&str> = children.split_whitespace().collect();
    assert!(!children.contains(&old.as_str()), "no zombie is left: {children:?}, {old} was replaced by {new}");
    assert_eq!(run.stop(), Some(0));
}

#[test]
fn a_hung_worker_that_others_spawned_is_told_of_and_never_signalled() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let mut run = Monitor::run(&path, SOON, &words(c_worker(), WORKS, ""));
    run.attached(1);
    let mut stranger = common::worker(c_worker(), &path, "stranger", HANGS);
    while run.next("would_act")["worker"] != "stranger" {}
    let_pass(&Segment::open_read_only(&path).expect("the segment"), 1.0);
    assert_eq!(run.stop(), Some(0));
    assert!(stranger.is_alive(), "a pid in a slot is no reason to signal");
    let acts = run.of_kind("action").into_iter().filter(|event| event["worker"] == "stranger");
    assert_eq!(acts.count(), 0, "{:#?}", run.events);
}
