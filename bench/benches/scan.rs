//! What watching costs: nanoseconds a slot of one poll, beside what the machine asks for reading a word of each slot and for
//! comparing a line of each, in one run.
//!
//! `cargo bench -p hangwatch-bench --bench scan`. An iteration is a slot: a sample of n iterations polls n / slots times, at
//! least once, and tells the time in proportion. Each poll is timed by itself, which adds 50 ns to it.

#[path = "scan/floor.rs"]
mod floor;

use criterion::{Criterion, SamplingMode};
use floor::Words;
use hangwatch_bench::crowd::Crowd;
use hangwatch_bench::timed;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const SIZES: [u32; 4] = [64, 1_000, 10_000, 100_000];
/// More than any last-level cache of the machines that this runs on.
const EVICTING: usize = 256 << 20;

/// What happened to the caches since the last poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    /// Nothing: they hold what they can.
    Warm,
    /// They hold something else.
    Cold,
}

/// What a measured thing is told to do, in turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What comes before a poll and does not count.
    Before,
    /// Look at every slot once.
    Poll,
}

/// Measures the polls of `watch`, which looks at `slots` slots.
fn measure(criterion: &mut Criterion, group: &str, caches: Caches, slots: u32, mut watch: impl FnMut(Step)) {
    // The same for all: criterion plans by the time that evicting takes, and a cold sample is one poll however long.
    let (samples, time) = if caches == Caches::Cold { (20, 8000) } else { (40, 800) };
    let mut evict = if caches == Caches::Cold { vec![0_u64; EVICTING / 8] } else { Vec::new() };
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat).sample_size(samples).measurement_time(Duration::from_millis(time));
    group.bench_function(slots.to_string(), |bencher| {
        bencher.iter_custom(|n| {
            let polls = n.div_ceil(slots.into());
            let mut took = Duration::ZERO;
            for _ in 0..polls {
                watch(Step::Before);
                evict.iter_mut().for_each(|word| *word += 1);
                black_box(&mut evict);
                took += timed(|| watch(Step::Poll));
            }
            took.mul_f64(n as f64 / (polls * u64::from(slots)) as f64)
        });
    });
}

/// Floors and scans of one size side by side: on a shared machine what is compared must not lie minutes apart.
fn measure_all(criterion: &mut Criterion, scratch: &Path, caches: Caches, name: &str) {
    for slots in SIZES {
        floors(criterion, caches, name, slots);
        let path = scratch.join("segment");
        let mut crowd = Crowd::quiet(&path, slots);
        measure(criterion, &format!("scan_quiet_{name}"), caches, slots, |step| match step {
            Step::Before if crowd.stays_quiet() => {}
            Step::Before => crowd.report_in_rhythm(),
            Step::Poll => assert_eq!(crowd.poll_soon(), 0, "a quiet slot is not judged"),
        });
        drop(crowd);
        std::fs::remove_file(&path).expect("the segment has a name");
        let mut crowd = Crowd::active(&path, slots);
        measure(criterion, &format!("scan_active_{name}"), caches, slots, |step| match step {
            Step::Before => crowd.report(),
            Step::Poll => assert_eq!(crowd.poll(), u64::from(slots), "a slot that changed is judged"),
        });
        drop(crowd);
        std::fs::remove_file(path).expect("the segment has a name");
    }
}

fn floors(criterion: &mut Criterion, caches: Caches, name: &str, slots: u32) {
    let words = Words::new(slots);
    let mut seen = words.lines();
    measure(criterion, &format!("scan_floor_word_{name}"), caches, slots, |step| {
        if step == Step::Poll {
            black_box(words.sum());
        }
    });
    measure(criterion, &format!("scan_floor_line_{name}"), caches, slots, |step| {
        if step == Step::Poll {
            black_box(words.changed(&mut seen));
        }
    });
}

fn main() {
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temp dir");
    let mut criterion = Criterion::default().warm_up_time(Duration::from_millis(200)).configure_from_args();
    measure_all(&mut criterion, scratch.path(), Caches::Warm, "warm");
    measure_all(&mut criterion, scratch.path(), Caches::Cold, "cold");
    criterion.final_summary();
}
