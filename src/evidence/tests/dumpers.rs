//! Programs that look into a worker, on real ones.

use super::{LONG, Scratch, json, of_process, read};
use crate::evidence::{Dumper, Subject as Of};
use crate::os::proc::task::Task;
use crate::os::proc::text::Text;
use crate::os::tests::{Subject, skip};
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

fn command(words: &[&str]) -> Dumper {
    Dumper::Command(words.iter().map(OsString::from).collect())
}

fn state(pid: u32) -> char {
    Task::first(pid).status(&mut Text::default()).expect("it is there").state
}

#[test]
fn a_dumper_that_does_not_end_is_ended_and_the_bundle_is_whole_with_what_the_others_said() {
    let mut scratch = Scratch::new();
    let child = Subject::sleeping();
    scratch.settings.dumpers = vec![
        command(&["sh", "-c", "echo before; exec sleep 1000"]),
        command(&["sh", "-c", "printf 'of {pid}\\033[2J'; exit 3"]),
        command(&["/no/such/program"]),
    ];
    scratch.settings.gpu = Some(vec!["echo".into(), "GPU of {pid}".into()]);
    let outcome = scratch.gathered(of_process(child.pid(), child.pid()), Duration::from_secs(8));
    let bundle = outcome.bundle.expect("written in time");
    assert_eq!(read(&bundle, "dumper-1.txt"), "before\n");
    assert_eq!(read(&bundle, "dumper-2.txt"), format!("of {}\\u{{1b}}[2J", child.pid()), "no terminal obeys it");
    assert_eq!(read(&bundle, "gpu.txt"), format!("GPU of {}\n", child.pid()));
    let missing = json(&bundle)["missing"].to_string();
    for said in
        ["dumper-1.txt: killed at its timeout", "dumper-2.txt: exit code 3", "dumper-3.txt: cannot start /no/such/program"]
    {
        assert!(missing.contains(said), "{said} in {missing}");
    }
}

#[test]
fn gdb_shows_the_stack_of_a_worker_and_leaves_it_running() {
    if Command::new("gdb").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("gdb_shows_the_stack_of_a_worker_and_leaves_it_running: no gdb here");
    }
    let mut scratch = Scratch::new();
    let child = Subject::sleeping();
    scratch.settings.dumpers = vec![Dumper::Gdb];
    let bundle = scratch.gathered(of_process(child.pid(), child.pid()), LONG).bundle.expect("written");
    let stack = read(&bundle, "gdb.txt");
    assert!(stack.contains("Thread 1") && stack.contains("#0") && stack.contains("sleep"), "{stack}");
    assert_ne!(state(child.pid()), 'T', "it is let go");
    assert_ne!(state(child.pid()), 't', "it is let go");
}

#[test]
fn py_spy_shows_where_a_python_worker_hangs_and_leaves_it_running() {
    const TEST: &str = "py_spy_shows_where_a_python_worker_hangs_and_leaves_it_running";
    if Command::new("py-spy").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip(&format!("{TEST}: no py-spy here"));
    }
    let script = "def hung():\n    print('hangs', flush=True)\n    input()\nhung()";
    let mut child = match Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) => return skip(&format!("{TEST}: python3: {e}")),
    };
    let mut said = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut said).expect("it hangs");
    let mut scratch = Scratch::new();
    scratch.settings.dumpers = vec![Dumper::PySpy];
    let outcome = scratch.gathered(of_process(child.id(), child.id()), LONG);
    let state = state(child.id());
    child.kill().expect("ours");
    child.wait().expect("reaped");
    let bundle = outcome.bundle.expect("written");
    let stack = read(&bundle, "py-spy.txt");
    assert!(stack.contains("hung (<string>:3)"), "{stack}");
    assert!(!matches!(state, 'T' | 't' | 'Z'), "it goes on, in {state}");
}

#[test]
fn a_worker_goes_on_after_a_debugger_that_was_killed_while_it_held_it() {
    const TEST: &str = "a_worker_goes_on_after_a_debugger_that_was_killed_while_it_held_it";
    if Command::new("gdb").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip(&format!("{TEST}: no gdb here"));
    }
    let mut scratch = Scratch::new();
    let child = Subject::sleeping();
    let holds = scratch.path("holds");
    // The debugger's own shell ends it, so that it is held for certain.
    let ends = format!("shell touch {}; kill -9 $PPID", holds.display());
    scratch.settings.dumpers = vec![command(&["gdb", "-nx", "-batch", "-p", "{pid}", "-ex", &ends])];
    let bundle = scratch.gathered(of_process(child.pid(), child.pid()), LONG).bundle.expect("written");
    assert!(holds.exists(), "it held the worker: {}", read(&bundle, "summary.txt"));
    assert!(read(&bundle, "summary.txt").contains("the worker was sent SIGCONT after it"));
    assert!(!matches!(state(child.pid()), 'T' | 't'), "it goes on");
}

#[test]
fn a_worker_that_a_dumper_has_left_stopped_goes_on() {
    let mut scratch = Scratch::new();
    let stops = "kill -STOP {pid}; until grep -q '^State:.T' /proc/{pid}/status; do :; done";
    for then in ["exit 0", "kill -9 $$", "exec sleep 1000"] {
        let child = Subject::sleeping();
        scratch.settings.dumpers = vec![command(&["sh", "-c", &format!("{stops}; echo stopped; {then}")])];
        let deadline = if then.contains("sleep") { Duration::from_secs(8) } else { LONG };
        let bundle = scratch.gathered(of_process(child.pid(), child.pid()), deadline).bundle.expect("written");
        assert_eq!(read(&bundle, "dumper-1.txt"), "stopped\n", "then {then}");
        assert_ne!(state(child.pid()), 'T', "then {then}: {}", read(&bundle, "summary.txt"));
        assert!(read(&bundle, "summary.txt").contains("the worker was sent SIGCONT after it"), "then {then}");
    }
}

#[test]
fn a_worker_that_was_stopped_before_is_left_stopped() {
    let mut scratch = Scratch::new();
    let child = Subject::sleeping();
    child.stop();
    scratch.settings.dumpers = vec![command(&["sleep", "1000"])];
    let outcome = scratch.gathered(of_process(child.pid(), child.pid()), Duration::from_secs(4));
    assert!(outcome.bundle.is_ok() && state(child.pid()) == 'T', "whoever stopped it has his reasons: {outcome:?}");
}

#[test]
fn a_worker_is_asked_for_its_traceback_if_it_catches_the_signal_and_only_then() {
    let mut scratch = Scratch::new();
    scratch.settings.faulthandler = Some(libc::SIGUSR1);
    let log = scratch.path("log");
    std::fs::write(&log, "began\n").expect("written");
    let script = format!("trap 'echo File worker.py, line 7 >> {}' USR1; echo ready; while :; do read x; done", log.display());
    let mut asks = Command::new("sh");
    asks.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = asks.spawn().expect("sh");
    let mut said = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut said).expect("it is ready");
    let outcome = scratch.gathered(Of { log: Some(log.clone()), ..of_process(child.id(), 0) }, LONG);
    child.kill().expect("ours");
    child.wait().expect("reaped");
    let bundle = outcome.bundle.expect("written");
    assert_eq!(read(&bundle, "traceback.txt"), "File worker.py, line 7\n");
    assert_eq!(read(&bundle, "log-tail.txt"), "began\n", "the tail is from before");
    let deaf = Subject::sleeping();
    let bundle = scratch.gathered(Of { log: Some(log), ..of_process(deaf.pid(), 0) }, LONG).bundle.expect("written");
    assert_ne!(state(deaf.pid()), 'Z', "the signal would have ended it");
    assert!(read(&bundle, "summary.txt").contains("the worker does not catch signal"), "and that is said");
}
