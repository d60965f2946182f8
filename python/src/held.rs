//! The library's worker inside a Python object, which any thread may call: one at a time gets it, and no call waits.
#![allow(unsafe_code, reason = "a binding: the interpreter's lock is what keeps two threads apart")]

use hangwatch::Worker;
use pyo3::Python;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Whether two threads may be in here at once. Where there is a GIL it is the lock, and a step needs no other.
const FREE_THREADED: bool = cfg!(Py_GIL_DISABLED);

/// A worker that belongs to one thread at a time. On a free-threaded interpreter a call that finds another thread's in progress
/// does nothing: it is a misuse, and must not be more than a report that is missing.
#[derive(Debug)]
pub(crate) struct Held {
    busy: AtomicBool,
    worker: UnsafeCell<Worker>,
}

// SAFETY: the worker is Send, and reached through `quick` alone, which lets one thread in at a time.
unsafe impl Sync for Held {}

impl Held {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { busy: AtomicBool::new(false), worker: UnsafeCell::new(worker) }
    }

    /// What `f` makes of the worker; `None` where another thread is at it. `f` must not call into Python, nor let the GIL go.
    #[inline(always)]
    pub(crate) fn quick<T>(&self, _: Python<'_>, f: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        // Acquire: pairs with the Release below; what the last call wrote is seen by this one.
        if FREE_THREADED && self.busy.swap(true, Acquire) {
            return None;
        }
        // SAFETY: this thread holds the GIL (`Python` says so) or `busy`, and `f` neither lets it go nor comes back here.
        let made = f(unsafe { &mut *self.worker.get() });
        if FREE_THREADED {
            self.busy.store(false, Release);
        }
        Some(made)
    }

    /// The same for what is no step: a panic is a defect of ours and must not become the host's exception.
    pub(crate) fn with<T>(&self, py: Python<'_>, otherwise: T, f: impl FnOnce(&mut Worker) -> T) -> T {
        // A worker that panicked halfway holds plain words, each of them valid: going on with it is safe.
        self.quick(py, |worker| catch_unwind(AssertUnwindSafe(|| f(worker))).ok()).flatten().unwrap_or(otherwise)
    }
}
