//! What is counted. A row runs alone, in a process of its own under callgrind.
#![allow(unsafe_code)]

use hangwatch_bench::c::{Form, Loops};
use hangwatch_bench::crowd::Crowd;
use hangwatch_bench::{Kind, rust, stamps};
use std::ffi::CStr;
use std::hint::black_box;
use std::path::Path;

/// Two sizes of one thing; the figure is what their counts differ by, a unit.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) few: u64,
    pub(crate) many: u64,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Rust(Kind),
    C(Form, &'static CStr, Kind),
    /// The monitor polls this often, each time after all slots reported or none; the size is that of the segment.
    Polls {
        polls: u64,
        active: bool,
    },
}

const fn polls(name: &'static str, active: bool) -> Row {
    // More slots than the monitor takes in turn for anything else: those are as many at both sizes.
    Row { name, few: 1000, many: 2000, how: How::Polls { polls: 8, active } }
}

const fn steps(name: &'static str, how: How) -> Row {
    Row { name, few: 1000, many: 11_000, how }
}

impl Row {
    /// How often each unit of the size is counted.
    pub(crate) const fn times(&self) -> u64 {
        if let How::Polls { polls, .. } = self.how { polls } else { 1 }
    }
}

/// All of them.
pub(crate) const ROWS: [Row; 12] = [
    steps("rust_step/unstamped", How::Rust(Kind::Unstamped)),
    steps("rust_step/stamped", How::Rust(Kind::Stamped)),
    steps("c_inline_step/unstamped", How::C(Form::Linked, c"bench_step", Kind::Unstamped)),
    steps("c_inline_step/stamped", How::C(Form::Linked, c"bench_step", Kind::Stamped)),
    steps("cpp_inline_step/unstamped", How::C(Form::Linked, c"bench_step_cpp", Kind::Unstamped)),
    steps("cpp_inline_step/stamped", How::C(Form::Linked, c"bench_step_cpp", Kind::Stamped)),
    steps("c_header_only_step/unstamped", How::C(Form::HeaderOnly, c"bench_step", Kind::Unstamped)),
    steps("c_header_only_step/stamped", How::C(Form::HeaderOnly, c"bench_step", Kind::Stamped)),
    steps("c_linked_step/unstamped", How::C(Form::Linked, c"bench_step_linked", Kind::Unstamped)),
    steps("c_linked_step/stamped", How::C(Form::Linked, c"bench_step_linked", Kind::Stamped)),
    polls("poll/quiet_slot", false),
    polls("poll/active_slot", true),
];

/// The function whose instructions count, with those of everything it calls.
pub(crate) const COUNTED: &str = "hangwatch_bench_counted";

#[unsafe(no_mangle)]
#[inline(never)]
fn hangwatch_bench_counted(run: &mut dyn FnMut()) {
    run();
    // So that the call above is none that is jumped to: callgrind sees this function left when it returns.
    black_box(());
}

/// Runs the row of this name at one size.
pub(crate) fn run(row: &str, size: u64, segment: &Path, scratch: &Path) {
    let row = ROWS.iter().find(|known| known.name == row).expect("one of the rows");
    match row.how {
        How::Rust(kind) => {
            let mut worker = rust::worker(&segment.display().to_string(), kind);
            stamps::force(&mut worker, kind);
            hangwatch_bench_counted(&mut || rust::steps(&mut worker, 1, size));
        }
        How::C(form, function, kind) => {
            let loops = Loops::load(scratch, form);
            let (mut worker, run) = (loops.attach(&segment.display().to_string(), kind), loops.find(function));
            stamps::force(&mut worker, kind);
            hangwatch_bench_counted(&mut || run.run(&mut worker, 1, size));
        }
        How::Polls { polls, active } => {
            let attach = if active { Crowd::active } else { Crowd::quiet };
            let mut crowd = attach(segment, size.try_into().expect("a number of slots"));
            for _ in 0..polls {
                if active {
                    crowd.report();
                    hangwatch_bench_counted(&mut || assert_eq!(crowd.poll(), size, "a slot that changed is judged"));
                } else {
                    hangwatch_bench_counted(&mut || assert_eq!(crowd.poll_soon(), 0, "a quiet slot is not judged"));
                }
            }
        }
    }
}
