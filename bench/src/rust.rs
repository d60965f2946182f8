//! Reports in Rust.

use crate::{Kind, between};
use hangwatch::{Attach, Total, Worker};

/// A worker in a job.
pub fn worker(segment: &str, kind: Kind) -> Worker {
    let attach = Attach::new().segment(segment).name("bench");
    let mut worker = match kind {
        Kind::Unstamped => attach.without_stamps().attach(),
        Kind::Stamped => attach.attach(),
        Kind::Detached => return Worker::detached(),
    }
    .expect("a free slot");
    worker.begin_job("bench", "model", Total::Unknown);
    worker
}

/// Steps `n` times.
#[inline(never)]
pub fn steps(worker: &mut Worker, from: u64, n: u64) {
    for done in from..from + n {
        worker.step(done);
        between(worker);
    }
}

/// Beats `n` times.
#[inline(never)]
pub fn beats(worker: &mut Worker, n: u64) {
    for _ in 0..n {
        worker.beat();
        between(worker);
    }
}
