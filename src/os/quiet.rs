//! The host's signals stay with the host's threads.

use std::{mem, ptr};

/// While it lives, the calling thread, and so each thread that it spawns, takes no signal that is sent to the process. Faults
/// of a thread's own are left as they are.
#[derive(Debug)]
pub(crate) struct Quiet(libc::sigset_t);

/// Signals of a fault: a thread that blocks the one that it causes is ended without its handler.
const FAULTS: [libc::c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

impl Quiet {
    pub(crate) fn begin() -> Self {
        // SAFETY: a set of signals is an array of integers, for which all zero is a value.
        let mut all: libc::sigset_t = unsafe { mem::zeroed() };
        let mut before = all;
        // SAFETY: it is a valid set.
        unsafe { libc::sigfillset(&mut all) };
        for fault in FAULTS {
            // SAFETY: a valid set and a signal's number.
            unsafe { libc::sigdelset(&mut all, fault) };
        }
        // SAFETY: both sets are valid; it changes this thread's mask alone.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before) };
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the mask that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Makes threads that take no signal that is sent to the process: those that `spawn` starts. For whoever puts a thread of ours beside a
/// host's own.
pub fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let _quiet = Quiet::begin();
    spawn()
}
