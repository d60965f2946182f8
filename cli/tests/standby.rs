//! A second monitor that waits for the first one to go.

mod common;

use common::{Monitor, Scratch, c_worker, hangwatch, said, status, until, worker};
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

const FLAGS: &str = "--inference-step-timeout 1s --poll 100ms";
/// One job without end.
const WORKS: &str = "--steps 1000000 --step-ms 50";

/// Where it says that it stands by.
struct Told(UnixDatagram, std::path::PathBuf);

impl Told {
    fn new(scratch: &Scratch) -> Self {
        let path = scratch.path().join("notify");
        Self(UnixDatagram::bind(&path).expect("a socket"), path)
    }

    fn wait_for(&self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.0.recv(&mut buffer).is_ok_and(|n| buffer[..n].windows(text.len()).any(|w| w == text.as_bytes())) {}
    }
}

fn standby(kind: &str, segment: &Path, told: &Told) -> Command {
    let mut command = hangwatch();
    command.args([kind, "--standby", "--events", "-", "--segment"]).arg(segment).args(FLAGS.split_whitespace());
    command.env("NOTIFY_SOCKET", &told.1).env("WATCHDOG_USEC", "4000000");
    command
}

fn monitor_of(segment: &Segment) -> u32 {
    segment.header().peek_monitor().owner.pid()
}

#[test]
fn a_second_monitor_is_told_that_it_could_stand_by() {
    let scratch = Scratch::new();
    let segment = scratch.made();
    let mut first = Monitor::watch(&segment, FLAGS);
    let said = said(hangwatch().args(["watch", "--segment"]).arg(segment.path()));
    assert_eq!(said.code, Some(4));
    assert!(said.err.ends_with("\n  or wait until it has gone, with --standby\n"), "{}", said.err);
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn a_standby_takes_over_when_the_first_monitor_is_killed_and_ages_go_on() {
    let scratch = Scratch::new();
    let (segment, told) = (scratch.made(), Told::new(&scratch));
    let mut first = Monitor::watch(&segment, FLAGS);
    let _stuck = worker(c_worker(), segment.path(), "stuck", "--steps 8 --step-ms 20 --hang-at 50");
    let opened = first.next("opened");
    let mut second = Monitor::start(&mut standby("watch", segment.path(), &told));
    told.wait_for("READY=1");
    told.wait_for("STATUS=standing by");
    for _ in 0..2 {
        told.wait_for("WATCHDOG=1");
    }
    assert_eq!(monitor_of(&segment), first.held.pid(), "while the first one lives it is the monitor");
    first.held.signal(libc::SIGKILL);
    first.held.wait();
    until(|| monitor_of(&segment) == second.held.pid());
    told.wait_for("STATUS=1 worker attached, 1 of them hung");
    told.wait_for("WATCHDOG=1");
    let age = |of: &serde_json::Value| of["progress_age_s"].as_f64().unwrap_or_else(|| panic!("an age: {of}"));
    let now = &status(segment.path())["workers"][0];
    assert!(now["verdict"] == "silent" && age(now) > age(&opened), "it hangs for longer than the first one saw: {now}");
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn a_standby_that_is_asked_to_stop_ends_at_once_and_touches_nothing() {
    let scratch = Scratch::new();
    let (path, told) = (scratch.segment(), Told::new(&scratch));
    let mut first = Monitor::run(&path, "", &[c_worker().to_str().expect("UTF-8"), "--steps", "1000000", "--step-ms", "50"]);
    first.attached(1);
    let mut command = standby("run", &path, &told);
    let mut second = Monitor::start(command.args(["--", "touch"]).arg(scratch.path().join("ran")));
    told.wait_for("STATUS=standing by");
    assert_eq!(second.stop(), Some(0), "a stop is no failure");
    assert!(!scratch.path().join("ran").exists(), "its worker never ran");
    assert!(path.exists() && first.held.is_alive(), "the first one goes on");
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn a_run_that_stood_by_makes_the_segment_anew_where_the_first_one_ended_well() {
    let scratch = Scratch::new();
    let (path, told) = (scratch.segment(), Told::new(&scratch));
    let program = c_worker().to_str().expect("UTF-8");
    let words = || [program].into_iter().chain(WORKS.split_whitespace());
    let mut first = Monitor::run(&path, "", &words().collect::<Vec<_>>());
    first.attached(1);
    let old = Segment::open_read_only(&path).expect("the first one's segment").file_id();
    let mut second = Monitor::start(standby("run", &path, &told).arg("--").args(words()));
    told.wait_for("STATUS=standing by");
    assert_eq!(first.stop(), Some(0));
    second.attached(1);
    let segment = Segment::open_read_only(&path).expect("a segment of its own");
    assert_ne!(segment.file_id(), old, "the first one removed what it had made");
    assert_eq!(monitor_of(&segment), second.held.pid());
    assert!(segment.slots().any(|(_, slot)| slot.peek_owner().tag() == Tag::Live), "its worker is in it");
    assert_eq!(second.stop(), Some(0));
    assert!(!path.exists(), "and removed in its turn");
}
