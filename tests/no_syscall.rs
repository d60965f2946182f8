//! A step makes no system call, in Rust and in C, stamped and not: strace counts as many over 10^7 steps as over none.

#[path = "c_api/build.rs"]
#[allow(dead_code, reason = "shared with the tests of the C API")]
mod build;

use build::{C99, Link, Scratch, command, program, succeed};
use hangwatch::{Attach, Outcome, Total};
use std::collections::BTreeMap;
use std::process::Command;

const STEPS: [&str; 2] = ["0", "10000000"];
const STAMPS: [&str; 2] = ["stamped", "unstamped"];

/// Calls by name that `run` makes, its threads and children included.
fn calls(scratch: &Scratch, run: &Command) -> BTreeMap<String, u64> {
    let table = scratch.path("strace");
    let mut strace = command("strace");
    strace.args(["-f", "-c", "-o"]).arg(&table).arg(run.get_program()).args(run.get_args());
    succeed(&mut strace);
    let table = std::fs::read_to_string(table).unwrap();
    // % time, seconds, usecs/call, calls, errors if any, name
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter_map(|row| Some((row.last()?.to_string(), row.get(3)?.parse().ok()?)));
    let calls: BTreeMap<String, u64> = rows.filter(|(name, _)| name != "total").collect();
    assert!(calls.contains_key("execve") && calls.contains_key("mmap"), "the table was read:\n{table}");
    calls
}

fn segment(scratch: &Scratch, steps: &str, stamps: &str) -> String {
    scratch.path(&format!("{steps}-{stamps}")).display().to_string()
}

/// Runs it with no step and with all of them.
fn compare(what: &str, mut run: impl FnMut(&Scratch, &str, &str) -> Command) {
    for stamps in STAMPS {
        let scratch = Scratch::new();
        let [none, many] = STEPS.map(|steps| calls(&scratch, &run(&scratch, steps, stamps)));
        assert_eq!(none, many, "{what}, {stamps}: 10^7 steps make the system calls of none");
    }
}

fn a_step_in_c_makes_no_system_call() {
    let built = Scratch::new();
    for (what, link) in [("in C, linked", Link::Shared), ("in C, from the header alone", Link::Header)] {
        let program = program(&built, "ffi/tests/steps.c", C99, link);
        compare(what, |scratch, steps, stamps| {
            let mut c = Command::new(&program);
            c.args([&segment(scratch, steps, stamps), steps, stamps]);
            c
        });
    }
}

fn a_step_in_rust_makes_no_system_call() {
    let myself = std::env::current_exe().unwrap();
    compare("in Rust", |scratch, steps, stamps| {
        let mut rust = Command::new(&myself);
        rust.args([STEPPING, &segment(scratch, steps, stamps), steps, stamps]);
        rust
    });
}

fn step(segment: &str, steps: u64, stamped: bool) {
    let attach = Attach::new().segment(segment).name("steps");
    let mut worker = if stamped { attach } else { attach.without_stamps() }.attach().unwrap();
    assert_eq!(worker.is_stamped(), stamped, "this machine has a vDSO");
    worker.begin_job("job", "model", Total::Known(steps));
    for done in 1..=steps {
        worker.step(done);
    }
    let progress = worker.segment().unwrap().slot(0).unwrap().read_hot().unwrap().progress;
    assert_eq!(progress, if steps == 0 { u64::MAX } else { steps }, "every step was reported");
    worker.end_job(Outcome::Ok);
}

/// Makes this program the worker that is counted.
const STEPPING: &str = "stepping";

/// No harness: its threads make system calls of their own, as many as the scheduler likes.
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, segment, steps, stamps] = &args[..]
        && first == STEPPING
    {
        return step(segment, steps.parse().unwrap(), stamps == "stamped");
    }
    a_step_in_c_makes_no_system_call();
    a_step_in_rust_makes_no_system_call();
}
