//! `Job`: a job as a block.

use crate::value::{self, Said};
use crate::worker::Worker;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `Job`: begun by `with`, ended by its end.
#[pyclass(frozen, module = "hangwatch")]
#[derive(Debug)]
pub(crate) struct Job {
    worker: Py<Worker>,
    said: Said,
    /// Its number among its worker's, 0 before it began. Relaxed, as `done`: the thread that works writes and reads them.
    number: AtomicU64,
    done: AtomicU64,
}

impl Job {
    pub(crate) fn new(worker: &Bound<'_, Worker>, said: Said) -> Self {
        Self { worker: worker.clone().unbind(), said, number: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Whether what is reported now belongs to it: a job that has ended says nothing in its successor's name.
    #[inline(always)]
    fn is_open(&self) -> bool {
        let number = self.number.load(Relaxed);
        number != 0 && number == self.worker.get().open.load(Relaxed)
    }

    /// So many are done, or one more.
    #[inline(always)]
    pub(crate) fn report(&self, py: Python<'_>, done: Option<u64>) {
        if self.is_open() {
            let done = done.unwrap_or_else(|| self.done.load(Relaxed).saturating_add(1).min(u64::MAX - 1));
            self.done.store(done, Relaxed);
            self.worker.get().held.quick(py, |worker| worker.step(done));
        }
    }

    /// Its worker beats, and nothing is said of what is done.
    pub(crate) fn beat(&self, py: Python<'_>) {
        if self.is_open() {
            self.worker.get().held.quick(py, hangwatch::Worker::beat);
        }
    }
}

#[pymethods]
impl Job {
    #[getter]
    fn id(&self) -> &str {
        &self.said.id
    }

    #[getter]
    fn model(&self) -> &str {
        &self.said.model
    }

    #[getter]
    fn total(&self) -> Option<u64> {
        value::of_total(self.said.total)
    }

    #[getter]
    fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    #[getter]
    fn worker(&self, py: Python<'_>) -> Py<Worker> {
        self.worker.clone_ref(py)
    }

    #[getter(open)]
    fn get_open(&self) -> bool {
        self.is_open()
    }

    fn begin_pass(&self, py: Python<'_>) {
        if self.is_open() {
            self.done.store(0, Relaxed);
            self.worker.get().held.with(py, (), hangwatch::Worker::begin_pass);
        }
    }

    #[pyo3(signature = (outcome=None))]
    fn end(&self, py: Python<'_>, outcome: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let outcome = outcome.map_or_else(|| Ok("ok".to_owned()), value::text)?;
        if self.is_open() {
            self.worker.get().end(py, &outcome);
        }
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        let job = slf.get();
        job.done.store(0, Relaxed);
        job.number.store(job.worker.get().begin(slf.py(), &job.said), Relaxed);
        slf
    }

    /// What is no `Exception` (Ctrl-C, an exit, a closed generator, a task that was cancelled) calls a job off; others fail it.
    fn __exit__(&self, py: Python<'_>, exc_type: &Bound<'_, PyAny>, _exc: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        let is_failure = exc_type.cast::<PyType>().map(|it| it.is_subclass_of::<PyException>().unwrap_or(true));
        let outcome = match is_failure {
            Err(_) => "ok",
            Ok(true) => "failed",
            Ok(false) => "cancelled",
        };
        if self.is_open() {
            self.worker.get().end(py, outcome);
        }
    }

    fn __repr__(&self) -> String {
        format!("<hangwatch.Job '{}', {}>", self.said.id.escape_default(), if self.is_open() { "open" } else { "not open" })
    }
}
