//! What a report costs, beside what the machine asks for the same stores, clocks and calls, in one run.
//!
//! `cargo bench -p hangwatch-bench`, then `cargo run -p hangwatch-bench --bin record -- FOLDER` to keep the run. Needs gcc and g++.

#[path = "report/c.rs"]
mod c;
#[path = "report/floor.rs"]
mod floor;
#[path = "report/rust.rs"]
mod rust;

use criterion::Criterion;
use hangwatch_bench::c::build;
use hangwatch_bench::timed;
use std::path::Path;
use std::time::Duration;

/// Measures `run(from, n)`, which does its thing n times; `from` is where the count of the time before ended.
fn measure(criterion: &mut Criterion, group: &str, name: &str, mut run: impl FnMut(u64, u64)) {
    let mut from = 1;
    criterion.benchmark_group(group).bench_function(name, |bencher| {
        bencher.iter_custom(|n| {
            let took = timed(|| run(from, n));
            from += n;
            took
        });
    });
}

fn main() {
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temp dir");
    let segment = scratch.path().join("segment").display().to_string();
    build(scratch.path(), Path::new(env!("CARGO_TARGET_TMPDIR")));
    // Short, and many: on a shared machine the quiet moments are what tells.
    let mut criterion = Criterion::default()
        .sample_size(60)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
        .configure_from_args();
    floor::measure_all(&mut criterion);
    rust::measure_all(&mut criterion, &segment);
    c::measure_all(&mut criterion, &segment, scratch.path());
    criterion.final_summary();
}
