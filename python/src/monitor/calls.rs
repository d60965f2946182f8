//! Events on their way to the interpreter's own thread that calls back, handed over one at a time.
//!
//! ```text
//!   hangwatch-call: no GIL, never waits for it           hangwatch-events, of `hangwatch/_calls.py`
//!   Hands::tell ── one event ───────────────────────►    Calls.next ── Feed.event, on_event
//!   waits until it is told  ◄────────────────────────    Calls.next, again
//! ```
//! The callback's frames are Python's alone, all the way down: before 3.14 the interpreter's end ends such a thread by unwinding it
//! wherever it waits for the GIL, and no frame of Rust may be unwound so. A wait in here is none of that: it does not come back.

use hangwatch::tell::{Event, Sink};
use pyo3::prelude::*;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// An event as JSON, and its sentence.
type Told = (String, String);

#[derive(Debug, Default)]
struct Turn {
    waits: Option<Told>,
    /// The one that was taken last is being told.
    is_told: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Between {
    turn: Mutex<Turn>,
    turned: Condvar,
}

impl Between {
    fn turn(&self, change: impl FnOnce(&mut Turn)) -> MutexGuard<'_, Turn> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut turn);
        self.turned.notify_all();
        turn
    }

    fn wait<'a>(&self, turn: MutexGuard<'a, Turn>, is_on: impl Fn(&Turn) -> bool) -> MutexGuard<'a, Turn> {
        self.turned.wait_while(turn, |turn| !turn.ended && is_on(turn)).unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        drop(self.turn(|turn| turn.ended = true));
    }
}

/// The library's side. It returns once the callback has: what comes meanwhile waits in its thread's queue, or is counted as lost.
#[derive(Debug)]
pub(crate) struct Hands(Arc<Between>);

impl Sink for Hands {
    fn tell(&mut self, event: &Event) {
        let Some(line) = event.to_json() else { return };
        let turn = self.0.turn(|turn| turn.waits = Some((line, event.sentence())));
        drop(self.0.wait(turn, |turn| turn.waits.is_some() || turn.is_told));
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// `_hangwatch.Calls`: the interpreter's side.
#[pyclass(frozen, module = "hangwatch._hangwatch")]
#[derive(Debug, Default)]
pub(crate) struct Calls(Arc<Between>);

impl Calls {
    pub(crate) fn hands(&self) -> Hands {
        Hands(Arc::clone(&self.0))
    }
}

#[pymethods]
impl Calls {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// The next one; the one before is told by now. `None`: there will be none.
    fn next(&self, py: Python<'_>) -> Option<Told> {
        py.detach(|| {
            let turn = self.0.turn(|turn| turn.is_told = false);
            let mut turn = self.0.wait(turn, |turn| turn.waits.is_none());
            let next = turn.waits.take();
            turn.is_told = next.is_some();
            next
        })
    }

    /// Nobody takes any more.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.end());
    }
}
