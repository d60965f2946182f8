//! How many instructions a report takes, against the committed baseline: a gate, since callgrind counts alike on every run.
//!
//! `cargo bench -p hangwatch-bench --bench instructions`, with `-- --renew` to write the baseline anew. Needs valgrind, gcc and g++.
//!
//! Each row is counted at two sizes, and the difference is told: what starting, attaching and the loop's ends cost is in
//! both. valgrind hides the vDSO, so a stamp is the C library's way to a system call, of which the kernel's part does not count.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its terminal")]

#[path = "instructions/baseline.rs"]
mod baseline;
#[path = "instructions/callgrind.rs"]
mod callgrind;
#[path = "instructions/rows.rs"]
mod rows;

use baseline::Baseline;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Cargo says `--bench` to every bench.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [callgrind::COUNT, row, size, segment, scratch] => {
            rows::run(row, size.parse().expect("a number"), Path::new(segment), Path::new(scratch));
            ExitCode::SUCCESS
        }
        [] => check(),
        ["--renew"] => {
            let renewed = Baseline::read().renewed(&callgrind::count_all());
            renewed.write();
            println!("{renewed}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: instructions [--renew]");
            ExitCode::from(2)
        }
    }
}

fn check() -> ExitCode {
    let verdict = Baseline::read().judge(&callgrind::count_all());
    println!("{}", verdict.text);
    if verdict.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
