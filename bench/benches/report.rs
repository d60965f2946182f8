//! What a report costs, beside what the machine asks for the same stores, clocks and calls, in one run.
//!
//! `cargo bench -p hangwatch-bench`, then `cargo run -p hangwatch-bench --bin record -- FOLDER` to keep the run. Needs gcc.

#[path = "report/c.rs"]
mod c;
#[path = "report/floor.rs"]
mod floor;
#[path = "report/rust.rs"]
mod rust;

use criterion::Criterion;
use std::time::Duration;

/// The kinds of worker that are measured, by name.
const KINDS: [(&str, Kind); 3] = [("unstamped", Kind::Unstamped), ("stamped", Kind::Stamped), ("detached", Kind::Detached)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unstamped,
    Stamped,
    Detached,
}

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

#[expect(clippy::disallowed_methods, reason = "a bench is about the clock")]
fn timed(run: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    run();
    start.elapsed()
}

/// The compiler knows nothing of `value` from here on: between two reports lies a user's step.
#[inline(always)]
#[allow(unsafe_code)]
fn between<T>(value: &mut T) {
    // `black_box` would do, at the cost of a store and a load of its own, which is most of what is measured here.
    // SAFETY: no instruction; it may be thought to write through the pointer that it is given, and does not.
    unsafe { core::arch::asm!("/* {0} */", in(reg) std::ptr::from_mut(value), options(nostack, preserves_flags)) };
}

fn main() {
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temp dir");
    let segment = scratch.path().join("segment").display().to_string();
    let library = c::Library::build(scratch.path());
    // Short, and many: on a shared machine the quiet moments are what tells.
    let mut criterion = Criterion::default()
        .sample_size(60)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
        .configure_from_args();
    floor::measure_all(&mut criterion);
    rust::measure_all(&mut criterion, &segment);
    c::measure_all(&mut criterion, &segment, &library);
    criterion.final_summary();
}
