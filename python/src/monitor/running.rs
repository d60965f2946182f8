//! A monitor that runs.

use crate::error::{caught, raised};
use hangwatch::Result;
use hangwatch::monitor::Hosted;
use pyo3::prelude::*;
use std::mem;
use std::sync::Arc;
use std::thread;

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

    /// Stops it, and waits for what is being told: without the GIL, which that may need.
    pub(crate) fn stop(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        self.ask(py, what, |hosted| hosted.stop(what))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.0.is_here() {
            // A forked child's copy. A thread of the parent may have been at work in there when it forked: all of it is left alone.
            mem::forget(Arc::clone(&self.0));
            return;
        }
        let stopped = Python::try_attach(|py| py.detach(|| self.0.stop("cannot stop a monitor")));
        if !matches!(stopped, Some(Ok(()))) {
            // Its own callback has let go of it, and must return before its thread ends.
            let hosted = Arc::clone(&self.0);
            let _ = thread::Builder::new().spawn(move || drop(hosted));
        }
    }
}
