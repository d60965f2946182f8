//! Children that the interpreter makes: what is asked of it, and its answers. Whoever asks never waits for the GIL, but to learn how a
//! child ended that the interpreter has reaped by itself.

use hangwatch::monitor;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

/// What is asked.
#[derive(Debug)]
enum Request {
    Start(monitor::Start),
    Gone(u32),
}

/// The library's side.
#[derive(Debug)]
pub(super) struct Host {
    requests: Mutex<Sender<Request>>,
    /// `ended(pid)`: the exit code as `multiprocessing` has it, or None.
    ended: Py<PyAny>,
}

/// The interpreter's side. It ends with the fleet.
#[derive(Debug)]
pub(super) struct Requests(Mutex<Receiver<Request>>);

/// Both.
pub(super) fn host(ended: Py<PyAny>) -> (Host, Requests) {
    let (requests, receiver) = channel();
    (Host { requests: Mutex::new(requests), ended }, Requests(Mutex::new(receiver)))
}

impl Host {
    fn ask(&self, request: Request) {
        // Nobody listens any more: a start that is dropped has failed.
        let _ = self.requests.lock().unwrap_or_else(PoisonError::into_inner).send(request);
    }
}

impl monitor::Spawner for Host {
    fn start(&self, start: monitor::Start) {
        self.ask(Request::Start(start));
    }

    fn ended(&self, pid: u32) -> Option<ExitStatus> {
        let code = Python::try_attach(|py| self.ended.call1(py, (pid,)).and_then(|code| code.extract::<Option<i32>>(py)));
        let code = code?.ok()??;
        Some(ExitStatus::from_raw(if code < 0 { -code } else { (code & 0xff) << 8 }))
    }

    fn gone(&self, pid: u32) {
        self.ask(Request::Gone(pid));
    }
}

impl Requests {
    /// The next one: a `Start`, or the number of a child that may be reaped. `None`: there will be none.
    pub(super) fn next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let next = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).recv());
        match next {
            Err(_) => Ok(None),
            Ok(Request::Gone(pid)) => Ok(Some(pid.into_pyobject(py)?.into_any().unbind())),
            Ok(Request::Start(start)) => Ok(Some(Py::new(py, Start(Mutex::new(Some(start))))?.into_any())),
        }
    }
}

/// `_hangwatch.Start`: one start that is asked for.
#[pyclass(frozen, module = "hangwatch._hangwatch")]
#[derive(Debug)]
pub(super) struct Start(Mutex<Option<monitor::Start>>);

impl Start {
    fn with<T>(&self, otherwise: T, of: impl FnOnce(&monitor::Start) -> T) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(otherwise, of)
    }

    fn take(&self) -> Option<monitor::Start> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Start {
    #[getter]
    fn replica(&self) -> u32 {
        self.with(0, monitor::Start::replica)
    }

    #[getter]
    fn variables(&self) -> Vec<(String, String)> {
        self.with(Vec::new(), |start| start.variables().to_vec())
    }

    #[getter]
    fn log(&self) -> Option<OsString> {
        self.with(None, |start| start.log().map(|log| log.as_os_str().to_owned()))
    }

    fn started(&self, pid: u32, runs: &Bound<'_, PyAny>) -> bool {
        let runs = || runs.call0().and_then(|it| it.is_truthy()).unwrap_or(false);
        self.take().is_some_and(|start| start.started(pid, runs))
    }

    fn failed(&self, why: &str) {
        if let Some(start) = self.take() {
            start.failed(why);
        }
    }
}
