//! `hangwatch run` where a worker that was there cannot be started again: its program is away, for a while or for good.

mod common;

use common::{Monitor, Scratch, hangwatch};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A shell that is a program of the test's own, and can be taken away.
fn program(scratch: &Scratch) -> PathBuf {
    let link = scratch.path().join("program");
    symlink("/bin/sh", &link).expect("a link");
    link
}

/// One replica whose first life takes its program away and fails; the next one works.
fn run(scratch: &Scratch, program: &Path, flags: &str) -> Monitor {
    let again = scratch.path().join("again");
    let script =
        format!("[ -e '{0}' ] && {{ echo back; exit 0; }}; echo > '{0}'; rm '{1}'; exit 3", again.display(), program.display());
    let mut command = hangwatch();
    command.args(["run", "--events", "-", "--poll", "50ms", "--segment"]).arg(scratch.segment());
    command.args(flags.split_whitespace()).arg("--").arg(program).args(["-c", &script]);
    Monitor::start(command.env("HANGWATCH_BACKOFF", "100ms").env("HANGWATCH_BACKOFF_MAX", "1s"))
}

fn why(event: &Value) -> &str {
    event["detail"].as_str().expect("a reason")
}

#[test]
fn a_worker_whose_program_was_away_when_it_was_due_is_there_again() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    let mut run = run(&scratch, &program, "--max-restarts 1000");
    let opened = run.next("opened");
    assert_eq!((&opened["verdict"], &opened["slot"]), (&"never_started".into(), &0.into()), "{opened}");
    let reason = format!("cannot start '{}': no such file or directory", program.display());
    assert_eq!(why(&opened), reason, "it is told at once, with the reason");
    symlink("/bin/sh", &program).expect("it comes back");
    run.next("replaced");
    assert_eq!(run.end(), Some(0), "{:#?}", run.events);
    assert!(run.lines.iter().any(|line| line == "back"), "{:?}", run.lines);
    assert_eq!([run.of_kind("gave_up").len(), run.of_kind("replaced").len()], [0, 1]);
}

#[test]
fn a_worker_whose_program_stays_away_is_given_up_when_its_budget_is_spent() {
    let scratch = Scratch::new();
    let program = program(&scratch);
    let mut run = run(&scratch, &program, "--max-restarts 3");
    assert_eq!(run.end(), Some(5), "the exit code of every other worker that is given up: {:#?}", run.events);
    let reason = format!("cannot start '{}': no such file or directory", program.display());
    let opened: Vec<&str> = run.of_kind("opened").into_iter().map(why).collect();
    assert_eq!(opened, [reason.as_str(); 3], "once for each start");
    let gave_up: Vec<&str> = run.of_kind("gave_up").into_iter().map(why).collect();
    let expected = format!("3 restarts without sustained progress, the last time it could not be started: {reason}");
    assert_eq!(gave_up, [expected]);
    assert!(run.of_kind("replaced").is_empty() && !scratch.segment().exists());
}

#[test]
fn a_worker_whose_log_cannot_be_opened_any_more_is_no_other_case() {
    let scratch = Scratch::new();
    let logs = scratch.path().join("logs");
    let mut command = hangwatch();
    command.args(["run", "--events", "-", "--poll", "50ms", "--max-restarts", "1", "--segment"]).arg(scratch.segment());
    command.arg("--log-dir").arg(&logs).args(["--", "sh", "-c"]);
    let script = "rm \"$0\"/worker-0.log; mkdir \"$0\"/worker-0.log; exit 3";
    let mut run = Monitor::start(command.arg(script).arg(&logs).env("HANGWATCH_BACKOFF", "10ms"));
    assert_eq!(run.end(), Some(5), "{:#?}", run.events);
    let opened: Vec<&str> = run.of_kind("opened").into_iter().map(why).collect();
    assert_eq!(opened.len(), 1);
    assert!(opened[0].starts_with("cannot open its log: "), "{opened:?}");
}
