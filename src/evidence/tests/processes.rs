//! What real threads wait for.

use super::{LONG, Scratch, json, of_process, read};
use crate::evidence::CauseKind;
use crate::os::identity;
use crate::os::proc::detail::Detail;
use crate::os::proc::task::Task;
use crate::os::proc::text::Text;
use crate::os::tests::{Subject, skip};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Until a thread is as it should be.
fn until(pid: u32, tid: u32, is_so: impl Fn(&Detail) -> bool) {
    let mut text = Text::default();
    while !(Task { pid, tid }).detail(&mut text).is_ok_and(|it| is_so(&it)) {
        std::thread::yield_now();
    }
}

/// It has come to rest in a system call of this number.
fn rests_in(number: i64) -> impl Fn(&Detail) -> bool {
    move |it| {
        let call = it.syscall.as_ref().and_then(|it| it.split(' ').next()?.parse::<i64>().ok());
        matches!(it.state, 'S' | 'D') && call == Some(number)
    }
}

#[test]
fn a_thread_that_waits_for_another_is_in_a_futex_wait_though_its_process_has_others() {
    let scratch = Scratch::new();
    let barrier = Arc::new(Barrier::new(2));
    let (tells, told) = channel();
    let waits = Arc::clone(&barrier);
    let thread = std::thread::spawn(move || {
        tells.send(identity::myself().tid).expect("the test waits");
        waits.wait();
    });
    let (pid, tid) = (std::process::id(), told.recv().expect("it has begun"));
    until(pid, tid, rests_in(libc::SYS_futex));
    let outcome = scratch.gathered(of_process(pid, tid), LONG);
    barrier.wait();
    thread.join().expect("it ends");
    let cause = outcome.cause.expect("a cause");
    assert_eq!(cause.kind, CauseKind::FutexWait, "{cause}");
    assert!(cause.reading.starts_with(&format!("thread {tid} (")) && cause.reading.contains("(futex)"), "{cause}");
    let bundle = outcome.bundle.expect("written");
    let json = json(&bundle);
    assert_eq!((&json["threads"][0]["tid"], &json["threads"][0]["claimed"]), (&tid.into(), &true.into()), "it stands first");
    assert!(json["threads"].as_array().expect("threads").len() > 1, "the others are told of too");
    assert!(read(&bundle, "summary.txt").contains(&format!("cause: {cause}")));
    assert!(read(&bundle, "threads.txt").contains("claimed the slot"));
}

#[test]
fn a_process_that_spins_is_in_a_busy_loop() {
    let scratch = Scratch::new();
    let child = Subject::spinning();
    // On a machine with much else to do it may be given no CPU for a while.
    loop {
        let outcome = scratch.gathered(of_process(child.pid(), child.pid()), LONG);
        let cause = outcome.cause.expect("a cause");
        if cause.kind == CauseKind::BusyLoop {
            assert!(cause.reading.contains("ms of CPU time in"), "{cause}");
            let summary = read(&outcome.bundle.expect("written"), "summary.txt");
            let may_see = std::fs::read("/proc/self/stack").is_ok();
            assert_eq!(
                summary.contains("the kernel's stacks: they need"),
                !may_see,
                "an empty stack is no forbidden one: {summary}"
            );
            break;
        }
        assert!(matches!(cause.kind, CauseKind::Starved | CauseKind::Unknown), "it never waits for anything else: {cause}");
    }
}

#[test]
fn a_process_that_is_stopped_is_stopped_and_one_that_sleeps_sleeps() {
    let scratch = Scratch::new();
    let child = Subject::sleeping();
    until(child.pid(), child.pid(), rests_in(libc::SYS_clock_nanosleep));
    let cause = scratch.gathered(of_process(child.pid(), 0), LONG).cause.expect("a cause");
    assert_eq!(cause.kind, CauseKind::Sleeping, "{cause}");
    assert!(cause.reading.starts_with("the thread that claimed is not known; "), "{cause}");
    child.stop();
    let cause = scratch.gathered(of_process(child.pid(), child.pid()), LONG).cause.expect("a cause");
    assert_eq!(cause.kind, CauseKind::Stopped, "{cause}");
}

#[test]
fn a_process_that_reads_from_an_empty_pipe_is_in_a_pipe_wait() {
    let scratch = Scratch::new();
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
    until(child.id(), child.id(), rests_in(libc::SYS_read));
    let outcome = scratch.gathered(of_process(child.id(), child.id()), LONG);
    drop(child.stdin.take());
    child.wait().expect("it ends with its input");
    let cause = outcome.cause.expect("a cause");
    assert_eq!(cause.kind, CauseKind::PipeWait, "{cause}");
}

#[test]
fn of_a_process_that_has_ended_or_whose_number_another_has_nothing_is_read() {
    let scratch = Scratch::new();
    let mut child = Subject::sleeping();
    let mut ended = of_process(child.pid(), child.pid());
    child.end();
    let innocent = Subject::sleeping();
    ended.pid = innocent.pid();
    let other = Subject::sleeping();
    let mixed = crate::evidence::Subject { pid: innocent.pid(), ..of_process(other.pid(), 0) };
    let unproven = crate::evidence::Subject { fd: None, ..of_process(innocent.pid(), 0) };
    let mixed_has = format!("number {} is another process's", innocent.pid());
    for (subject, why) in [(ended, "it has ended"), (mixed, &*mixed_has), (unproven, "its identity is not proven")] {
        if why == mixed_has && innocent.inode() == 0 {
            skip("of_a_process_that_has_ended_or_whose_number_another_has_nothing_is_read: this kernel numbers no pidfds");
            continue;
        }
        let outcome = scratch.gathered(subject, LONG);
        assert_eq!(outcome.cause, None, "{why}");
        let bundle = outcome.bundle.expect("what else there is is kept");
        let json = json(&bundle);
        assert!(json["threads"] == serde_json::json!([]) && json["process_status"] == serde_json::json!({}), "{json:#}");
        assert!(read(&bundle, "summary.txt").contains(why), "{why}");
    }
}

#[test]
fn a_thread_of_another_pid_namespace_is_found_by_its_own_number() {
    const TEST: &str = "a_thread_of_another_pid_namespace_is_found_by_its_own_number";
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", "echo $$; exec sleep 1000000"]);
    let mut outer = match unshare.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() {
        Ok(child) => child,
        Err(e) => return skip(&format!("{TEST}: unshare: {e}")),
    };
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(outer.stdout.take().expect("piped")), &mut said).expect("read");
    if said.trim() != "1" {
        outer.wait().expect("ended");
        return skip(&format!("{TEST}: no namespace can be made here"));
    }
    let children = format!("/proc/{0}/task/{0}/children", outer.id());
    let inner: u32 = std::fs::read_to_string(children).expect("its children").trim().parse().expect("one");
    until(inner, inner, rests_in(libc::SYS_clock_nanosleep));
    let outcome = Scratch::new().gathered(of_process(inner, 1), LONG);
    outer.kill().expect("ours");
    outer.wait().expect("reaped");
    let cause = outcome.cause.expect("a cause");
    assert!(cause.reading.starts_with(&format!("thread {inner} (sleep)")), "{cause}");
}

/// A small file system, thawed and unmounted with this.
struct Disk {
    dir: tempfile::TempDir,
    timer: Child,
}

impl Disk {
    fn new() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        std::fs::create_dir(&mount).map_err(|e| e.to_string())?;
        std::fs::File::create(&image).and_then(|it| it.set_len(16 << 20)).map_err(|e| e.to_string())?;
        ran(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        ran(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
        // Thaws when this test ends, however it ends: nobody can end what waits for a frozen file system.
        let thaws = format!("cat; fsfreeze -u {}", mount.display());
        let timer = Command::new("setsid").args(["sh", "-c", &thaws]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        Ok(Self { timer: timer.map_err(|e| e.to_string())?, dir })
    }

    fn mount(&self) -> std::path::PathBuf {
        self.dir.path().join("mount")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.timer.stdin.take());
        let _ = self.timer.wait();
        let _ = ran(Command::new("umount").arg("-l").arg(self.mount()));
    }
}

fn ran(command: &mut Command) -> Result<(), String> {
    match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", command.get_program().display())),
        Err(e) => Err(format!("{}: {e}", command.get_program().display())),
    }
}

#[test]
fn a_write_to_a_frozen_file_system_is_a_disk_wait_and_evidence_that_is_to_go_there_is_answered_all_the_same() {
    const TEST: &str = "a_write_to_a_frozen_file_system_is_a_disk_wait_and_evidence_that_is_to_go_there_is_answered_all_the_same";
    let disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    let mut scratch = Scratch::new();
    scratch.settings.directory = disk.mount().join("evidence");
    let frozen = ran(Command::new("fsfreeze").arg("-f").arg(disk.mount()));
    if let Err(why) = frozen {
        return skip(&format!("{TEST}: {why}"));
    }
    let script = format!("exec dd if=/dev/zero of={}/file", disk.mount().display());
    let mut child = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).spawn().expect("sh");
    until(child.id(), child.id(), |it| it.state == 'D' && it.name == "dd");
    let outcome = scratch.gathered(of_process(child.id(), child.id()), Duration::from_secs(2));
    drop(disk);
    child.kill().expect("ours");
    child.wait().expect("it can end now");
    let cause = outcome.cause.expect("the cause is known before anything is written");
    assert_eq!(cause.kind, CauseKind::DiskWait, "{cause}");
    let late = outcome.bundle.expect_err("nothing can be written there");
    assert_eq!(late.kind(), std::io::ErrorKind::TimedOut, "{late}");
}
