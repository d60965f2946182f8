//! `InterpreterWatch`: whether the interpreter runs while no step comes.
//!
//! ```text
//! native thread (no GIL, no signal)  ──each interval──► one pending call, if the last one has run
//! main thread, between two bytecodes ──runs it──► `alive`, and when
//! helper thread of Python            ──each interval──► `pulse`: it had the GIL, and when
//! native thread ──writes into its own name──► which of the two came when
//! ```
//! The name is for whoever gathers evidence: `src/evidence/interpreter.rs` of the library reads it.
#![allow(unsafe_code, reason = "a binding: pending calls and a thread's name are C")]

use crate::value;
use crate::worker::Worker;
use hangwatch::clock;
use hangwatch::worker::{Helper, without_signals};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CString, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two calls at least: more often would be no beat but a load.
const LEAST: Duration = Duration::from_millis(10);
/// The same at most: an age that is told in seconds is to be good for that.
const MOST: Duration = Duration::from_secs(60);
/// So many intervals late is late. One is the call's own, one may pass before the thread is given a CPU.
const LATE: u32 = 3;
/// The largest age that a thread's name of 15 bytes has room for.
const MOST_S: u64 = 999;

/// What the threads share.
#[derive(Debug)]
struct Shared {
    helper: Helper,
    /// A call was posted and has not run.
    in_flight: AtomicBool,
    /// Monotonic, in ns. Relaxed, both: each is one number that stands alone.
    main_ran: AtomicU64,
    had_gil: AtomicU64,
    stop: Mutex<bool>,
    bell: Condvar,
}

impl Shared {
    /// Waits for an interval; whether it is to go on.
    fn waits(&self, every: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(stop, every, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Posts a call for the main thread, where none is on its way.
    fn post(self: &Arc<Self>) {
        if self.in_flight.swap(true, Relaxed) {
            return;
        }
        // The call's own; one that never runs, because the interpreter ends, keeps it.
        let argument = Arc::into_raw(Arc::clone(self)).cast_mut().cast::<c_void>();
        // SAFETY: needs neither the GIL nor a thread state; the interpreter is there, for `stop` comes before its end.
        let posted = unsafe { ffi::Py_AddPendingCall(Some(main_runs), argument) };
        if posted != 0 {
            // The queue of calls is full.
            self.in_flight.store(false, Relaxed);
            // SAFETY: made by `into_raw` above, and given to nobody.
            drop(unsafe { Arc::from_raw(argument.cast::<Self>()) });
        }
    }

    /// What the name says now.
    fn words(&self, every: Duration) -> String {
        let now = clock::monotonic_ns();
        let age = |at: &AtomicU64| now.saturating_sub(at.load(Relaxed));
        let (main, gil) = (age(&self.main_ran), age(&self.had_gil));
        let late = u64::try_from((every * LATE).as_nanos()).unwrap_or(u64::MAX);
        let (word, age) = match (main < late, gil < late) {
            (true, _) => ("runs", main),
            (false, true) => ("in-c", main),
            (false, false) => ("gil", gil),
        };
        format!("hw-py {word} {}s", (age / 1_000_000_000).min(MOST_S))
    }
}

/// The pending call. It runs between two bytecodes of the main thread, must not raise, and calls nothing of Python.
extern "C" fn main_runs(argument: *mut c_void) -> c_int {
    // SAFETY: made by `into_raw` in `post`, for this call alone.
    let shared = unsafe { Arc::from_raw(argument.cast::<Shared>()) };
    shared.main_ran.store(clock::monotonic_ns(), Relaxed);
    // On a slot that was inherited by fork, or given back, it does nothing.
    shared.helper.alive_beside_progress();
    shared.in_flight.store(false, Relaxed);
    0
}

/// Gives the calling thread this name.
fn set_name(name: &str) {
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: a C string; the kernel cuts it at 15 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

fn watches(shared: &Arc<Shared>, every: Duration) {
    let mut name = String::new();
    loop {
        let words = shared.words(every);
        // A system call only where the name changes.
        if words != name {
            set_name(&words);
            name = words;
        }
        shared.post();
        if !shared.waits(every) {
            return;
        }
    }
}

/// `InterpreterWatch`: a native thread at work.
#[pyclass(frozen, module = "hangwatch")]
#[derive(Debug)]
pub(crate) struct InterpreterWatch {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// A forked child has no such thread.
    pid: u32,
}

/// `_hangwatch.watch_interpreter`.
#[pyfunction]
pub(crate) fn watch_interpreter(worker: &Bound<'_, Worker>, every: &Bound<'_, PyAny>) -> PyResult<InterpreterWatch> {
    let every = value::seconds(every)?.unwrap_or(Duration::from_secs(1)).clamp(LEAST, MOST);
    // Whoever starts it runs Python.
    let now = clock::monotonic_ns();
    let shared = Arc::new(Shared {
        helper: worker.get().helper(),
        in_flight: AtomicBool::new(false),
        main_ran: AtomicU64::new(now),
        had_gil: AtomicU64::new(now),
        stop: Mutex::new(false),
        bell: Condvar::new(),
    });
    let its = Arc::clone(&shared);
    let thread = without_signals(|| std::thread::Builder::new().name("hw-py".into()).spawn(move || watches(&its, every)))?;
    Ok(InterpreterWatch { shared, thread: Mutex::new(Some(thread)), pid: std::process::id() })
}

#[pymethods]
impl InterpreterWatch {
    fn pulse(&self) {
        self.shared.had_gil.store(clock::monotonic_ns(), Relaxed);
    }

    #[getter]
    fn running(&self) -> bool {
        self.is_here() && self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn stop(&self, py: Python<'_>) {
        if !self.is_here() {
            return;
        }
        // Without the GIL: the thread may be posting a call, and waits for the lock of the queue.
        py.detach(|| {
            *self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.shared.bell.notify_all();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            thread.map(JoinHandle::join)
        });
    }
}

impl InterpreterWatch {
    /// In a forked child its locks may be held for ever by a thread that is not there.
    fn is_here(&self) -> bool {
        std::process::id() == self.pid
    }
}
