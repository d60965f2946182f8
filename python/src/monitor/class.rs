//! What `hangwatch/_monitor.py` and `_status.py` stand on.

use super::calls::Calls;
use super::plan::{Plan, place};
use super::running::Running;
use super::{policy, told};
use crate::error::{caught, raised};
use hangwatch::segment::{Segment, survive_truncation};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// `_hangwatch.Monitor`.
#[pyclass(frozen, weakref, module = "hangwatch._hangwatch")]
#[derive(Debug)]
pub(crate) struct Monitor(Running);

/// `_hangwatch.start_monitor`.
#[pyfunction]
#[pyo3(signature = (segment, policy, calls, *, acts, slots, slot_size, learnt, jsonl, unlink_at_end))]
#[expect(clippy::too_many_arguments, reason = "Python's signature")]
pub(super) fn start_monitor(
    py: Python<'_>,
    segment: Option<PathBuf>,
    policy: Option<&Bound<'_, PyAny>>,
    calls: &Bound<'_, Calls>,
    acts: bool,
    slots: Option<u32>,
    slot_size: Option<u32>,
    learnt: Option<PathBuf>,
    jsonl: Option<PathBuf>,
    unlink_at_end: bool,
) -> PyResult<Monitor> {
    let what = "cannot start a monitor";
    let plan = Plan {
        segment,
        policies: policy::of(py, policy)?,
        acts_on_others: acts,
        slots,
        slot_size,
        learnt,
        jsonl,
        unlinks: unlink_at_end,
        hands: Some(calls.get().hands()),
        ..Plan::default()
    };
    Ok(Monitor(plan.start(py, what)?))
}

#[pymethods]
impl Monitor {
    #[getter]
    fn running(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.hosted().is_running())
    }

    #[getter]
    fn segment(&self, py: Python<'_>) -> OsString {
        py.detach(|| self.0.hosted().segment().path().as_os_str().to_owned())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.0.stop(py, "cannot stop a monitor")
    }

    fn reload(&self, py: Python<'_>, policy: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let what = "cannot reload a monitor's policy";
        let policies = policy::of(py, policy)?;
        self.0.ask(py, what, |hosted| hosted.reload(what, policies))
    }

    fn status(&self, py: Python<'_>) -> PyResult<String> {
        let what = "cannot tell a monitor's status";
        self.0.ask(py, what, |hosted| told::health(&hosted.health(what)?, &hosted.segment()))
    }

    fn workers(&self, py: Python<'_>) -> PyResult<String> {
        let what = "cannot read slots";
        self.0.ask(py, what, |hosted| told::json(&hosted.sweep(what)?.iter().map(told::Worker::judged).collect::<Vec<_>>()))
    }

    fn worker(&self, py: Python<'_>, slot: u32) -> PyResult<String> {
        let what = "cannot read a slot";
        self.0.ask(py, what, |hosted| told::json(&told::Worker::judged(&hosted.read(what, slot)?)))
    }
}

/// `_hangwatch.segment_status`.
#[pyfunction]
#[pyo3(signature = (segment, policy))]
pub(super) fn segment_status(py: Python<'_>, segment: Option<PathBuf>, policy: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    let policies = policy::of(py, policy)?;
    let read = || {
        let path = place(segment.as_deref())?;
        survive_truncation()?;
        told::segment(Segment::open_read_only(&path)?, &policies)
    };
    raised(py, py.detach(|| caught("cannot read a segment", read)))
}
