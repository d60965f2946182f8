//! `Section`: a phase as a block.

use crate::worker::Worker;
use hangwatch::{Phase, Total};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// By `phase`, its so manyth call: it is entered already, and becomes a section where a block is made of it.
    ByPhase(u64),
    /// By `section`: its block enters it.
    BySection,
}

/// `Section`: what `phase` and `section` return.
#[pyclass(frozen, module = "hangwatch")]
#[derive(Debug)]
pub(crate) struct Section {
    worker: Py<Worker>,
    phase: Phase,
    total: Total,
    made: Made,
    /// How often it is entered and not left: only then there is something to leave.
    entered: AtomicU32,
}

impl Section {
    pub(crate) fn new(worker: &Bound<'_, Worker>, phase: Phase, total: Total, made: Made) -> Self {
        Self { worker: worker.clone().unbind(), phase, total, made, entered: AtomicU32::new(0) }
    }
}

#[pymethods]
impl Section {
    fn __enter__(&self, py: Python<'_>) -> Py<Worker> {
        let (phase, total, made) = (self.phase, self.total, self.made);
        let newest = self.worker.get().phases.load(Relaxed);
        let is_section = self.worker.get().held.with(py, false, |worker| match made {
            Made::ByPhase(number) => number == newest && worker.nest(),
            Made::BySection => {
                worker.enter(phase, total);
                true
            }
        });
        if is_section {
            self.entered.fetch_add(1, Relaxed);
        }
        self.worker.clone_ref(py)
    }

    fn __exit__(&self, py: Python<'_>, _exc_type: &Bound<'_, PyAny>, _exc: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        let left = self.entered.fetch_update(Relaxed, Relaxed, |entered| entered.checked_sub(1));
        if left.is_ok() {
            self.worker.get().held.with(py, (), hangwatch::Worker::leave);
        }
    }
}
