//! The example workers, run as their users run them.

use crate::build::{C99, CPP11, Link, Scratch, cargo, command, output, program, succeed};
use hangwatch::layout::slot::FIELDS;
use hangwatch::layout::word::Tag;
use hangwatch::segment::Segment;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const C: &str = "examples/c_worker.c";
const CPP: &str = "examples/cpp_worker.cpp";

fn rust_worker() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffi");
    // With the features of the C library, so that the two share what is built.
    succeed(cargo("build").args(["--no-default-features", "--example", "rust_worker", "--target-dir"]).arg(&target));
    target.join("debug/examples/rust_worker")
}

/// A worker that runs for ever; ended with the test.
struct Running(Child);

impl Running {
    /// Started, and attached: it has printed its line.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn word(segment: &Segment, slot: u32, name: &str) -> u64 {
    let index = FIELDS.iter().position(|(field, _)| *field == name).unwrap();
    segment.slot(slot).unwrap().raw_words()[index]
}

#[test]
fn a_worker_in_c_and_one_in_rust_report_into_one_segment() {
    let scratch = Scratch::new();
    let path = scratch.path("segment");
    let mut in_c = command(program(&scratch, C, C99, Link::Header));
    let mut in_rust = command(rust_worker());
    // They stand still at one half, so that what they said last can be read.
    let flags = ["--steps", "10", "--step-ms", "1", "--hang-at", "50"];
    let (c, c_said) = Running::start(in_c.args(flags).env("HANGWATCH_SEGMENT", &path).env("HANGWATCH_NAME", "in-c"));
    let (rust, rust_said) = Running::start(in_rust.args(flags).env("HANGWATCH_SEGMENT", &path).env("HANGWATCH_NAME", "in-rust"));
    assert_eq!(c_said, format!("c_worker: pid {}, slot 0\n", c.0.id()));
    assert_eq!(rust_said, format!("rust_worker: pid {}, slot 1\n", rust.0.id()));

    let segment = Segment::open_read_only(&path).unwrap();
    for (index, name, pid) in [(0, "in-c", c.0.id()), (1, "in-rust", rust.0.id())] {
        let slot = segment.slot(index).unwrap();
        // They get there: a worker that does not is a test that does not end.
        while slot.read_hot().map(|hot| hot.progress) != Ok(5) {
            std::thread::yield_now();
        }
        let (hot, info) = (slot.read_hot().unwrap(), slot.read_info().unwrap());
        assert_eq!((hot.owner.pid(), hot.total, hot.epoch.job()), (pid, 10, 1));
        assert_eq!((info.name.as_str(), info.model.as_str()), (name, "stable_diffusion_xl"));
    }
}

#[test]
fn the_examples_run_their_jobs_and_give_their_slots_back() {
    let scratch = Scratch::new();
    let path = scratch.path("segment");
    let programs = [
        program(&scratch, C, C99, Link::Static),
        program(&scratch, CPP, CPP11, Link::Shared),
        program(&scratch, C, C99, Link::Header),
        program(&scratch, CPP, CPP11, Link::Header),
        rust_worker(),
    ];
    for (slot, program) in (0..).zip(programs) {
        let mut run = command(&program);
        let said = succeed(run.args(["--steps", "3", "--step-ms", "0", "--jobs", "2"]).env("HANGWATCH_SEGMENT", &path));
        assert!(said.ends_with(&format!("slot {slot}\n")), "{said}");
        let segment = Segment::open_read_only(&path).unwrap();
        assert_eq!(segment.slot(slot).unwrap().peek_owner().tag(), Tag::Free);
        assert_eq!((word(&segment, slot, "jobs_ok"), word(&segment, slot, "progress")), (2, u64::MAX), "{said}");
    }
}

#[test]
fn the_examples_run_where_nobody_watches_and_where_attaching_fails() {
    let scratch = Scratch::new();
    let in_c = [Link::Shared, Link::Header].map(|link| program(&scratch, C, C99, link));
    let in_cpp = [Link::Shared, Link::Header].map(|link| program(&scratch, CPP, CPP11, link));
    for program in in_c.into_iter().chain(in_cpp).chain([rust_worker()]) {
        let args = ["--steps", "1", "--step-ms", "0"];
        assert!(succeed(command(&program).args(args)).ends_with("detached\n"));
        let out = output(command(&program).args(args).env("HANGWATCH_SEGMENT", "/nonexistent/folder/segment"));
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "a failed attach never stops inference: {said}");
        assert!(said.contains("cannot create segment '/nonexistent/folder/segment': no such file or directory"), "{said}");
    }
}

#[test]
fn the_examples_refuse_an_argument_that_makes_no_sense() {
    let scratch = Scratch::new();
    for program in [program(&scratch, C, C99, Link::Shared), program(&scratch, CPP, CPP11, Link::Shared), rust_worker()] {
        for args in [&["--steps", "many"][..], &["--steps"], &["--model"], &["--nonsense"], &["--steps", "-1"]] {
            let out = output(command(&program).args(args));
            assert_eq!(out.status.code(), Some(2), "{program:?} {args:?}");
            assert!(!out.stderr.is_empty(), "{program:?} {args:?} says why");
        }
        assert!(succeed(command(&program).arg("--help")).starts_with("usage: "));
    }
}

#[test]
fn only_the_named_replica_hangs() {
    let scratch = Scratch::new();
    for program in [program(&scratch, C, C99, Link::Shared), rust_worker()] {
        let flags = ["--steps", "4", "--step-ms", "0", "--hang-at", "25", "--hang-replica", "0", "--replica", "1"];
        succeed(command(&program).args(flags)); // it ends
    }
}
