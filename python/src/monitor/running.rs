//! A monitor that runs.

use crate::error::{caught, raised};
use hangwatch::monitor::Hosted;
use hangwatch::{Error, Result};
use pyo3::prelude::*;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often a wait looks whether a signal is to be raised.
const SIGNALS: Duration = Duration::from_millis(50);

/// Any thread may ask it and stop it. None waits for it with the GIL.
#[derive(Debug)]
pub(crate) struct Running(Arc<Hosted>);

impl Running {
    pub(super) fn new(hosted: Hosted) -> Self {
        Self(Arc::new(hosted))
    }

    /// The monitor, for who must ask it without an interpreter.
    pub(crate) fn hosted(&self) -> &Arc<Hosted> {
        &self.0
    }

    /// Asks it without the GIL. `what` is what was being done, for an error.
    pub(crate) fn ask<T: Send>(&self, py: Python<'_>, what: &str, ask: impl FnOnce(&Hosted) -> Result<T> + Send) -> PyResult<T> {
        let hosted = &*self.0;
        raised(py, py.detach(|| caught(what, || ask(hosted))))
    }

    /// Stops it, and waits for what is being told: without the GIL, which that may need, and not past a signal's exception (Ctrl-C),
    /// after which the stop goes on by itself, and another one waits for it.
    pub(crate) fn stop(&self, py: Python<'_>, what: &'static str) -> PyResult<()> {
        if !self.0.is_here() {
            return Ok(());
        }
        raised(py, self.0.check_caller(what))?;
        let (hosted, (done, mut stopped)) = (Arc::clone(&self.0), channel());
        let stops = move || {
            // Nobody receives it any more where the wait was ended.
            let _ = done.send(caught(what, || hosted.stop(what)));
        };
        let stops = thread::Builder::new().name("hangwatch-stop".into()).spawn(stops);
        raised(py, stops.map(drop).map_err(|e| Error::io(what, &e)))?;
        loop {
            // A receiver is one thread's at a time: it goes there and comes back.
            let (ended, back) = py.detach(move || (stopped.recv_timeout(SIGNALS), stopped));
            stopped = back;
            match ended {
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Ok(ended) => return raised(py, ended),
                // The thread is gone, and the monitor with it.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.0.is_here() {
            // A forked child's copy. A thread of the parent may have been at work in there when it forked: all of it is left alone.
            mem::forget(Arc::clone(&self.0));
            return;
        }
        let what = "cannot stop a monitor";
        if self.0.ask(what, |_| ()).is_err() {
            return; // it was stopped, or somebody stops it
        }
        // A start that failed halfway, or the interpreter's very end: a callback that the stop would wait for has lost its thread then.
        let (hosted, kept) = (Arc::clone(&self.0), Arc::clone(&self.0));
        let stops = thread::Builder::new().name("hangwatch-stop".into()).spawn(move || hosted.stop(what));
        if stops.is_err() {
            mem::forget(kept);
        }
    }
}
