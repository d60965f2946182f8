//! `inject`: a worker with a fault, seen from outside.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hangwatch::layout::word::Tag;
use hangwatch::reader::Reader;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::snapshot::SlotSnapshot;
use tempfile::TempDir;

const SIGTERM: i32 = 15;

fn inject(segment: Option<&Path>, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hangwatch"));
    command.arg("inject").args(arguments).env_remove("HANGWATCH_SEGMENT").env_remove("HANGWATCH_SLOT");
    if let Some(segment) = segment {
        command.arg("--segment").arg(segment);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

struct Stage {
    _dir: TempDir,
    reader: Reader,
}

impl Stage {
    /// A segment of one slot.
    fn set() -> Self {
        let dir = TempDir::new().unwrap();
        let segment = Segment::create(&dir.path().join("s"), Geometry { slots: 1, ..Geometry::default() }).unwrap();
        Self { _dir: dir, reader: Reader::new(Arc::new(segment)) }
    }

    fn path(&self) -> std::path::PathBuf {
        self.reader.segment().path().to_owned()
    }

    fn tag(&self) -> Tag {
        self.reader.segment().slot(0).unwrap().peek_owner().tag()
    }

    /// Waits until the worker shows `what`; a worker that ends before fails the test.
    fn wait_for(&mut self, worker: &mut Child, what: impl Fn(&SlotSnapshot) -> bool) {
        while !self.reader.read(0).is_some_and(|snapshot| what(&snapshot)) {
            assert_eq!(worker.try_wait().unwrap(), None, "it shows its fault before it ends");
            std::thread::yield_now();
        }
    }
}

fn terminate(worker: &Child) {
    let status = Command::new("kill").arg(worker.id().to_string()).status().unwrap();
    assert!(status.success());
}

fn done(snapshot: &SlotSnapshot, done: u64) -> bool {
    snapshot.hot.is_some_and(|hot| hot.progress == done && hot.phase.job_open())
}

#[test]
fn where_nobody_watches_it_says_so_and_plays_all_the_same() {
    let output = inject(None, &["none", "--for", "1ms"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("hangwatch: nobody watches: "), "{said}");
}

#[test]
fn a_hung_worker_dies_of_sigterm_and_leaves_its_slot_and_job_behind() {
    let mut stage = Stage::set();
    let mut worker = inject(Some(&stage.path()), &["hang", "--at", "10", "--step-time", "1ms"]);
    stage.wait_for(&mut worker, |snapshot| done(snapshot, 5));
    terminate(&worker);
    assert_eq!(worker.wait().unwrap().signal(), Some(SIGTERM));
    assert!(stage.reader.read(0).is_some_and(|snapshot| done(&snapshot, 5)), "what hangs cleans nothing up");
}

#[test]
fn a_healthy_worker_gives_its_slot_back_on_sigterm() {
    let mut stage = Stage::set();
    let mut worker = inject(Some(&stage.path()), &["none", "--steps", "1000000"]);
    stage.wait_for(&mut worker, |snapshot| snapshot.hot.is_some_and(|hot| hot.phase.job_open()));
    terminate(&worker);
    assert_eq!(worker.wait().unwrap().code(), Some(0));
    assert_eq!(stage.tag(), Tag::Free);
}

#[test]
fn a_worker_that_ignores_sigterm_hangs_on_until_it_is_killed() {
    let mut stage = Stage::set();
    let mut worker = inject(Some(&stage.path()), &["stall", "--at", "0", "--ignore-term", "--step-time", "1ms"]);
    stage.wait_for(&mut worker, |snapshot| done(snapshot, 0));
    terminate(&worker);
    let beats = |snapshot: &SlotSnapshot| snapshot.hot.map_or(0, |hot| hot.beat.count());
    let now = stage.reader.read(0).map_or(0, |snapshot| beats(&snapshot));
    // Long past the moment at which a signal is noticed.
    stage.wait_for(&mut worker, |snapshot| beats(snapshot) > now + 100);
    worker.kill().unwrap();
    assert_eq!(worker.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_crash_and_an_exit_leave_the_slot_behind() {
    for (fault, signal, code) in [("crash", Some(6), None), ("exit", None, Some(0))] {
        let stage = Stage::set();
        let status = inject(Some(&stage.path()), &[fault, "--step-time", "1ms"]).wait().unwrap();
        assert_eq!((status.signal(), status.code()), (signal, code), "{fault}");
        assert_eq!(stage.tag(), Tag::Live, "{fault}: nobody gave it back");
    }
}

#[test]
fn a_play_ends_by_itself_when_its_time_is_up() {
    let stage = Stage::set();
    let status = inject(Some(&stage.path()), &["decode", "--steps", "1", "--for", "100ms"]).wait().unwrap();
    assert_eq!((status.code(), stage.tag()), (Some(0), Tag::Free));
}
