//! Children and threads of a worker, in Python and in C: a child's reports and its end leave its parent's slot as it was, to the
//! byte; each thread is judged by itself. The ways of C alone: `ffi/tests/fork.c`.

mod common;

use common::{Held, Monitor, Scratch, built, command, programs, python, said};
use hangwatch::layout::header::HEADER_LEN;
use hangwatch::layout::slot::SLOT_LEN;
use hangwatch::layout::word::{Kind, Owner, Tag};
use hangwatch::segment::Segment;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

const WAYS: &[&str] = &[
    "fork",
    "fork_of_a_fork",
    "daemon",
    "multiprocessing_fork",
    "multiprocessing_spawn",
    "multiprocessing_forkserver",
    "pool",
    "subprocess",
    "subprocess_preexec",
    "posix_spawn",
];

/// The bytes of slot 0.
fn slot(segment: &Segment) -> Vec<u8> {
    let mut bytes = vec![0; SLOT_LEN];
    let file = std::fs::File::open(segment.path()).expect("the segment");
    file.read_exact_at(&mut bytes, HEADER_LEN as u64).expect("its first slot");
    bytes
}

/// Sets slot 0 aside, as `hangwatch run` does for a child.
fn reserve(segment: &Segment) {
    let file = std::fs::OpenOptions::new().write(true).open(segment.path()).expect("the segment");
    let reserved = Owner::new(0, Tag::Reserved, Kind::Worker, std::process::id());
    file.write_all_at(&reserved.0.to_le_bytes(), HEADER_LEN as u64 + 0x80).expect("its first owner");
}

/// A Python parent whose child is made in this way.
fn parent(segment: &Segment, way: &str, library: Option<&Path>) -> Command {
    let mut python = command(python());
    python.args(["-B", "cli/tests/forks/children.py", way]).args(library).stdin(Stdio::piped());
    python.env("PYTHONPATH", "examples").env("HANGWATCH_SEGMENT", segment.path());
    if library.is_none() {
        reserve(segment);
        python.env("HANGWATCH_SLOT", "0:0");
    }
    python
}

fn no_child_changes_its_parents_slot(library: Option<&Path>) {
    for way in WAYS {
        let scratch = Scratch::new();
        let segment = scratch.made_with(4);
        let mut held = Held::start(&mut parent(&segment, way, library));
        assert_eq!(held.line().as_deref(), Some("ready"), "{way}");
        let before = slot(&segment);
        held.tell("go");
        assert_eq!(held.line().as_deref(), Some("done"), "{way}: the child is content");
        assert!(slot(&segment) == before, "{way}: a child's reports and its end leave its parent's slot byte for byte as it was");
        let others = segment.slots().skip(1).filter(|(_, slot)| slot.peek_owner().tag() != Tag::Free);
        assert_eq!(others.count(), 0, "{way}: a slot of the child's own was given back");
        held.tell("go on");
        assert_eq!(held.line().as_deref(), Some("stepped"), "{way}");
        let hot = segment.slot(0).expect("inside").read_hot().expect("live");
        assert_eq!((hot.progress, hot.owner.pid()), (2, held.pid()), "{way}: the parent goes on");
        held.tell("end");
        assert_eq!(held.wait().code(), Some(0), "{way}");
    }
}

#[test]
fn no_child_of_a_pure_python_worker_changes_its_parents_slot() {
    no_child_changes_its_parents_slot(None);
}

#[test]
fn no_child_of_a_python_worker_through_the_library_changes_its_parents_slot() {
    let library = built(&["-p", "hangwatch-ffi"]).join("libhangwatch.so");
    no_child_changes_its_parents_slot(Some(&library));
}

#[test]
fn each_thread_has_a_slot_and_a_verdict_of_its_own_and_one_that_has_gone_is_told_of() {
    let library = built(&["-p", "hangwatch-ffi"]);
    let (folder, path) = (library.display().to_string(), format!("-Wl,-rpath,{}", library.display()));
    let linked = ["gcc", "-std=c99", "-x", "c", "ffi/tests/threads.c", "-x", "none", "-L", &folder, "-lhangwatch", &path];
    let alone = ["g++", "-std=c++17", "-x", "c++", "-DHANGWATCH_IMPLEMENTATION", "ffi/tests/threads.c"];
    for form in [&linked[..], &alone] {
        let scratch = Scratch::new();
        let folder = programs();
        let program = folder.path().join("threads");
        let mut compile = command(form[0]);
        compile.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-I", "ffi/include"]).args(&form[1..]);
        let compiled = said(compile.arg("-o").arg(&program));
        assert_eq!(compiled.code, Some(0), "{}", compiled.err);
        threads_are_judged(&scratch, &program);
    }
}

fn threads_are_judged(scratch: &Scratch, program: &Path) {
    let segment = scratch.made_with(4);
    let config = scratch.file("policy.yaml", "hangwatch: 1\npoll_interval: 50ms\ninference_step_timeout: 1s\n");
    let mut watch = Monitor::watch(&segment, &format!("--config {}", config.display()));
    let mut worker = Held::start(command(program).env("HANGWATCH_SEGMENT", segment.path()));
    worker.line_with("threads: pid ");
    // Both of them are told of as what acts, once their budgets are spent.
    let mut acting = vec![watch.next("would_act"), watch.next("would_act")];
    acting.sort_by_key(|event| event["job"].to_string());
    let told: Vec<_> = acting.iter().map(|event| (event["job"].as_str(), event["verdict"].as_str())).collect();
    assert_eq!(told, [(Some("gone"), Some("thread_gone")), (Some("hangs"), Some("silent"))], "{:#?}", watch.events);
    assert_ne!(acting[0]["slot"], acting[1]["slot"], "a slot each");
    assert!(acting.iter().all(|event| event["pid"] == worker.pid()), "of one process: {acting:#?}");
    assert!(watch.events.iter().all(|event| event["job"] != "works"), "the one that works is well: {:#?}", watch.events);
}
