//! Processes that this one did not spawn.

use super::*;
use std::process::{Command, Stdio};

/// A child of a shell that tells its number, ends with 5 when its input ends, and is reaped by the shell or never.
fn not_ours(is_reaped: bool) -> (std::process::Child, Tree) {
    let after = if is_reaped { "wait; exec sleep 1000000" } else { "exec sleep 1000000" };
    // A background job reads nothing unless it is told to.
    let script = format!("exec 3<&0; sh -c 'echo $$; read x <&3; exit 5' & exec 3<&- 0</dev/null; {after}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = command.spawn().expect("sh");
    let mut line = String::new();
    BufReader::new(shell.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    let pid = line.trim().parse().expect("a number");
    let inode = PidFd::open(pid).expect("it runs").inode();
    let starttime = proc::stat(pid).expect("it runs").starttime;
    let tree = Tree::adopt(pid, inode, starttime).expect("the same process");
    assert_eq!((tree.pid(), tree.inode(), tree.starttime()), (pid, inode, starttime));
    (shell, tree)
}

fn end(mut shell: std::process::Child) {
    shell.kill().expect("ours");
    shell.wait().expect("reaped");
}

#[test]
fn the_exit_of_one_that_is_no_child_is_told_before_and_after_its_parent_reaps_it() {
    for is_reaped in [false, true] {
        let (mut shell, tree) = not_ours(is_reaped);
        assert_eq!(tree.exit(), None);
        drop(shell.stdin.take());
        wait(&tree);
        if is_reaped {
            while tree.leader.fd.holds_number() {
                std::thread::yield_now();
            }
        }
        let told = tree.exit().expect("it has exited");
        // A zombie tells in its stat on every kernel, to its own user.
        if is_reaped && told == Exit::Unknown {
            skip("the_exit_of_one_that_is_no_child_is_told…: this kernel does not tell (before 6.15)");
        } else {
            assert_eq!(told, Exit::Code(5), "reaped: {is_reaped}");
        }
        tree.reap();
        end(shell);
    }
}

#[test]
fn another_inode_another_start_and_one_that_is_gone_are_not_adopted() {
    let mut sleeper = Command::new("sleep").arg("1000000").spawn().expect("sleep");
    let pid = sleeper.id();
    let inode = PidFd::open(pid).expect("it runs").inode();
    let starttime = proc::stat(pid).expect("it runs").starttime;
    let adopt = |inode, starttime| Tree::adopt(pid, inode, starttime);
    assert!(matches!(adopt(inode + 1, starttime), Err(NotAdopted::AnotherProcess)), "another inode");
    assert!(matches!(adopt(0, starttime + 1), Err(NotAdopted::AnotherProcess)), "another start, where no inode was recorded");
    assert!(matches!(adopt(0, 0), Err(NotAdopted::AnotherProcess)), "nothing was recorded, so nothing is proven");
    adopt(inode, 0).expect("the inode is enough");
    adopt(0, starttime).expect("without an inode the start is");
    sleeper.kill().expect("ours");
    wait(&PidFd::open(pid).expect("not reaped"));
    assert!(matches!(adopt(inode, starttime), Err(NotAdopted::Gone)), "it has exited");
    sleeper.wait().expect("a refused adoption has reaped nothing");
}

#[test]
fn a_child_that_gave_root_up_is_adopted_by_root() {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sleep");
    command.arg("1000000").uid(file::euid() + 1);
    let Ok(mut sleeper) = command.spawn() else {
        return skip("a_child_that_gave_root_up_is_adopted_by_root: this user cannot run anything as another");
    };
    let inode = PidFd::open(sleeper.id()).expect("it runs").inode();
    let starttime = proc::stat(sleeper.id()).expect("it runs").starttime;
    let adopted = Tree::adopt(sleeper.id(), inode, starttime);
    sleeper.kill().expect("ours");
    sleeper.wait().expect("reaped");
    assert!(adopted.is_ok(), "else a second one would be started beside it: {adopted:?}");
}

#[test]
fn a_number_that_is_another_processs_by_now_is_not_adopted() {
    let test = "a_number_that_is_another_processs_by_now_is_not_adopted";
    if alone::is_alone() {
        let mut first = Command::new("sleep").arg("1000000").spawn().expect("sleep");
        let pid = first.id();
        let (inode, starttime) =
            (PidFd::open(pid).expect("it runs").inode(), proc::stat(pid).expect("/proc is this namespace's").starttime);
        let is_proven = inode != 0;
        first.kill().expect("ours");
        first.wait().expect("reaped");
        let mut second = loop {
            std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("root of this namespace");
            let mut child = Command::new("sleep").arg("1000000").spawn().expect("sleep");
            if child.id() == pid {
                break child;
            }
            child.kill().expect("ours");
            child.wait().expect("reaped");
        };
        let adopted = Tree::adopt(pid, inode, starttime);
        assert!(!is_proven || matches!(adopted, Err(NotAdopted::AnotherProcess)), "{adopted:?}");
        assert!(second.try_wait().expect("ours").is_none(), "it runs on");
        second.kill().expect("ours");
        second.wait().expect("reaped");
        alone::done();
    }
    let mut namespace = Command::new("unshare");
    namespace.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    let possible = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        return skip(&format!("{test}: no pid namespace can be made here"));
    }
    alone::run_in(namespace, &format!("adoption::{test}"));
}

#[test]
fn the_cgroup_that_a_supervisor_made_is_found_by_its_successor() {
    let (subject, grandchild) = stubborn(&[], Some("found"));
    let Tree { leader, inode, starttime, .. } = &subject.tree;
    let mut adopted = Tree::adopt(leader.pid, *inode, *starttime).expect("the same process");
    if !subject.tree.uses_cgroup() {
        grandchild.signal(libc::SIGKILL, false).expect("it is ours");
        subject.kill();
        return skip("the_cgroup_that_a_supervisor_made_is_found_by_its_successor: no cgroup is delegated to this process");
    }
    assert!(adopted.uses_cgroup());
    adopted.kill().expect("it is ours");
    wait(&grandchild);
    subject.end();
}

#[test]
fn of_another_ones_group_only_the_worker_and_its_children_are_signalled() {
    let mut subject = Subject::plain("sleep 1000000 & echo $!; sh -c 'sleep 1000000 & echo $!; wait' & echo $!; wait");
    let innocent = subject.process();
    let numbers: Vec<u32> = (0..2).map(|_| subject.line().parse().expect("a number")).collect();
    let worker = *numbers.iter().find(|pid| proc::stat(**pid).expect("it runs").parent == subject.tree.pid()).expect("a child");
    let child = PidFd::open(*numbers.iter().find(|pid| **pid != worker).expect("another")).expect("it runs");
    let mut other = Tree::of_other(PidFd::open(worker).expect("it runs"), worker);
    assert_eq!(other.leader.leads, (false, false));
    other.kill().expect("the same user's");
    wait(&other);
    wait(&child);
    assert_eq!(other.sweep(), 0);
    other.reap();
    assert!(!innocent.has_exited() && subject.tree.exit().is_none(), "of the same group, and not of the worker");
    subject.kill();
}

#[test]
fn a_monitor_that_its_worker_started_does_not_end_itself() {
    let test = "a_monitor_that_its_worker_started_does_not_end_itself";
    if alone::is_alone() {
        let worker = std::os::unix::process::parent_id();
        let mut tree = Tree::of_other(PidFd::open(worker).expect("it runs"), worker);
        tree.kill().expect("the same user's");
        wait(&tree);
        assert_eq!(tree.sweep(), 0, "this process is not counted");
        alone::say("it lives");
        alone::done();
    }
    let mut worker = alone::command(Command::new("sh"), &format!("adoption::{test}"), |command, words| {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        command.arg("-c").arg(format!("{}; :", quoted.join(" ")));
    });
    let mut child = worker.stdout(Stdio::piped()).spawn().expect("sh");
    let mut said = String::new();
    io::Read::read_to_string(child.stdout.as_mut().expect("piped"), &mut said).expect("it ends");
    child.wait().expect("reaped");
    assert!(said.contains("it lives"), "{said}");
}

/// One that was made by a fork server, say: it led no session yet when it was taken, has led one since, and was reaped at its end.
#[test]
fn what_a_hosts_child_leaves_in_its_session_goes_though_another_reaped_it() {
    let inner = "exec setsid sh -c 'sleep 1000000 >&2 & echo $!; exit 5'";
    let script = format!(
        "exec 3<&0; sh -c 'echo $$; read x <&3; {}' & exec 3<&- 0</dev/null; wait; exec sleep 1000000",
        inner.replace('\'', "'\\''")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut shell = shell.spawn().expect("sh");
    let mut lines = BufReader::new(shell.stdout.take().expect("piped"));
    let mut number = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        line.trim().parse::<u32>().expect("a number")
    };
    let pid = number();
    let mut tree = Tree::of_host(PidFd::open(pid).expect("it runs"), pid);
    tree.look_at_leader();
    assert_eq!(tree.leader.leads, (false, false), "it is in its parent's session yet");
    drop(shell.stdin.take());
    let left = PidFd::open(number()).expect("it runs");
    wait(&tree);
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        std::thread::yield_now();
    }
    if !tree.leader.fd.has_group() {
        skip("what_a_hosts_child_leaves_in_its_session…: this kernel does not tell (before 6.9)");
    } else {
        while tree.sweep() > 0 {
            std::thread::yield_now();
        }
        assert!(left.has_exited(), "nothing is left of it");
    }
    let _ = left.signal(libc::SIGKILL, false);
    tree.reap();
    end(shell);
}
