//! A monitor as a binding of another language holds it: any thread may ask it, reload it and stop it, its own callbacks too, and a
//! forked child's copy is dead.

use super::pulse::Pulse;
use super::sweep;
use super::thread::{Home, Monitor};
use super::view::{View, Viewer};
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::judge::Spent;
use crate::policy::{PolicySet, ns};
use crate::segment::{Presence, Segment};
use crate::tell::TellingThread;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a monitor is. Durations in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether its scan goes on.
    pub is_running: bool,
    /// What became of the segment's file.
    pub presence: Presence,
    /// Polls so far.
    pub polls: u64,
    /// Of these, those at which every slot could be read and judged.
    pub good_polls: u64,
    /// Events that its sinks were too slow for.
    pub events_lost: u64,
    /// Its poll interval.
    pub interval: u64,
    /// Since its last poll; `None` before the first.
    pub last_poll_age: Option<u64>,
    /// By how much that came late.
    pub late: u64,
    /// By how much the latest of all came late.
    pub worst_late: u64,
    /// The latest that it sees a hang in inference, while its polls are on time.
    pub worst_case_detection: u64,
}

/// A slot as a monitor judges it, and the clocks that run for it.
pub type Seen = (View, Vec<Spent>);

/// A monitor that threads share.
#[derive(Debug)]
pub struct Hosted {
    /// Taken out by the stop, which waits for the callback; that may ask meanwhile, and is told so.
    monitor: Mutex<Option<Monitor>>,
    home: Home,
    telling: Vec<TellingThread>,
    pulse: Pulse,
    /// As they were when it was stopped.
    events_lost: AtomicU64,
    stopped: AtomicBool,
    /// Held by the stop: another one waits for it.
    stopping: Mutex<()>,
    /// Those that were asked for last.
    policies: Mutex<PolicySet>,
    /// For those who ask what it judges.
    viewer: Mutex<Viewer>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hosted {
    /// Takes a monitor that was started with these policies.
    pub fn new(monitor: Monitor, policies: PolicySet) -> Self {
        Self {
            home: monitor.home(),
            telling: monitor.telling(),
            pulse: monitor.pulse(),
            events_lost: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            stopping: Mutex::default(),
            policies: Mutex::new(policies),
            viewer: Mutex::new(Viewer::new(monitor.segment())),
            monitor: Mutex::new(Some(monitor)),
        }
    }

    /// Whether the caller is in the process in which it was started.
    pub fn is_here(&self) -> bool {
        self.home.is_here()
    }

    /// An error in a forked child, in which none of its threads is.
    pub fn check_home(&self, what: &str) -> Result<()> {
        // Before any lock, which a thread of the parent may have held when it forked.
        if self.is_here() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, what, "it is the parent's: a forked child has none of its threads"))
    }

    /// Asks the monitor, if it is not being stopped. Nothing in `ask` waits.
    pub fn ask<T>(&self, what: &str, ask: impl FnOnce(&Monitor) -> T) -> Result<T> {
        self.check_home(what)?;
        match &*locked(&self.monitor) {
            Some(monitor) => Ok(ask(monitor)),
            None => Err(Error::new(ErrorKind::Usage, what, self.ending())),
        }
    }

    fn ending(&self) -> &'static str {
        // Relaxed: it words a sentence.
        if self.stopped.load(Relaxed) { "it was stopped" } else { "it is being stopped" }
    }

    /// Whether its scan goes on; not in a forked child.
    pub fn is_running(&self) -> bool {
        self.is_here() && locked(&self.monitor).as_ref().is_some_and(Monitor::is_running)
    }

    /// The segment that it watches now, or watched last.
    pub fn segment(&self) -> Arc<Segment> {
        let now = if self.is_here() { locked(&self.monitor).as_ref().map(Monitor::segment) } else { None };
        now.unwrap_or_else(|| Arc::clone(locked(&self.viewer).segment()))
    }

    /// How it is, or was when it was stopped.
    pub fn health(&self, what: &str) -> Result<Health> {
        self.check_home(what)?;
        // One lock at a time: a reload takes the second under the first.
        let policies = locked(&self.policies).clone();
        let (is_running, events_lost) = match &*locked(&self.monitor) {
            Some(monitor) => (monitor.is_running(), monitor.events_lost()),
            None => (false, self.events_lost.load(Relaxed)), // Relaxed: a statistic
        };
        Ok(Health {
            is_running,
            presence: self.segment().presence(),
            polls: self.pulse.scans(),
            good_polls: self.pulse.good_scans(),
            events_lost,
            interval: ns(policies.base().poll_interval),
            last_poll_age: Some(self.pulse.last_scan_ns())
                .filter(|last| *last != 0)
                .map(|last| clock::monotonic_ns().saturating_sub(last)),
            late: self.pulse.late_ns(),
            worst_late: self.pulse.worst_late_ns(),
            worst_case_detection: ns(policies.base().worst_case_detection()),
        })
    }

    /// From the next poll on these policies hold, and every age goes on.
    pub fn reload(&self, what: &str, policies: PolicySet) -> Result<()> {
        self.check_home(what)?;
        // Under one lock, so that of two that reload at once one is the last in both places.
        let mut known = locked(&self.policies);
        self.ask(what, Monitor::reloader)?.reload(Ok(policies.clone()));
        *known = policies;
        Ok(())
    }

    /// Slot `index` as it judges it now.
    pub fn read(&self, what: &str, index: u32) -> Result<Seen> {
        self.viewed(what, |viewer, policies| viewer.read(index, policies).map(|view| seen(view, policies)))
    }

    /// The first slot from `from` on that is anybody's.
    pub fn next(&self, what: &str, from: u32) -> Result<Option<Seen>> {
        self.viewed(what, |viewer, policies| Ok(viewer.next(from, policies)?.map(|view| seen(view, policies))))
    }

    /// Every slot that is anybody's.
    pub fn sweep(&self, what: &str) -> Result<Vec<Seen>> {
        self.viewed(what, |viewer, policies| Ok(viewer.sweep(policies)?.into_iter().map(|view| seen(view, policies)).collect()))
    }

    /// Asks the viewer of the segment that is watched now.
    fn viewed<T>(&self, what: &str, ask: impl FnOnce(&mut Viewer, &PolicySet) -> Result<T>) -> Result<T> {
        let segment = self.ask(what, Monitor::segment)?;
        let policies = locked(&self.policies).clone();
        let mut viewer = locked(&self.viewer);
        if !Arc::ptr_eq(viewer.segment(), &segment) {
            sweep::check(&segment)?;
            *viewer = Viewer::new(segment);
        }
        ask(&mut viewer, &policies)
    }

    /// Stops it: ends its scan, tells what is queued, and joins its threads. It waits for the callback that runs. A second call
    /// waits for the first; one in a forked child does nothing, and one from its own callback is an error.
    pub fn stop(&self, what: &str) -> Result<()> {
        if !self.is_here() {
            return Ok(());
        }
        self.check_caller(what)?;
        let _one = locked(&self.stopping);
        let Some(monitor) = locked(&self.monitor).take() else { return Ok(()) };
        self.events_lost.store(monitor.events_lost(), Relaxed);
        // Not under the monitor's lock: the callback that this waits for may ask.
        drop(monitor);
        self.stopped.store(true, Relaxed);
        Ok(())
    }

    /// An error in its own callback, which a stop would wait for.
    pub fn check_caller(&self, what: &str) -> Result<()> {
        if !self.telling.iter().any(|thread| thread.is_here()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, what, "this is its own callback, which the stop would wait for")
            .hint("let the callback tell another thread to stop it"))
    }

    /// Frees it, stopped or not. In a forked child nothing is waited for, and where a thread of the parent was at work in there when it
    /// forked, what that left halfway is left alone.
    pub fn discard(self) {
        let is_at_work =
            || self.monitor.try_lock().is_err() || self.policies.try_lock().is_err() || self.viewer.try_lock().is_err();
        if !self.is_here() && is_at_work() {
            mem::forget(self);
        }
    }
}

fn seen(view: View, policies: &PolicySet) -> Seen {
    let clocks = view.clocks(policies);
    (view, clocks)
}
