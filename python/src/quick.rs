//! The calls of a step. PyO3's own way to a method costs an argument tuple and a parser where the ABI is 3.9's; here one argument
//! comes as it is (`METH_O`), a number is read by one call, and two words are stored.
#![allow(unsafe_code, reason = "a binding: these are functions that CPython calls")]

use crate::job::Job;
use crate::value;
use crate::worker::Worker;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{Borrowed, PyClass, ffi};
use std::ffi::CStr;

/// The number of the interpreter that runs; the main one's is 0.
pub(crate) fn interpreter(_: Python<'_>) -> i64 {
    // SAFETY: this thread is attached to an interpreter, `Python` says so; it always has a state.
    let state = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: the state of the interpreter that runs.
    unsafe { ffi::PyInterpreterState_GetID(state) }
}

/// Puts the methods into their classes.
pub(crate) fn add(py: Python<'_>) -> PyResult<()> {
    const STEP: &CStr = c"step($self, done, /)\n--\n\nThis many units are done.";
    const BEAT: &CStr = c"beat($self, /)\n--\n\nThe working thread lives, without progress.";
    const JOB_STEP: &CStr = c"step($self, done=None, /)\n--\n\nThis many units are done; without a number, one more.";
    method::<Worker>(py, c"step", worker_step, ffi::METH_O, STEP)?;
    method::<Worker>(py, c"beat", worker_beat, ffi::METH_NOARGS, BEAT)?;
    method::<Job>(py, c"step", job_step, ffi::METH_VARARGS, JOB_STEP)
}

fn method<T: PyClass>(
    py: Python<'_>,
    name: &'static CStr,
    call: ffi::PyCFunction,
    flags: i32,
    doc: &'static CStr,
) -> PyResult<()> {
    let class = py.get_type::<T>();
    let ml_meth = ffi::PyMethodDefPointer { PyCFunction: call };
    let definition = ffi::PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: flags, ml_doc: doc.as_ptr() };
    // Never freed: the method names it for as long as the class lives, which is for ever.
    let definition = Box::into_raw(Box::new(definition));
    // SAFETY: the class is one, and the definition lives for ever.
    let method = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
    // SAFETY: a reference of our own, or NULL with an exception set.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, method) }?;
    class.setattr(name.to_str().unwrap_or_default(), method)
}

/// What `call` returns, to CPython: a new reference, or NULL with the exception set.
#[inline(always)]
fn answer(py: Python<'_>, result: PyResult<()>) -> *mut ffi::PyObject {
    match result {
        Ok(()) => py.None().into_ptr(),
        Err(e) => {
            e.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// The count that `done` says. Any value is taken: see [`value::count`].
#[inline(always)]
fn count(py: Python<'_>, done: Borrowed<'_, '_, PyAny>) -> PyResult<Option<u64>> {
    // SAFETY: the object is alive; for what is no int, and no count, it sets an exception and says u64::MAX.
    let number = unsafe { ffi::PyLong_AsUnsignedLongLong(done.as_ptr()) };
    if number != u64::MAX {
        return Ok(Some(number));
    }
    drop(PyErr::take(py));
    value::count(&done)
}

/// `Worker.step`.
unsafe extern "C" fn worker_step(slf: *mut ffi::PyObject, done: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls it, attached.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: CPython holds both for the time of the call.
    let slf = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: a method descriptor of `Worker` is called with a `Worker` alone: CPython looks before.
    let worker = unsafe { slf.cast_unchecked::<Worker>() };
    // SAFETY: as above.
    let done = unsafe { Borrowed::from_ptr(py, done) };
    let report = |done| {
        worker.get().held.quick(py, |worker| match done {
            Some(done) => worker.step(done),
            None => worker.beat(),
        });
    };
    answer(py, count(py, done).map(report))
}

/// `Worker.beat`.
unsafe extern "C" fn worker_beat(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls it, attached.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: CPython holds it for the time of the call.
    let slf = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: a method descriptor of `Worker` is called with a `Worker` alone.
    let worker = unsafe { slf.cast_unchecked::<Worker>() };
    worker.get().held.quick(py, hangwatch::Worker::beat);
    answer(py, Ok(()))
}

/// `Job.step`. Without an argument CPython passes the one empty tuple that there is.
unsafe extern "C" fn job_step(slf: *mut ffi::PyObject, arguments: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls it, attached.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: CPython holds both for the time of the call.
    let slf = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: a method descriptor of `Job` is called with a `Job` alone.
    let job = unsafe { slf.cast_unchecked::<Job>() };
    // SAFETY: as above.
    let arguments = unsafe { Borrowed::from_ptr(py, arguments) };
    // SAFETY: METH_VARARGS passes a tuple.
    let arguments = unsafe { arguments.cast_unchecked::<PyTuple>() };
    answer(py, stepped(py, job.get(), &arguments))
}

#[inline(always)]
fn stepped(py: Python<'_>, job: &Job, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    match arguments.len() {
        0 => job.report(py, None),
        1 => {
            let done = arguments.get_borrowed_item(0)?;
            if done.is_none() {
                job.report(py, None);
            } else {
                match count(py, done)? {
                    Some(done) => job.report(py, Some(done)),
                    None => job.beat(py),
                }
            }
        }
        n => return Err(PyTypeError::new_err(format!("step() takes at most 1 argument ({n} given)"))),
    }
    Ok(())
}
