//! Counts the rows: this program, under callgrind.

use crate::rows::{COUNTED, ROWS, Row};
use hangwatch_bench::c::build;
use std::path::Path;
use std::process::{Command, Stdio};

/// The first argument of this program where it is counted.
pub(crate) const COUNT: &str = "count";

/// Instructions a unit, by row.
pub(crate) fn count_all() -> Vec<(&'static str, f64)> {
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temp dir");
    build(scratch.path(), Path::new(env!("CARGO_TARGET_TMPDIR")));
    let each = |row: &Row| {
        let [few, many] = [row.few, row.many].map(|size| count(row, size, scratch.path()));
        (many as f64 - few as f64) / ((row.many - row.few) * row.times()) as f64
    };
    ROWS.iter().map(|row| (row.name, each(row))).collect()
}

/// Instructions of one row at one size.
fn count(row: &Row, size: u64, scratch: &Path) -> u64 {
    let [report, log, segment] = ["callgrind", "log", "segment"].map(|name| scratch.join(name));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]).arg(format!("--toggle-collect={COUNTED}"));
    valgrind.arg(format!("--callgrind-out-file={}", report.display()));
    // It complains of system calls that it does not know, which then fail as on an older kernel.
    valgrind.arg(format!("--log-file={}", log.display()));
    valgrind.arg(std::env::current_exe().expect("this program has a path")).args([COUNT, row.name, &size.to_string()]);
    valgrind.arg(&segment).arg(scratch).stdin(Stdio::null());
    let status = valgrind.status().unwrap_or_else(|e| panic!("cannot run valgrind, which this gate needs: {e}"));
    assert!(status.success(), "{valgrind:?} ended with {status}; it says:\n{}", last_lines(&log));
    let text = std::fs::read_to_string(report).expect("callgrind's report");
    let counted = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok()).expect("its summary");
    assert!(counted >= size, "callgrind saw {COUNTED} of {} run", row.name);
    std::fs::remove_file(segment).ok();
    counted
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}
