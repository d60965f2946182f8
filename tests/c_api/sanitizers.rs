//! The header-only form under gcc's sanitizers: memory, undefined behaviour, leaks, and data races beside helper threads.

use crate::build::{C99, Link, Scratch, command, compile, output, program, succeed};
use crate::skipped::skip;
use std::path::PathBuf;

/// A program with these sanitizers, run without the randomness of addresses that older ones do not bear.
fn sanitized(scratch: &Scratch, source: &str, sanitizers: &str) -> PathBuf {
    let out = scratch.path(&format!("sanitized-{sanitizers}"));
    let mut compile = compile(C99);
    compile.args(["-DHANGWATCH_IMPLEMENTATION", "-g", "-O1", "-pthread", "-fno-sanitize-recover=all"]);
    if !sanitizers.is_empty() {
        compile.arg(format!("-fsanitize={sanitizers}"));
    }
    succeed(compile.arg(source).arg("-o").arg(&out));
    out
}

/// Whether a program with these sanitizers runs here.
fn are_there(scratch: &Scratch, sanitizers: &str) -> bool {
    let source = scratch.write("probe.c", "int main(void) { return 0; }\n");
    let out = scratch.path("probe");
    let mut compile = compile(C99);
    compile.arg(format!("-fsanitize={sanitizers}")).arg(&source).arg("-o").arg(&out);
    output(&mut compile).status.success() && output(command("setarch").arg("-R").arg(&out)).status.success()
}

fn run(test: &str, sanitizers: &str, sources: &[&str]) {
    let scratch = Scratch::new();
    if !are_there(&scratch, sanitizers) {
        return skip(&format!("{test}: gcc has no {sanitizers} sanitizer here"));
    }
    for name in sources {
        let program = sanitized(&scratch, &format!("ffi/tests/{name}.c"), sanitizers);
        let mut run = command("setarch");
        run.arg("-R").arg(program);
        if *name != "null" {
            run.arg(scratch.path(&format!("{name}.segment")));
        }
        succeed(&mut run);
    }
}

#[test]
fn the_header_alone_is_clean_under_the_address_and_undefined_behaviour_sanitizers() {
    const TEST: &str = "the_header_alone_is_clean_under_the_address_and_undefined_behaviour_sanitizers";
    run(TEST, "address,undefined", &["null", "inline", "fork", "alive"]);
}

#[test]
fn where_memory_or_descriptors_run_out_the_header_alone_says_so_and_leaves_nothing_behind() {
    const TEST: &str = "where_memory_or_descriptors_run_out_the_header_alone_says_so_and_leaves_nothing_behind";
    let scratch = Scratch::new();
    // Without them it still counts descriptors, but not what is left in memory.
    let sanitizers = if are_there(&scratch, "address,undefined") { "address,undefined" } else { "" };
    if sanitizers.is_empty() {
        skip(&format!("{TEST}: memory that is left is not seen: gcc has no address sanitizer here"));
    }
    let program = sanitized(&scratch, "ffi/tests/scarce.c", sanitizers);
    let folder = scratch.path("folder");
    std::fs::create_dir(&folder).unwrap();
    succeed(command("setarch").arg("-R").arg(program).arg(folder));
}

#[test]
fn the_header_alone_has_no_data_race() {
    run("the_header_alone_has_no_data_race", "thread", &["alive"]);
}

#[test]
fn helpers_say_alive_and_workers_come_and_go_on_other_threads() {
    let scratch = Scratch::new();
    for link in [Link::Shared, Link::Header] {
        let program = program(&scratch, "ffi/tests/alive.c", C99, link);
        succeed(command(&program).arg(program.with_extension("segment")));
    }
}
