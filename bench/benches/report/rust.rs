//! Reports in Rust.

use crate::{KINDS, Kind, between, measure};
use criterion::Criterion;
use hangwatch::{Attach, Total, Worker};

pub(crate) fn measure_all(criterion: &mut Criterion, segment: &str) {
    for (name, kind) in KINDS {
        let mut worker = worker(segment, kind);
        measure(criterion, "rust_step", name, |from, n| steps(&mut worker, from, n));
        measure(criterion, "rust_beat", name, |_, n| beats(&mut worker, n));
    }
}

fn worker(segment: &str, kind: Kind) -> Worker {
    let attach = Attach::new().segment(segment).name("bench");
    let mut worker = match kind {
        Kind::Unstamped => attach.without_stamps().attach(),
        Kind::Stamped => attach.attach(),
        Kind::Detached => return Worker::detached(),
    }
    .expect("a free slot");
    assert_eq!(worker.is_stamped(), kind == Kind::Stamped, "this machine has a vDSO");
    worker.begin_job("bench", "model", Total::Unknown);
    worker
}

#[inline(never)]
fn steps(worker: &mut Worker, from: u64, n: u64) {
    for done in from..from + n {
        worker.step(done);
        between(worker);
    }
}

#[inline(never)]
fn beats(worker: &mut Worker, n: u64) {
    for _ in 0..n {
        worker.beat();
        between(worker);
    }
}
