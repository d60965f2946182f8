//! The library's errors as the package's classes, which are Python's own: `hangwatch/_errors.py`.

use hangwatch::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `make` makes; a panic is a defect of ours, and said as an error.
pub(crate) fn caught<T>(what: &str, make: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(make))
        .unwrap_or_else(|panic| Err(Error::new(ErrorKind::System, what, format!("a defect in hangwatch: {}", message(&*panic)))))
}

/// The value, or the exception that says why there is none.
pub(crate) fn raised<T>(py: Python<'_>, made: Result<T>) -> PyResult<T> {
    made.map_err(|e| exception(py, &e))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let known = panic.downcast_ref::<&str>().copied();
    known.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let words = (error.kind() as i32, error.what(), error.why(), error.hints().to_vec());
    let made = py.import("hangwatch._errors").and_then(|module| module.call_method1("error_of", words));
    made.map_or_else(|failed| failed, PyErr::from_value)
}
