//! The end of the process, as those see it that wait for somebody else: how long there still is.

use hangwatch::clock::monotonic_ns;
use hangwatch::policy::ns;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared by the threads of all hooks.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// By the monotonic clock, when all must be done; `None` while the process goes on.
    by: Mutex<Option<u64>>,
    begun: Condvar,
    /// Readable once commands that still run are to be ended.
    over: PipeReader,
    /// Taken to make it so.
    holds: Mutex<Option<PipeWriter>>,
}

impl Leaving {
    pub(crate) fn new() -> io::Result<Self> {
        let (over, holds) = io::pipe()?;
        Ok(Self { by: Mutex::new(None), begun: Condvar::new(), over, holds: Mutex::new(Some(holds)) })
    }

    fn by(&self) -> MutexGuard<'_, Option<u64>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there is so much time, and no pause any more.
    pub(crate) fn begin(&self, within: Duration) {
        *self.by() = Some(monotonic_ns().saturating_add(ns(within)));
        self.begun.notify_all();
    }

    /// The time is over: commands that still run are ended.
    pub(crate) fn end(&self) {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What is left; `None` while the process goes on.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.by().map(|by| Duration::from_nanos(by.saturating_sub(monotonic_ns())))
    }

    /// Waits so long, or until the process is to end.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = monotonic_ns().saturating_add(ns(pause));
        let mut by = self.by();
        while by.is_none() {
            let left = until.saturating_sub(monotonic_ns());
            if left == 0 {
                return;
            }
            by = self.begun.wait_timeout(by, Duration::from_nanos(left)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl AsFd for Leaving {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }
}
