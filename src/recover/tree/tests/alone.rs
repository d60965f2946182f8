//! What changes a whole process, in a process of its own: there the test that asks is run again.

use super::*;
use crate::helper;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const ROLE: &str = "TREE_TEST_ROLE";
/// 0 would also be the end of a process that ran no test at all.
const DONE: i32 = 77;

pub(super) fn is_alone() -> bool {
    std::env::var_os(ROLE).is_some()
}

pub(super) fn done() -> ! {
    std::process::exit(DONE)
}

/// Past the test harness, which keeps what is printed.
pub(super) fn say(line: &str) {
    io::stdout().lock().write_all(format!("{line}\n").as_bytes()).expect("somebody listens");
}

/// `command` with the words that run `test` of this module's parent again.
pub(super) fn command(mut command: Command, test: &str, add: impl FnOnce(&mut Command, &[String])) -> Command {
    let exe = std::env::current_exe().expect("own path").display().to_string();
    add(&mut command, &[exe, format!("recover::tree::tests::{test}"), "--exact".into(), "--test-threads=1".into()]);
    command.env(ROLE, "alone");
    command
}

pub(super) fn run_in(wrapper: Command, test: &str) {
    let mut command = command(wrapper, test, |command, words| {
        command.args(words);
    });
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("started");
    assert_eq!(child.wait().expect("ours").code(), Some(DONE), "what it found is above");
}

fn run(test: &str) {
    run_in(Command::new("env"), &format!("alone::{test}"));
}

fn marks(slot: &str) -> Vec<(String, String)> {
    [("HANGWATCH_SEGMENT", "/dev/shm/no-segment"), ("HANGWATCH_SLOT", slot)].map(|(n, v)| (n.to_owned(), v.to_owned())).into()
}

#[test]
fn with_a_subreaper_the_grandchild_that_left_goes_too_with_a_cgroup_and_without() {
    if is_alone() {
        children::become_subreaper().expect("allowed to all");
        for cgroup in [None, Some("subreaper")] {
            let (subject, grandchild) = stubborn(&marks("1:1"), cgroup);
            let (other, others) = stubborn(&marks("2:1"), None);
            assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
            assert!(grandchild.has_exited(), "cgroup: {cgroup:?}");
            assert!(!others.has_exited() && other.tree.exit().is_none(), "an orphan of another tree is left alone");
            assert_eq!(other.kill(), Exit::Signal(libc::SIGKILL));
            assert!(others.has_exited());
        }
        while children::reap_orphans() > 0 {}
        let all = proc::all();
        let left: Vec<_> = all.iter().filter(|stat| stat.parent == std::process::id()).collect();
        assert!(left.is_empty(), "all zombies are reaped: {left:?}");
        done();
    }
    run("with_a_subreaper_the_grandchild_that_left_goes_too_with_a_cgroup_and_without");
}

#[test]
fn an_orphan_of_no_tree_is_left_alone_until_it_ends_and_is_reaped() {
    if is_alone() {
        children::become_subreaper().expect("allowed to all");
        let (subject, grandchild) = stubborn(&[], None);
        assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
        children::reap_orphans();
        assert!(!grandchild.has_exited(), "nothing says whose it is");
        grandchild.signal(libc::SIGKILL, false).expect("ours");
        wait(&grandchild);
        assert!(grandchild.holds_number(), "nobody has reaped it yet");
        assert!(children::reap_orphans() > 0);
        assert!(!grandchild.holds_number(), "reaped");
        done();
    }
    run("an_orphan_of_no_tree_is_left_alone_until_it_ends_and_is_reaped");
}

#[test]
fn no_exit_status_is_taken_from_whoever_waits_while_orphans_are_reaped() {
    if is_alone() {
        children::become_subreaper().expect("allowed to all");
        let (stop, reaped) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    reaped.fetch_add(children::reap_orphans(), Relaxed);
                    std::thread::yield_now();
                }
            });
            let helpers = scope.spawn(|| {
                for _ in 0..20 {
                    let mut sh = Command::new("sh");
                    sh.args(["-c", "(exit 3 &); exit 7"]);
                    let finished = helper::run(sh, b"", Duration::from_secs(600), 0).expect("started");
                    assert_eq!(finished.end, helper::End::Code(7));
                    let missing = helper::run(Command::new("/no/such/program"), b"", Duration::from_secs(600), 0);
                    assert_eq!(missing.expect_err("no such file").kind(), io::ErrorKind::NotFound);
                }
            });
            let workers = scope.spawn(|| {
                for _ in 0..40 {
                    assert_eq!(Subject::plain("(exit 3 &); exit 9").end(), Exit::Code(9));
                }
            });
            let ended = [helpers.join(), workers.join()];
            // Before anything is asserted: the other thread would go on for ever.
            stop.store(true, Relaxed);
            assert!(ended.iter().all(Result::is_ok), "no status was taken");
        });
        assert!(reaped.into_inner() > 0, "orphans came and were reaped meanwhile");
        done();
    }
    run("no_exit_status_is_taken_from_whoever_waits_while_orphans_are_reaped");
}

#[test]
fn nobody_is_reaped_before_the_process_asks_to_be_a_subreaper() {
    let mut child = Command::new("true").spawn().expect("true");
    wait(&PidFd::open(child.id()).expect("not reaped"));
    assert_eq!(children::reap_orphans(), 0);
    assert!(child.wait().expect("its status is there").success());
}
