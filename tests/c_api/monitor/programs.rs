//! Host programs in C and C++ that run the monitor as threads of their own.

use crate::build::{C11, C99, CPP11, Compiler, Link, Scratch, command, monitor_program, succeed};
use std::path::PathBuf;
use std::process::Command;

const CPP20: Compiler = Compiler { program: "g++", std: "c++20", language: "c++" };

/// A worker of another process; it needs a library of its own only.
fn worker(scratch: &Scratch) -> PathBuf {
    monitor_program(scratch, "examples/c_worker.c", C99, Link::Shared, &[])
}

#[test]
fn a_program_that_runs_the_monitor_is_told_of_its_own_hang_and_of_another_process_and_is_left_as_it_was() {
    let scratch = Scratch::new();
    let worker = worker(&scratch);
    // Its own worker by the same library, or all in the header beside it.
    let header_only = &["-DHANGWATCH_IMPLEMENTATION"][..];
    for (compiler, link, flags) in [(C99, Link::Shared, &[][..]), (C11, Link::Static, &[]), (C99, Link::Shared, header_only)] {
        let program = monitor_program(&scratch, "ffi/monitor/tests/embedded.c", compiler, link, flags);
        succeed(command(program).arg(scratch.path(&format!("{link:?}-{}.segment", flags.len()))).arg(&worker));
    }
}

#[test]
fn a_callback_may_wait_and_ask_and_its_stop_of_the_monitor_is_an_error_and_no_deadlock() {
    let scratch = Scratch::new();
    let program = monitor_program(&scratch, "ffi/monitor/tests/callback.c", C99, Link::Shared, &[]);
    succeed(command(program).arg(scratch.path("segment")));
}

#[test]
fn a_forked_childs_monitor_is_dead_and_the_parents_goes_on() {
    let scratch = Scratch::new();
    let program = monitor_program(&scratch, "ffi/monitor/tests/fork.c", C99, Link::Shared, &[]);
    succeed(command(program).arg(scratch.path("segment")).arg(scratch.path("own")));
}

#[test]
fn a_monitor_that_may_act_ends_a_hung_worker_of_another_process_and_spares_its_own() {
    let scratch = Scratch::new();
    let program = monitor_program(&scratch, "ffi/monitor/tests/act.c", C99, Link::Shared, &[]);
    succeed(command(program).arg(scratch.path("segment")).arg(worker(&scratch)));
}

#[test]
fn a_segment_that_is_cut_short_or_overwritten_is_an_error_in_c_and_its_successor_is_watched() {
    let scratch = Scratch::new();
    let program = monitor_program(&scratch, "ffi/monitor/tests/cut.c", C99, Link::Shared, &[]);
    succeed(command(program).arg(scratch.path("segment")));
}

#[test]
fn every_function_of_the_monitors_library_takes_null() {
    let scratch = Scratch::new();
    for (compiler, link) in [(C99, Link::Shared), (CPP11, Link::Static)] {
        let program = monitor_program(&scratch, "ffi/monitor/tests/null.c", compiler, link, &[]);
        let folder = scratch.path(&format!("{link:?}"));
        std::fs::create_dir(&folder).unwrap();
        succeed(command(program).arg(folder));
    }
}

#[test]
fn what_a_callback_throws_in_cpp_ends_in_the_wrapper() {
    let scratch = Scratch::new();
    for compiler in [CPP11, CPP20] {
        let program = monitor_program(&scratch, "ffi/monitor/tests/wrapper.cpp", compiler, Link::Shared, &[]);
        succeed(command(program).arg(scratch.path(&format!("{}.segment", compiler.std))));
    }
}

#[test]
fn the_example_of_an_embedded_monitor_tells_of_its_hang_and_removes_its_segment() {
    let scratch = Scratch::new();
    let program = monitor_program(&scratch, "examples/c_monitor.c", C99, Link::Shared, &[]);
    let path = scratch.path("segment");
    let said = succeed(command(program).arg(&path));
    let lines: Vec<&str> = said.lines().collect();
    let hung = "opened: worker 0 (stable_diffusion_xl) stalled in inference: ";
    assert!(lines[0].starts_with(hung) && lines[0].contains("at 25% (1/4), job a1b2c3d4"), "{said}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("closed: worker 0 (stable_diffusion_xl) no longer stalled")),
        "{said}"
    );
    assert!(!path.exists(), "the stop removes the segment where it was asked to");
}

#[test]
fn no_byte_is_read_or_written_out_of_place_and_none_is_lost() {
    let scratch = Scratch::new();
    // What tells of leaks here is valgrind: the sanitizer's own way needs a tracer's rights.
    let flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = monitor_program(&scratch, "ffi/monitor/tests/embedded.c", C99, Link::Shared, &flags);
    let mut run = command(program);
    succeed(run.arg(scratch.path("embedded")).arg(worker(&scratch)).env("ASAN_OPTIONS", "detect_leaks=0"));
    // Programs that need no pidfd, which valgrind may not know.
    let callback = monitor_program(&scratch, "ffi/monitor/tests/callback.c", C99, Link::Shared, &[]);
    succeed(valgrind(&scratch).arg(callback).arg(scratch.path("callback")));
    let null = monitor_program(&scratch, "ffi/monitor/tests/null.c", C99, Link::Shared, &[]);
    let folder = scratch.path("null");
    std::fs::create_dir(&folder).unwrap();
    succeed(valgrind(&scratch).arg(null).arg(folder));
}

fn valgrind(scratch: &Scratch) -> Command {
    let mut valgrind = command("valgrind");
    valgrind.args(["-q", "--leak-check=full", "--error-exitcode=9", "--errors-for-leak-kinds=definite,indirect,possible"]);
    // A system call that it does not know it says, and is none of ours.
    valgrind.arg(format!("--log-file={}", scratch.path("valgrind.%p").display()));
    valgrind
}
