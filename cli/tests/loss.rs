//! The segment is lost under a monitor: cut short, overwritten, removed, replaced, superseded. It is told once, and the
//! monitor lives; a `watch` goes on in the segment that takes its place.
#![allow(unsafe_code, reason = "a worker's signal, by its own handle")]

mod common;

use common::{Held, Monitor, Scratch, c_worker, hangwatch, let_pass, said, until, worker};
use hangwatch::segment::{Geometry, Presence, Segment};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

const FLAGS: &str = "--inference-step-timeout 1s --poll 50ms";
/// One job without end: no budget of seconds runs before it and between two.
const WORKS: &str = "--steps 1000000 --step-ms 20";
const HANGS: &str = "--steps 4 --step-ms 10 --hang-at 25";

fn file(path: &Path) -> File {
    File::options().read(true).write(true).open(path).expect("the segment's file")
}

fn cut(path: &Path, len: u64) {
    file(path).set_len(len).expect("cut");
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    file(path).write_all_at(bytes, offset).expect("overwritten");
}

/// Another segment, renamed over this one's name.
fn replace(path: &Path) -> Segment {
    let other = path.with_extension("other");
    let segment = Segment::create(&other, Geometry::default()).expect("another segment");
    std::fs::rename(&other, path).expect("renamed over");
    segment
}

/// Those of losses, so far: what they say.
fn losses(monitor: &Monitor) -> Vec<&str> {
    monitor.of_kind("segment_lost").into_iter().filter_map(|event| event["detail"].as_str()).collect()
}

/// Waits until a whole poll has begun and ended after this.
fn a_whole_poll(segment: &Segment) {
    let count = || segment.header().peek_monitor().beat.count();
    let now = count();
    until(|| count() >= now + 2);
}

#[test]
fn every_way_to_lose_the_name_is_told_once_within_a_poll_and_the_workers_are_watched_on() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 4] = [
        ("its name is gone", |path| std::fs::remove_file(path).expect("its name")),
        ("its name is gone", |path| std::fs::rename(path, path.with_extension("aside")).expect("moved aside")),
        ("another file has its name", |path| drop(replace(path))),
        ("a newer segment has taken its place", |path| overwrite(path, 0x130, &3u64.to_ne_bytes())),
    ];
    for (expected, deed) in deeds {
        let scratch = Scratch::new();
        let segment = scratch.made();
        let mut watch = Monitor::watch(&segment, FLAGS);
        let _works = worker(c_worker(), segment.path(), "works", WORKS);
        let hangs = worker(c_worker(), segment.path(), "hangs", HANGS);
        deed(segment.path());
        a_whole_poll(&segment);
        let opened = watch.next("opened");
        assert_eq!((&opened["pid"], &opened["verdict"]), (&hangs.pid().into(), &"silent".into()), "a name is not the memory");
        let_pass(&segment, 0.5);
        assert_eq!(watch.stop(), Some(0), "the monitor lived");
        let told = losses(&watch);
        assert!(matches!(told[..], [detail] if detail.starts_with(expected)), "once, as '{expected}': {told:?}");
        assert_eq!(watch.kinds()[0], "segment_lost", "at the first poll that could: {:#?}", watch.events);
        assert!(watch.of_kind("segment_found").is_empty(), "its workers are still here");
    }
}

#[test]
fn a_segment_that_cannot_be_read_any_more_is_told_of_and_its_successor_is_watched() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 5] = [
        ("it was cut short", |path| cut(path, 0)),
        ("it was cut short", |path| cut(path, 4096)),
        ("it was cut short", |path| cut(path, 5000)),
        ("it was cut short", |path| cut(path, 4096 + 64 * 1024 - 1)),
        ("its header was overwritten", |path| overwrite(path, 0, &[0; 8])),
    ];
    let scratch = Scratch::new();
    let segment = scratch.made();
    let path = segment.path().to_owned();
    let mut watch = Monitor::watch(&segment, FLAGS);
    drop(segment);
    for (round, (expected, deed)) in deeds.into_iter().enumerate() {
        // What is open when it is lost is not said to have ended well.
        let _hangs = worker(c_worker(), &path, "before", HANGS);
        watch.next("opened");
        deed(&path);
        let lost = watch.next("segment_lost");
        assert!(lost["detail"].as_str().is_some_and(|detail| detail.starts_with(expected)), "{round}: {lost}");
        // A name that leads to no segment yet.
        std::fs::remove_file(&path).expect("its name");
        std::fs::write(&path, "no segment").expect("something else");
        std::fs::remove_file(&path).expect("its name");
        let hangs = worker(c_worker(), &path, "after", HANGS);
        watch.next("segment_found");
        let opened = watch.next("opened");
        assert_eq!((&opened["pid"], &opened["worker"]), (&hangs.pid().into(), &"after".into()), "{round}: {opened}");
        let of_round = watch.take_events();
        let kinds: Vec<_> = of_round.iter().filter_map(|event| event["event"].as_str()).collect();
        let kinds: Vec<_> = kinds.into_iter().filter(|kind| !["monitor_gap", "would_act"].contains(kind)).collect();
        assert_eq!(kinds[kinds.len() - 4..], ["opened", "segment_lost", "segment_found", "opened"], "{round}: once each");
        // The next round's is a slot of its own.
        drop(hangs);
        until(|| Segment::open_read_only(&path).is_ok_and(|s| s.slots().all(|(_, slot)| slot.read_hot().is_err())));
    }
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn a_file_that_is_cut_at_any_moment_of_a_scan_is_no_sigbus_and_ends_no_episode() {
    // Scans without end and many slots: many a cut comes within one, and before the slot of the worker is read.
    let scratch = Scratch::new();
    let path = scratch.segment();
    let many = || {
        let segment = scratch.made_with(4096);
        // Claims begin here.
        overwrite(&path, 0x180, &4000u64.to_ne_bytes());
        segment
    };
    let mut watch = Monitor::watch(&many(), "--inference-step-timeout 100ms --poll 1ms");
    for round in 0..20 {
        let _hangs = worker(c_worker(), &path, "", HANGS);
        watch.next("opened");
        cut(&path, 4096 * (round % 3));
        watch.next("segment_lost");
        std::fs::remove_file(&path).expect("its name");
        drop(many());
        watch.next("segment_found");
    }
    assert_eq!(watch.stop(), Some(0), "an exit code, and no signal");
    assert_eq!(losses(&watch).len(), 20, "once each");
    assert!(watch.of_kind("closed").is_empty(), "zeroes are no word of a worker's: {:#?}", watch.of_kind("closed"));
}

#[test]
fn a_replaced_segment_is_left_when_its_last_worker_has_gone() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    let mut old = worker(c_worker(), segment.path(), "old", WORKS);
    until(|| segment.slot(0).is_some_and(|slot| slot.read_hot().is_ok_and(|hot| hot.phase.job_open())));
    let_pass(&segment, 0.2);
    let next = replace(segment.path());
    watch.next("segment_lost");
    let _new = worker(c_worker(), segment.path(), "new", HANGS);
    let_pass(&segment, 0.5);
    assert_eq!(next.header().peek_monitor().beat.count(), 0, "one lock, one segment: the other one's turn is not yet");
    old.signal(libc::SIGKILL);
    old.wait();
    assert_eq!(watch.next("lost_job")["worker"], "old", "it was watched to its end");
    watch.next("segment_found");
    assert_eq!(watch.next("opened")["worker"], "new");
    assert_eq!(next.header().peek_monitor().owner.pid(), watch.held.pid());
    assert_eq!(watch.stop(), Some(0));
    assert_eq!([losses(&watch).len(), watch.of_kind("segment_found").len()], [1, 1]);
}

#[test]
fn a_watch_that_goes_over_still_keeps_every_other_monitor_out_and_reads_its_configuration_again() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let config = scratch.file("policy.yaml", "hangwatch: 1\nprogress_timeout: 1h\nheartbeat_timeout: 1h\n");
    let mut watch = Monitor::watch(&segment, &format!("--poll 50ms --config {}", config.display()));
    let next = replace(segment.path());
    watch.next("segment_found");
    until(|| next.header().peek_monitor().beat.count() > 0);
    let second = said(hangwatch().args(["watch", "--segment"]).arg(segment.path()));
    assert_eq!(second.code, Some(4), "{}", second.err);
    assert!(second.err.contains(&format!("another monitor is alive (pid {})", watch.held.pid())), "{}", second.err);
    let _hangs = worker(c_worker(), segment.path(), "", HANGS);
    scratch.file("policy.yaml", "hangwatch: 1\nprogress_timeout: 1h\nheartbeat_timeout: 500ms\n");
    watch.held.signal(libc::SIGHUP);
    watch.next("config_reloaded");
    assert_eq!(watch.next("opened")["verdict"], "silent", "the policy in force is that of the segment in force");
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn a_run_whose_segment_is_cut_short_tells_it_and_ends_its_workers_and_itself() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let command = [c_worker().to_str().expect("a UTF-8 path")].into_iter().chain(WORKS.split_whitespace());
    let mut run = Monitor::run(&path, "--poll 50ms --replicas 2", &command.collect::<Vec<_>>());
    run.attached(2);
    let segment = Segment::open_read_only(&path).expect("the segment");
    let pids: Vec<u32> = segment.slots().map(|(_, slot)| slot.peek_owner().pid()).filter(|pid| *pid != 0).collect();
    assert_eq!(pids.len(), 2);
    cut(&path, 0);
    // Its workers do get a SIGBUS, at their next step; what replaced them could not be watched.
    assert_eq!(run.end(), Some(4), "the segment is unusable; an exit code, and no signal: {:#?}", run.events);
    assert!(run.of_kind("replaced").is_empty(), "{:#?}", run.events);
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "worker {pid} is no orphan");
    }
}

#[test]
fn a_run_ends_workers_that_it_can_see_no_more_though_they_touch_nothing() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 2] = [(HANGS, |path| cut(path, 0)), (WORKS, |path| overwrite(path, 0, &[0; 8]))];
    for (worker, deed) in deeds {
        let scratch = Scratch::new();
        let path = scratch.segment();
        let command = [c_worker().to_str().expect("a UTF-8 path")].into_iter().chain(worker.split_whitespace());
        // It hangs, and no budget runs out while anybody looks.
        let mut run = Monitor::run(&path, "--poll 50ms --grace 10s", &command.collect::<Vec<_>>());
        run.attached(1);
        let segment = Segment::open_read_only(&path).expect("the segment");
        let slot = segment.slot(0).expect("its slot");
        until(|| slot.read_hot().is_ok_and(|hot| hot.progress != u64::MAX));
        let pid = slot.peek_owner().pid();
        deed(&path);
        run.next("segment_lost");
        assert!(run.next("action")["detail"].as_str().is_some_and(|detail| detail.contains("SIGTERM")));
        assert_eq!(run.end(), Some(4), "{:#?}", run.events);
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "worker {pid} is no orphan");
        assert_eq!([losses(&run).len(), run.of_kind("replaced").len()], [1, 0]);
    }
}

#[test]
fn a_run_whose_segments_name_is_removed_tells_it_and_watches_on() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let command = [c_worker().to_str().expect("a UTF-8 path")].into_iter().chain(HANGS.split_whitespace());
    let flags = format!("{FLAGS} --restart never");
    let mut run = Monitor::run(&path, &flags, &command.collect::<Vec<_>>());
    run.attached(1);
    std::fs::remove_file(&path).expect("its name");
    assert_eq!(run.next("segment_lost")["segment"], path.to_str().expect("a UTF-8 path"));
    assert_eq!(run.next("opened")["verdict"], "silent", "its worker is in the memory, not in the name");
    assert_eq!(run.end(), Some(1), "it was ended because it hung");
    assert_eq!(losses(&run).len(), 1);
}

#[test]
fn a_run_starts_nobody_where_nobody_looks_once_its_segments_name_is_removed() {
    let scratch = Scratch::new();
    let path = scratch.segment();
    let command = [c_worker().to_str().expect("a UTF-8 path")].into_iter().chain(HANGS.split_whitespace());
    let mut run = Monitor::run(&path, FLAGS, &command.collect::<Vec<_>>());
    run.attached(1);
    std::fs::remove_file(&path).expect("its name");
    let given_up = run.next("gave_up");
    assert!(given_up["detail"].as_str().is_some_and(|detail| detail.contains("name is gone")), "{given_up}");
    assert_eq!(run.end(), Some(4), "the segment is unusable");
    assert_eq!([run.of_kind("lost_job").len(), run.of_kind("replaced").len()], [1, 0]);
    assert!(!path.exists(), "nobody made another one");
}

#[test]
fn an_observer_of_a_segment_that_is_cut_says_so_and_gets_no_sigbus() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(4096);
    let mut command = hangwatch();
    command.args(["record", "--interval", "1ms", "--out"]).arg(scratch.path().join("trace")).arg("--segment").arg(segment.path());
    let mut record = Held::start(&mut command);
    until(|| std::fs::metadata(scratch.path().join("trace")).is_ok_and(|m| m.len() > 1000));
    cut(segment.path(), 0);
    let status = record.wait();
    assert_eq!((status.code(), status.signal()), (Some(4), None), "an exit code, and no signal");
    assert_eq!(segment.presence(), Presence::Truncated);
}

#[test]
fn nothing_is_left_beside_a_segment_that_was_lost_and_found() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    cut(segment.path(), 0);
    watch.next("segment_lost");
    std::fs::remove_file(segment.path()).expect("its name");
    let next = scratch.made();
    watch.next("segment_found");
    assert_eq!(watch.stop(), Some(0));
    next.unlink().expect("our own");
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("the folder").map(|e| e.expect("an entry").file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_a_loss_is_called_says_what_to_do() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut watch = Monitor::watch(&segment, FLAGS);
    cut(segment.path(), 0);
    let lost: Value = watch.next("segment_lost");
    let detail = lost["detail"].as_str().expect("what it means");
    assert!(detail.contains("SIGBUS") && detail.contains("remove it, and the next worker makes a new one"), "{detail}");
    assert_eq!((&lost["slot"], &lost["segment"]), (&Value::Null, &segment.path().to_str().into()));
    assert_eq!(watch.stop(), Some(0), "a stop ends it, lost or not");
}
