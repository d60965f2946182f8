//! Reports in C and C++.

use crate::measure;
use criterion::Criterion;
use hangwatch_bench::c::{Form, Loops};
use hangwatch_bench::{KINDS, Kind, stamps};
use std::ffi::CStr;
use std::path::Path;

const GROUPS: [(&str, Form, &CStr); 8] = [
    ("c_inline_step", Form::Linked, c"bench_step"),
    ("c_inline_beat", Form::Linked, c"bench_beat"),
    ("cpp_inline_step", Form::Linked, c"bench_step_cpp"),
    ("cpp_inline_beat", Form::Linked, c"bench_beat_cpp"),
    ("c_header_only_step", Form::HeaderOnly, c"bench_step"),
    ("c_header_only_beat", Form::HeaderOnly, c"bench_beat"),
    ("c_linked_step", Form::Linked, c"bench_step_linked"),
    ("c_linked_beat", Form::Linked, c"bench_beat_linked"),
];

pub(crate) fn measure_all(criterion: &mut Criterion, segment: &str, scratch: &Path) {
    for (name, kind) in KINDS {
        for (group, form, function) in GROUPS {
            let loops = Loops::load(scratch, form);
            // One a measurement: each count begins at the beginning.
            let (mut worker, run) = (loops.attach(segment, kind), loops.find(function));
            assert_eq!(stamps::are_on(&mut worker), kind == Kind::Stamped, "this machine has a vDSO");
            measure(criterion, group, name, |from, n| run.run(&mut worker, from, n));
        }
    }
}
