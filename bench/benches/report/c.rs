//! Reports in C.

use crate::measure;
use criterion::Criterion;
use hangwatch_bench::c::Loops;
use hangwatch_bench::{KINDS, Kind, stamps};
use std::ffi::CStr;

const GROUPS: [(&str, &CStr); 4] = [
    ("c_inline_step", c"bench_step"),
    ("c_inline_beat", c"bench_beat"),
    ("c_linked_step", c"bench_step_linked"),
    ("c_linked_beat", c"bench_beat_linked"),
];

pub(crate) fn measure_all(criterion: &mut Criterion, segment: &str, loops: &Loops) {
    for (name, kind) in KINDS {
        for (group, function) in GROUPS {
            // One a measurement: each count begins at the beginning.
            let (mut worker, run) = (loops.attach(segment, kind), loops.find(function));
            assert_eq!(stamps::are_on(&mut worker), kind == Kind::Stamped, "this machine has a vDSO");
            measure(criterion, group, name, |from, n| run.run(&mut worker, from, n));
        }
    }
}
