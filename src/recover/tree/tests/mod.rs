//! Trees of real processes. What changes the whole process (a subreaper) runs this test again, alone in a process of its own.

mod adoption;
mod alone;
mod journal;

use super::*;
use crate::os::tests::skip;
use crate::os::wake::wait_readable;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::fd::OwnedFd;

/// A tree whose leader runs a script, and what it says.
struct Subject {
    tree: Tree,
    says: BufReader<PipeReader>,
}

impl Subject {
    fn run(script: &str, variables: &[(String, String)], cgroup: Option<&str>) -> Self {
        let argv: Vec<OsString> = ["sh", "-c", script].map(Into::into).into();
        let (reader, writer) = io::pipe().expect("a pipe");
        let output = File::from(OwnedFd::from(writer));
        let cgroup = cgroup.map(|name| format!("{name}-{}", std::process::id()));
        let spec = Spawn { argv: &argv, variables, without: &[], output: Some(&output), journal: None, cgroup };
        Self { tree: Tree::spawn(&spec).expect("spawned"), says: BufReader::new(reader) }
    }

    /// Without variables and a cgroup.
    fn plain(script: &str) -> Self {
        Self::run(script, &[], None)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it says something");
        line.trim_end().to_owned()
    }

    /// A handle on the process whose number it says next.
    fn process(&mut self) -> PidFd {
        PidFd::open(self.line().parse().expect("a number")).expect("it runs")
    }

    /// Waits for the leader's exit, sweeps until nobody is left, and lets go.
    fn end(mut self) -> Exit {
        wait(&self.tree);
        let exit = self.tree.exit().expect("it has exited");
        while self.tree.sweep() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(self.tree.holders(), [0; 0], "nobody is left");
        self.tree.reap();
        exit
    }

    fn kill(mut self) -> Exit {
        self.tree.kill().expect("it is ours");
        self.end()
    }
}

fn wait(of: &impl AsFd) {
    while !wait_readable(&[of.as_fd()], None)[0] {}
}

/// Ignores SIGTERM, and has a grandchild that left its session, its group and its parent before anybody looked.
const STUBBORN: &str = "trap '' TERM
    setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 1000000\" &'
    echo ready
    while :; do sleep 1000000; done";

fn stubborn(variables: &[(String, String)], cgroup: Option<&str>) -> (Subject, PidFd) {
    let mut subject = Subject::run(STUBBORN, variables, cgroup);
    let lines = [subject.line(), subject.line()];
    let pid = lines.iter().find_map(|line| line.parse().ok()).expect("the grandchild's number");
    assert!(lines.iter().any(|line| line == "ready"), "its parent is gone");
    (subject, PidFd::open(pid).expect("it runs"))
}

#[test]
fn a_leader_has_a_session_an_empty_mask_and_every_signal_at_its_default() {
    if !alone::is_alone() {
        // Exec hands down what is ignored, so the supervisor is one that was started so.
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", "trap '' USR2 HUP CHLD; exec \"$@\"", "sh"]);
        return alone::run_in(sh, "a_leader_has_a_session_an_empty_mask_and_every_signal_at_its_default");
    }
    let mut subject = Subject::plain("cat /proc/self/status; exec sleep 1000000");
    let stat = proc::stat(subject.tree.pid()).expect("it runs");
    let number = subject.tree.pid() as i32;
    assert_eq!((stat.group, stat.session), (number, number));
    assert_eq!(subject.tree.leader.leads, (true, true));
    let mut set = |name: &str| loop {
        if let Some(set) = subject.line().strip_prefix(name) {
            break u64::from_str_radix(set.trim(), 16).expect("a set");
        }
    };
    // Signals 32 and 33 are the C library's own, which lets nobody set them.
    let (blocked, ignored) = (set("SigBlk:"), set("SigIgn:") & !(3 << 31));
    assert_eq!((blocked, ignored), (0, 0));
    subject.kill();
    alone::done();
}

#[test]
fn the_exit_is_told_until_it_is_reaped_and_never_waited_for() {
    let mut subject = Subject::plain("echo up; read x; exit 3");
    subject.line();
    assert_eq!(subject.end(), Exit::Code(3), "nothing to read is the end of it");
    let subject = Subject::plain("exec sleep 1000000");
    assert_eq!(subject.tree.exit(), None);
    assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
}

#[test]
fn sigterm_reaches_the_group_and_a_child_in_another_session() {
    let mut subject = Subject::plain("sleep 1000000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000000' & wait");
    let (one, other) = (subject.process(), subject.process());
    subject.tree.terminate().expect("it is ours");
    wait(&one);
    wait(&other);
    assert_eq!(subject.end(), Exit::Signal(libc::SIGTERM));
}

#[test]
fn a_tree_that_is_stopped_ends_by_sigterm_too() {
    let mut subject = Subject::plain("kill -STOP 0; :");
    while proc::stat(subject.tree.pid()).expect("it is there").state != 'T' {
        std::thread::yield_now();
    }
    subject.tree.terminate().expect("it is ours");
    assert_eq!(subject.end(), Exit::Signal(libc::SIGTERM));
}

#[test]
fn a_child_in_another_session_goes_with_the_tree_that_ignores_sigterm() {
    let mut subject = Subject::plain("trap '' TERM; setsid sh -c 'echo $$; sleep 1000000; :' & echo up; while :; do wait; done");
    let lines = [subject.line(), subject.line()];
    let child = lines.iter().find_map(|line| line.parse().ok()).expect("a number");
    let child = PidFd::open(child).expect("it runs");
    subject.tree.terminate().expect("it is ours");
    assert_eq!(subject.tree.exit(), None, "SIGTERM is ignored");
    assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
    assert!(child.has_exited(), "in another session, and still of the tree");
}

#[test]
fn one_that_was_seen_goes_though_its_parent_is_gone_by_then() {
    let script = "trap '' TERM
        setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 1000000\" & wait' &
        while :; do sleep 1000000; done";
    let mut subject = Subject::plain(script);
    let grandchild = subject.line().parse().expect("a number");
    let fd = PidFd::open(grandchild).expect("it runs");
    subject.tree.terminate().expect("it is ours");
    let parent = proc::stat(grandchild).expect("it runs").parent;
    let parent = PidFd::open(parent).expect("it runs");
    parent.signal(libc::SIGKILL, false).expect("it is ours");
    wait(&parent);
    subject.kill();
    assert!(fd.has_exited(), "it was known from when its parent was there");
}

#[test]
fn what_a_leader_leaves_behind_goes_with_its_sweep() {
    let mut subject = Subject::plain("sleep 1000000 & echo $!; exit 0");
    let left = subject.process();
    assert_eq!(subject.end(), Exit::Code(0));
    assert!(left.has_exited());
}

#[test]
fn a_cgroup_ends_whoever_is_in_it_and_is_taken_away() {
    let test = "a_cgroup_ends_whoever_is_in_it_and_is_taken_away";
    let (subject, grandchild) = stubborn(&[], Some("ends"));
    let Some(folder) = subject.tree.cgroup.as_ref().map(Cgroup::folder) else {
        grandchild.signal(libc::SIGKILL, false).expect("it is ours");
        subject.kill();
        return skip(&format!("{test}: no cgroup is delegated to this process"));
    };
    assert!(subject.tree.holders().len() >= 2, "the kernel tells who is in it");
    std::fs::create_dir(folder.join("its-own")).expect("as a worker may");
    assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
    assert!(grandchild.has_exited());
    assert!(!folder.exists());
}

#[test]
fn a_frozen_tree_is_killed() {
    let (subject, grandchild) = stubborn(&[], Some("frozen"));
    let Some(folder) = subject.tree.cgroup.as_ref().map(Cgroup::folder) else {
        grandchild.signal(libc::SIGKILL, false).expect("it is ours");
        subject.kill();
        return skip("a_frozen_tree_is_killed: no cgroup is delegated to this process");
    };
    std::fs::write(folder.join("cgroup.freeze"), "1").expect("frozen");
    let is_frozen = || std::fs::read_to_string(folder.join("cgroup.events")).expect("there").contains("frozen 1");
    while !is_frozen() {
        std::thread::yield_now();
    }
    assert_eq!(subject.kill(), Exit::Signal(libc::SIGKILL));
    assert!(grandchild.has_exited());
}

#[test]
fn a_tree_that_asks_for_no_cgroup_has_none() {
    let subject = Subject::plain("exec sleep 1000000");
    assert!(!subject.tree.uses_cgroup());
    subject.kill();
}

#[test]
fn a_program_that_is_not_there_leaves_nothing() {
    let argv: [OsString; 1] = ["/no/such/program".into()];
    let name = format!("nothing-{}", std::process::id());
    let spec = Spawn { argv: &argv, variables: &[], without: &[], output: None, journal: None, cgroup: Some(name.clone()) };
    assert_eq!(Tree::spawn(&spec).expect_err("no such file").kind(), io::ErrorKind::NotFound);
    assert!(Cgroup::left_of(&name).is_empty(), "its cgroup is gone with it");
}

#[test]
fn a_cgroup_that_a_killed_supervisor_left_is_taken_away_by_the_next() {
    let name = format!("left-{}", std::process::id());
    let Some((left, door)) = Cgroup::make(&name) else {
        return skip("a_cgroup_that_a_killed_supervisor_left_is_taken_away_by_the_next: no cgroup is delegated to this process");
    };
    let next = || Subject::run("exit 0", &[], Some("next")).end();
    next();
    assert!(left.folder().exists(), "it is being made");
    drop(door);
    // Another test's child may hold the lock for as long as it is between fork and exec.
    while left.folder().exists() {
        next();
    }
}
