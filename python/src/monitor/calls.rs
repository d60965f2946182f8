//! Events as calls of Python, on a thread of their own.

use hangwatch::tell::{Event, Sink};
use pyo3::prelude::*;

/// Makes the event that Python gets, and calls back with it.
#[derive(Debug)]
pub(crate) struct Calls {
    /// `hangwatch/_events.py`'s `Feed`.
    feed: Py<PyAny>,
    on_event: Option<Py<PyAny>>,
}

impl Calls {
    pub(crate) fn new(feed: Py<PyAny>, on_event: Option<Py<PyAny>>) -> Self {
        Self { feed, on_event }
    }

    fn call(&self, py: Python<'_>, line: &str, sentence: &str) {
        let event = match self.feed.call_method1(py, "event", (line, sentence)) {
            Ok(event) => event,
            Err(e) => return e.write_unraisable(py, None),
        };
        if let Some(on_event) = &self.on_event
            && let Err(e) = on_event.call1(py, (event,))
        {
            // To `sys.unraisablehook`; the next event is called back as ever.
            e.write_unraisable(py, Some(on_event.bind(py)));
        }
    }
}

impl Sink for Calls {
    fn tell(&mut self, event: &Event) {
        let Some(line) = event.to_json() else { return };
        let sentence = event.sentence();
        // Not while the interpreter ends: nobody is there to be told.
        Python::try_attach(|py| self.call(py, &line, &sentence));
    }
}
