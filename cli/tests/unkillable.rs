//! A worker that not even SIGKILL ends: it waits in the kernel, on a file system that is frozen.

mod common;

use common::part::{attached, part, pass, playing};
use common::{Held, Monitor, Scratch, let_pass, skip, until};
use hangwatch::Total;
use hangwatch::judge::Verdict;
use hangwatch::segment::Segment;
use std::io::Write;
use std::path::PathBuf;

/// A small file system of its own, thawed and unmounted with this.
struct Disk {
    mount: PathBuf,
    _timer: Held,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        std::fs::create_dir(&mount).map_err(|e| e.to_string())?;
        let file = std::fs::File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(16 << 20).map_err(|e| e.to_string())?;
        ran(common::command("mkfs.ext4").arg("-q").arg(&image))?;
        ran(common::command("mount").args(["-o", "loop"]).arg(&image).arg(&mount))?;
        // Thaws in any case: what waits for a frozen file system cannot be ended by anybody.
        // It waits on a pipe from this test, so that it ends with it.
        let timer = format!("timeout 60 cat; fsfreeze -u {}", mount.display());
        let timer = Held::start(common::command("setsid").args(["sh", "-c", &timer]).stdin(std::process::Stdio::piped()));
        Ok(Self { mount, _timer: timer, _folder: folder })
    }

    fn freeze(&self) -> Result<(), String> {
        ran(common::command("fsfreeze").arg("-f").arg(&self.mount))
    }

    fn thaw(&self) -> Result<(), String> {
        ran(common::command("fsfreeze").arg("-u").arg(&self.mount))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.thaw();
        let _ = ran(common::command("umount").arg("-l").arg(&self.mount));
    }
}

fn ran(command: &mut std::process::Command) -> Result<(), String> {
    let status = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status();
    let program = command.get_program().to_string_lossy().into_owned();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(e) => Err(format!("{program}: {e}")),
    }
}

/// The state letters of a process's threads.
fn states(pid: &serde_json::Value) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is still there");
    let stat = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("stat")).ok();
    tasks.filter_map(stat).filter_map(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next()).collect()
}

#[test]
fn a_worker_that_sigkill_does_not_end_is_quarantined_and_replaced_only_once_it_has_gone() {
    const TEST: &str = "a_worker_that_sigkill_does_not_end_is_quarantined_and_replaced_only_once_it_has_gone";
    if let Some(file) = part() {
        let mut file = std::fs::File::options().append(true).create(true).open(file).expect("a file on the disk");
        let mut worker = attached();
        worker.begin_job("stuck", "model", Total::Unknown);
        for done in 0.. {
            worker.step(done);
            file.write_all(b"step").expect("written");
            pass(20);
        }
    }
    let disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    let scratch = Scratch::new();
    let policy = "hangwatch: 1\npoll_interval: 50ms\ninference_step_timeout: 1s\ngrace: 200ms\nd_wait: 500ms\n";
    let flags = format!("--config {}", scratch.file("policy.yaml", policy).display());
    let worker = playing(TEST, &disk.mount.join("file").to_string_lossy());
    let words: Vec<&str> = worker.iter().map(String::as_str).collect();
    let mut run = Monitor::run(&scratch.segment(), &flags, &words);
    // Dropped before the run, which waits for its workers.
    let disk = disk;
    run.attached(1);
    let segment = Segment::open_read_only(&scratch.segment()).expect("the segment of the run");
    let slot = segment.slot(0).expect("its slot");
    until(|| slot.read_hot().is_ok_and(|hot| hot.done().is_some()));
    if let Err(why) = disk.freeze() {
        run.stop();
        return skip(&format!("{TEST}: {why}"));
    }
    let quarantined = run.next("quarantined");
    let states = states(&quarantined["pid"]);
    assert!(states.contains(&'D'), "its working thread waits in the kernel: {states:?}");
    let actions: Vec<String> = run.of_kind("action").iter().map(|event| event["detail"].to_string()).collect();
    assert!(actions.len() == 2 && actions[1].contains("SIGKILL"), "every rung was climbed: {actions:?}");
    until(|| segment.slot(0).is_some_and(|slot| slot.peek_seen().verdict.verdict() == Verdict::Unkillable as u8));
    let_pass(&segment, 2.0);
    assert!(run.of_kind("replaced").is_empty(), "a replacement would share its device: {:#?}", run.events);
    disk.thaw().expect("frozen by us");
    let replaced = run.next("replaced");
    assert_eq!((&replaced["job"], &replaced["slot"]), (&"stuck".into(), &quarantined["slot"]), "it could die, and has");
    assert_eq!(run.of_kind("quarantined").len(), 1, "told once: {:#?}", run.events);
    run.stop();
}
