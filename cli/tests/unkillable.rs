//! A worker that not even SIGKILL ends: it waits in the kernel, on a file system that is frozen.

mod common;

use common::part::{attached, part, pass, playing};
use common::{Held, Monitor, Scratch, let_pass, skip, until};
use hangwatch::Total;
use hangwatch::judge::Verdict;
use hangwatch::layout::word::Tag;
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
        let timer = format!("timeout 100 cat; fsfreeze -u {}", mount.display());
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

/// Two workers that hang are all of them, which is no part of what is shown.
const POLICY: &str = "hangwatch: 1\npoll_interval: 50ms\ninference_step_timeout: 1s\ngrace: 200ms\nd_wait: 500ms\nbackoff: 10ms\n\
                      max_kills_window: 1s\n";

/// Where the second worker is told what to do: beside the disk, not on it.
fn word_of(mount: &std::path::Path) -> PathBuf {
    mount.with_file_name("word")
}

/// In a part: the first replica writes to the disk for ever, and so hangs in the kernel once that is frozen. The second one
/// ends, fails or hangs once a file of its own says so.
fn play(part: &str) -> ! {
    let (replica, folder) = part.split_once(' ').expect("a number and a folder");
    let mut worker = attached();
    worker.begin_job(&format!("job {replica}"), "model", Total::Unknown);
    let folder = std::path::Path::new(folder);
    let mut file = std::fs::File::options().append(true).create(true).open(folder.join("file")).expect("a file on the disk");
    for done in 0.. {
        if replica == "0" {
            file.write_all(b"step").expect("written");
        } else if let Ok(word) = std::fs::read_to_string(word_of(folder)) {
            match word.trim() {
                "fail" => std::process::exit(3),
                _ => pass(1_000_000),
            }
        }
        worker.step(done);
        pass(20);
    }
    unreachable!("64 bits of steps")
}

/// A run of two workers, of which the first is stuck on a frozen disk and quarantined.
struct Stuck {
    run: Monitor,
    segment: Segment,
    quarantined: serde_json::Value,
    word: PathBuf,
    disk: Disk,
    _scratch: Scratch,
}

impl Stuck {
    fn new(test: &str, flags: &str) -> Result<Self, String> {
        let disk = Disk::new()?;
        let scratch = Scratch::new();
        let flags = format!("--replicas 2 {flags} --config {}", scratch.file("policy.yaml", POLICY).display());
        let worker = playing(test, &format!("{{i}} {}", disk.mount.display()));
        let words: Vec<&str> = worker.iter().map(String::as_str).collect();
        let mut run = Monitor::run(&scratch.segment(), &flags, &words);
        run.attached(2);
        let segment = Segment::open_read_only(&scratch.segment()).expect("the segment of the run");
        until(|| (0..2).all(|i| segment.slot(i).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.done().is_some()))));
        if let Err(why) = disk.freeze() {
            run.stop();
            return Err(why);
        }
        // From here on whatever fails thaws the disk before it waits for anybody.
        let (word, quarantined) = (word_of(&disk.mount), serde_json::Value::Null);
        let mut stuck = Self { run, segment, quarantined, word, disk, _scratch: scratch };
        let quarantined = stuck.run.next("quarantined");
        assert_eq!(quarantined["job"], "job 0", "the one that is stuck: {quarantined}");
        let detail = quarantined["detail"].as_str().expect("it says why");
        assert!(detail.contains(" in D, ") && detail.contains("(write)"), "where it stands: {detail}");
        stuck.quarantined = quarantined;
        Ok(stuck)
    }

    /// To the second worker.
    fn tell(&self, word: &str) {
        std::fs::write(&self.word, word).expect("the test's own");
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        // Before the run, which waits for its workers.
        let _ = self.disk.thaw();
    }
}

#[test]
fn while_one_worker_cannot_be_ended_the_others_are_judged_ended_and_replaced_as_ever() {
    const TEST: &str = "while_one_worker_cannot_be_ended_the_others_are_judged_ended_and_replaced_as_ever";
    if let Some(part) = part() {
        play(&part);
    }
    let mut stuck = match Stuck::new(TEST, "") {
        Ok(stuck) => stuck,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    stuck.tell("hang");
    let replaced = stuck.run.next("replaced");
    assert_eq!(replaced["job"], "job 1", "the other one: {replaced}");
    stuck.tell("");
    let_pass(&stuck.segment, 1.0);
    assert!(stuck.run.of_kind("replaced").iter().all(|event| event["job"] == "job 1"), "the stuck one is not replaced");
    stuck.disk.thaw().expect("frozen by us");
    while stuck.run.next("replaced")["job"] != "job 0" {}
    assert_eq!(stuck.run.stop(), Some(0));
}

#[test]
fn a_worker_that_cannot_be_ended_is_replaced_in_another_slot_where_that_is_wanted() {
    const TEST: &str = "a_worker_that_cannot_be_ended_is_replaced_in_another_slot_where_that_is_wanted";
    if let Some(part) = part() {
        play(&part);
    }
    let mut stuck = match Stuck::new(TEST, "--respawn-unkillable") {
        Ok(stuck) => stuck,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    let own = u32::try_from(stuck.quarantined["slot"].as_u64().expect("a slot")).expect("an index");
    let replaced = stuck.run.next("replaced");
    assert_eq!(replaced["job"], "job 0", "its job is lost, whatever becomes of it: {replaced}");
    assert_ne!(replaced["slot"], own, "its own slot is set aside");
    let tag = |segment: &Segment| segment.slot(own).expect("its slot").peek_owner().tag();
    assert_eq!(tag(&stuck.segment), Tag::Quarantined);
    let pid = stuck.quarantined["pid"].as_u64().expect("a pid");
    assert!(!common::has_ended(pid), "it is still there");
    stuck.disk.thaw().expect("frozen by us");
    until(|| common::has_ended(pid) && tag(&stuck.segment) != Tag::Quarantined);
    assert_eq!(stuck.run.stop(), Some(0));
    let lost: Vec<_> = stuck.run.of_kind("lost_job").into_iter().filter(|event| event["pid"] == pid).collect();
    assert_eq!(lost.len(), 1, "told once: {lost:#?}");
}

#[test]
fn a_device_that_a_worker_holds_which_cannot_be_ended_gets_no_other_worker_before_that_has_gone() {
    const TEST: &str = "a_device_that_a_worker_holds_which_cannot_be_ended_gets_no_other_worker_before_that_has_gone";
    if let Some(part) = part() {
        play(&part);
    }
    let mut stuck = match Stuck::new(TEST, "--devices 5") {
        Ok(stuck) => stuck,
        Err(why) => return skip(&format!("{TEST}: {why}")),
    };
    stuck.tell("fail");
    let waits = stuck.run.next("quarantined");
    assert!(waits["detail"].as_str().is_some_and(|detail| detail.contains("device 5")), "{waits}");
    stuck.tell("");
    let_pass(&stuck.segment, 1.0);
    assert!(stuck.run.of_kind("replaced").is_empty(), "it would share the device: {:#?}", stuck.run.events);
    stuck.disk.thaw().expect("frozen by us");
    stuck.run.next("replaced");
    stuck.run.next("replaced");
    assert_eq!(stuck.run.of_kind("quarantined").len(), 2, "each is told once: {:#?}", stuck.run.events);
    assert_eq!(stuck.run.stop(), Some(0));
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
    let flags = format!("--config {}", scratch.file("policy.yaml", POLICY).display());
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
