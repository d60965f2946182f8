//! `examples/header_only.c`, a stranger's one file with nothing linked, under `watch` and `run`: what is said of it is what is
//! said of a worker in Rust.

mod common;

use common::{Held, Monitor, Scratch, command, rust_worker, said};
use serde_json::Value;
use std::path::{Path, PathBuf};

const POLICY: &str = "hangwatch: 1\npoll_interval: 50ms\ninference_step_timeout: 1s\n";
/// Both stop for ever after two steps of fifty.
const HANGS: [&str; 1] = ["3"];
const RUST_HANGS: [&str; 7] = ["--steps", "50", "--step-ms", "1", "--hang-at", "4", "--busy-hang"];

/// Built as the example's first line says.
fn header_only(scratch: &Scratch) -> PathBuf {
    let program = scratch.path().join("header_only");
    let mut gcc = command("gcc");
    gcc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", "ffi/include", "examples/header_only.c", "-o"]);
    let built = said(gcc.arg(&program));
    assert_eq!((built.code, built.err.as_str()), (Some(0), ""));
    program
}

/// What an episode says of its worker, but for who, where and how long.
fn of_worker(event: &Value) -> Vec<Value> {
    ["verdict", "phase", "model", "done", "total", "percent", "stack", "cause"].map(|name| event[name].clone()).into()
}

#[test]
fn it_is_judged_as_a_worker_in_rust_is() {
    let scratch = Scratch::new();
    let segment = scratch.made_with(2);
    let config = scratch.file("policy.yaml", POLICY);
    let mut watch = Monitor::watch(&segment, &format!("--config {}", config.display()));
    let start = |program: &Path, args: &[&str], name: &str| {
        let mut worker = command(program);
        worker.args(args).env("HANGWATCH_SEGMENT", segment.path()).env("HANGWATCH_NAME", name);
        Held::quiet(&mut worker, false)
    };
    let _header = start(&header_only(&scratch), &HANGS, "header");
    let _rust = start(rust_worker(), &RUST_HANGS, "rust");
    let (one, other) = (watch.next("opened"), watch.next("opened"));
    assert_eq!((&one["verdict"], &one["done"], &one["total"]), (&"silent".into(), &2.into(), &50.into()), "{one}");
    assert_eq!(of_worker(&one), of_worker(&other), "{one}\n{other}");
    let mut names = [&one, &other].map(|event| event["worker"].as_str().expect("named").to_owned());
    names.sort();
    assert_eq!(names, ["header", "rust"]);
    assert_eq!(watch.stop(), Some(0));
    assert_eq!(watch.of_kind("would_act").len(), 2, "either would be replaced: {:#?}", watch.events);
}

#[test]
fn it_is_replaced_as_a_worker_in_rust_is() {
    let replaced = |program: &Path, args: &[&str]| {
        let scratch = Scratch::new();
        let config = scratch.file("policy.yaml", POLICY);
        let worker: Vec<&str> = [program.to_str().expect("text")].into_iter().chain(args.iter().copied()).collect();
        let flags = format!("--grace 300ms --config {}", config.display());
        let mut run = Monitor::run(&scratch.segment(), &flags, &worker);
        let opened = run.next("opened");
        let replaced = run.next("replaced");
        assert_ne!(replaced["pid"], opened["pid"], "another process has its slot");
        assert_eq!(replaced["slot"], opened["slot"]);
        let kinds: Vec<String> = run.kinds().into_iter().map(str::to_owned).collect();
        run.stop();
        (of_worker(&opened), kinds)
    };
    let scratch = Scratch::new();
    assert_eq!(replaced(&header_only(&scratch), &HANGS), replaced(rust_worker(), &RUST_HANGS));
}

#[test]
fn one_that_ends_its_job_is_well_and_its_slot_is_free() {
    let scratch = Scratch::new();
    let mut run = Monitor::run(&scratch.segment(), "", &[header_only(&scratch).to_str().expect("text")]);
    assert_eq!(run.end(), Some(0));
    assert_eq!((run.verdicts(), run.lines.len()), (vec![], 0), "nothing is told of it: {:#?}", run.events);
}

#[test]
fn where_nobody_watches_it_says_nothing_and_leaves_nothing() {
    let scratch = Scratch::new();
    let program = header_only(&scratch);
    let runtime = scratch.path().join("runtime");
    std::fs::create_dir(&runtime).expect("a folder");
    let mut alone = command(&program);
    let run = said(alone.env("XDG_RUNTIME_DIR", &runtime).env("HANGWATCH_DIR", runtime.join("folder")).current_dir(&runtime));
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", ""), "no output, exit 0");
    assert_eq!(std::fs::read_dir(&runtime).expect("ours").count(), 0, "and no effect");
    let calls = scratch.path().join("calls");
    let mut strace = command("strace");
    strace.args(["-f", "-e", "trace=openat,open,memfd_create,mkdir,mkdirat,madvise", "-o"]).arg(&calls);
    let run = said(strace.arg(&program).env("XDG_RUNTIME_DIR", &runtime));
    assert_eq!(run.code, Some(0), "{}", run.err);
    let calls = std::fs::read_to_string(&calls).expect("strace's list");
    let opened = calls.lines().filter(|line| line.contains("open")).collect::<Vec<_>>();
    assert!(!opened.is_empty() && opened.iter().all(|line| line.contains("/lib") || line.contains("ld.so")), "{opened:?}");
    assert!(!calls.contains("madvise") && !calls.contains("mkdir"), "it does not even look: {calls}");
}
