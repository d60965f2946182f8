//! The line that a child writes before it becomes its program.

use super::*;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

fn sh(script: &str) -> Vec<OsString> {
    ["sh", "-c", script].map(Into::into).into()
}

#[test]
fn the_line_holds_the_words_the_number_and_the_inode() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let path = dir.path().join("journal");
    std::fs::write(&path, "before\n").expect("written");
    let file = OpenOptions::new().append(true).open(&path).expect("there");
    let argv = sh("exec sleep 1000000");
    let journal = Some(Journal { file: &file, words: "replica 0 slot 3:7" });
    let spec = Spawn { argv: &argv, variables: &[], without: &[], output: None, journal, cgroup: None };
    let mut tree = Tree::spawn(&spec).expect("spawned");
    let wanted = format!("before\nreplica 0 slot 3:7 {} {}\n", tree.pid(), tree.inode());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), wanted);
    tree.kill().expect("it is ours");
    wait(&tree);
    tree.reap();
}

#[test]
fn what_cannot_be_written_down_is_not_run() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("there");
    let dir = tempfile::tempdir().expect("a temp dir");
    let proof = dir.path().join("it-ran");
    let argv = sh(&format!("touch {}", proof.display()));
    let journal = Some(Journal { file: &full, words: "words" });
    let spec = Spawn { argv: &argv, variables: &[], without: &[], output: None, journal, cgroup: None };
    assert_eq!(Tree::spawn(&spec).expect_err("no room").raw_os_error(), Some(libc::ENOSPC));
    assert!(!proof.exists());
}

/// The supervisor's part. What it got for its standard input is the journal: a pipe that is full, so that its child stands
/// between fork and exec. The worker's output goes there too.
fn supervise() -> ! {
    let output = File::from(io::stdin().as_fd().try_clone_to_owned().expect("open"));
    let argv = sh("echo it runs; exec sleep 1000000");
    let journal = Some(Journal { file: &output, words: "words" });
    let spec = Spawn { argv: &argv, variables: &[], without: &[], output: Some(&output), journal, cgroup: None };
    let spawned = Tree::spawn(&spec);
    panic!("it is killed before that, and got {spawned:?}");
}

/// As much as the pipe takes; how much that was.
fn fill(writer: &impl AsRawFd) -> usize {
    let again = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut file = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(again).expect("the same pipe");
    let mut filled = 0;
    loop {
        match file.write(b"x") {
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return filled,
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn a_child_whose_parent_is_killed_right_after_the_fork_is_in_the_journal_before_it_runs() {
    if alone::is_alone() {
        supervise();
    }
    let test = "journal::a_child_whose_parent_is_killed_right_after_the_fork_is_in_the_journal_before_it_runs";
    let (reader, writer) = io::pipe().expect("a pipe");
    let filled = fill(&writer);
    let mut command = alone::command(Command::new("env"), test, |command, words| {
        command.args(words);
    });
    let mut supervisor = command.stdin(writer).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    drop(command);
    let child = loop {
        let all = proc::all();
        // After its setsid there is nothing but the journal between it and its program.
        let forked = |stat: &&proc::Stat| stat.parent == supervisor.id() && u32::try_from(stat.session) == Ok(stat.pid);
        if let Some(child) = all.iter().find(forked) {
            break child.pid;
        }
        assert!(supervisor.try_wait().expect("ours").is_none(), "it waits for its child");
        std::thread::yield_now();
    };
    supervisor.kill().expect("ours");
    supervisor.wait().expect("reaped");
    let mut says = BufReader::new(reader);
    says.read_exact(&mut vec![0; filled]).expect("what was filled in");
    let mut lines = [String::new(), String::new()];
    lines.iter_mut().for_each(|line| assert_ne!(says.read_line(line).expect("a line"), 0));
    let fd = PidFd::open(child).expect("it runs");
    assert_eq!(lines, [format!("words {child} {}\n", fd.inode()), "it runs\n".to_owned()]);
    let starttime = proc::stat(child).expect("it runs").starttime;
    let mut tree = Tree::adopt(child, fd.inode(), starttime).expect("by its line it is known");
    tree.kill().expect("ours");
    wait(&tree);
    tree.reap();
}
