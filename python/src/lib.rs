//! `hangwatch._hangwatch`: the worker's side for Python, and the monitor's. What each call does stands in `hangwatch/_hangwatch.pyi`, the manual.
//!
//! | file | holds |
//! |---|---|
//! | `held` | the library's worker, for one thread at a time |
//! | `quick` | the calls of a step, past PyO3's argument parser |
//! | `value` | Python's values as the library's: any value is taken, since a report raises nothing |
//! | `worker`, `job`, `section` | the classes |
//! | `interpreter` | whether the interpreter runs while no step comes |
//! | `error` | the library's errors as Python's classes |
//! | `monitor` | the monitor in threads of the interpreter's process, and what a segment says (the feature `monitor`) |

mod error;
mod held;
mod interpreter;
mod job;
#[cfg(feature = "monitor")]
mod monitor;
mod quick;
mod section;
mod value;
mod worker;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

/// The main interpreter's number.
const MAIN: i64 = 0;

/// The module. With `gil_used = false` a free-threaded interpreter stays so: see `held`.
#[pymodule(gil_used = false)]
fn _hangwatch(module: &Bound<'_, PyModule>) -> PyResult<()> {
    if quick::interpreter(module.py()) != MAIN {
        // `hangwatch/__init__.py` refuses before this, and says what to do.
        return Err(PyImportError::new_err("hangwatch supports no subinterpreters"));
    }
    module.add_class::<worker::Worker>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<section::Section>()?;
    module.add_class::<interpreter::InterpreterWatch>()?;
    quick::add(module.py())?;
    module.add_function(wrap_pyfunction!(worker::attach, module)?)?;
    module.add_function(wrap_pyfunction!(worker::detached, module)?)?;
    module.add_function(wrap_pyfunction!(interpreter::watch_interpreter, module)?)?;
    #[cfg(feature = "monitor")]
    monitor::add(module)?;
    module.add("PHASES", phases(module.py())?)?;
    module.add("UNKNOWN", u64::MAX)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

/// The phases of the table, by name.
fn phases(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    hangwatch::layout::phase::TABLE.iter().map(|row| (row.name, row.phase.id())).into_py_dict(py)
}
