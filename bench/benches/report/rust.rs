//! Reports in Rust.

use crate::measure;
use criterion::Criterion;
use hangwatch_bench::rust::{beats, steps, worker};
use hangwatch_bench::{KINDS, Kind, stamps};

pub(crate) fn measure_all(criterion: &mut Criterion, segment: &str) {
    for (name, kind) in KINDS {
        let mut worker = worker(segment, kind);
        assert_eq!(stamps::are_on(&mut worker), kind == Kind::Stamped, "this machine has a vDSO");
        measure(criterion, "rust_step", name, |from, n| steps(&mut worker, from, n));
        measure(criterion, "rust_beat", name, |_, n| beats(&mut worker, n));
    }
}
