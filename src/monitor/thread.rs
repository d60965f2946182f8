//! The monitor as a thread in a host program: polls, tells, and hands what it wants done to a supervisor if there is one.

use super::builder::Builder;
use super::keeper::Keeper;
use super::loss::Follower;
use super::pulse::Pulse;
use super::scan::{Poll, Scanner};
use super::supervise::{Asker, Ending, FleetEnd, OBSERVES, Running, Stopper};
use crate::clock;
use crate::error::Result;
use crate::os::canary::Process;
use crate::os::wake::{Bell, wait_readable};
use crate::policy::{Policy, PolicySet, ns};
use crate::segment::Segment;
use crate::tell::{Event, EventKind, Teller, TellingThread, Told};
use std::iter;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running monitor. Dropping it stops its threads, tells what is queued, and leaves no thread and no descriptor behind. A
/// forked child has none of its threads: there it is dead, and dropping it leaves what it held to the child's end or exec.
#[derive(Debug)]
pub struct Monitor {
    pub(super) shared: Arc<Shared>,
    // It gives the scanner back, and with it the segment's lock.
    pub(super) scan: Option<JoinHandle<Scanner>>,
    pub(super) unlinks: bool,
    pub(super) supervisor: Option<Running>,
    /// The one that spawned it: in a forked child none of its threads is.
    pub(super) process: Process,
    // Last but one: the other threads' handles on it are gone when it is dropped.
    pub(super) teller: Teller,
    // Last: the teller hands over to them.
    pub(super) apart: Vec<Teller>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bell: Bell,
    pub(super) stop: AtomicBool,
    pub(super) lost: AtomicBool,
    pub(super) pulse: Pulse,
    /// Policies that are to be put in force at the next poll.
    pub(super) wanted: Mutex<Option<Result<PolicySet>>>,
    /// Where it watches: another one once it has gone over.
    pub(super) segment: Mutex<Arc<Segment>>,
}

impl Shared {
    fn want(&self, policies: Result<PolicySet>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(policies);
    }

    /// Never waits: one that is being written is taken at the next poll.
    fn take_wanted(&self) -> Option<Result<PolicySet>> {
        match self.wanted.try_lock() {
            Ok(mut wanted) => wanted.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Puts other policies in force while the monitor runs.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Shared>);

impl Reloader {
    /// From the next poll on these policies hold, and every age goes on; or, where they are bad, those in force stay. Either
    /// is told as an event.
    pub fn reload(&self, policies: Result<PolicySet>) {
        self.0.want(policies);
    }
}

/// Tells the process in which a monitor runs from its forked children, in which nothing of it does. No system call, no lock.
#[derive(Debug, Clone, Copy)]
pub struct Home(Process);

impl Home {
    /// Whether the caller is in that process.
    pub fn is_here(self) -> bool {
        self.0.is_this()
    }
}

impl Monitor {
    /// A monitor of `segment`, with the default policy until told otherwise.
    pub fn builder(segment: Arc<Segment>) -> Builder {
        Builder::new(segment)
    }

    /// Whether the segment was lost: nothing is watched any more, or not until its name leads to one again (see
    /// [`Builder::follow`]).
    pub fn is_lost(&self) -> bool {
        self.shared.lost.load(Relaxed)
    }

    /// Events that the sinks were too slow for.
    pub fn events_lost(&self) -> u64 {
        self.tellers().map(|teller| teller.told().dropped()).sum()
    }

    fn tellers(&self) -> impl Iterator<Item = &Teller> {
        iter::once(&self.teller).chain(&self.apart)
    }

    /// The threads on which it tells: dropped in one of them it would wait for itself.
    pub fn telling(&self) -> Vec<TellingThread> {
        self.tellers().map(Teller::mark).collect()
    }

    /// Waits until every replica of the fleet has ended. Returns at once where there is no fleet.
    pub fn wait(&mut self) -> FleetEnd {
        self.supervisor.as_mut().map(Running::wait).unwrap_or_default()
    }

    /// A handle that waits for the fleet's end beside others.
    pub fn fleet_ending(&self) -> Option<Ending> {
        self.supervisor.as_ref().map(Running::ending)
    }

    /// The segment that it watches now; see [`Builder::follow`].
    pub fn segment(&self) -> Arc<Segment> {
        Arc::clone(&self.shared.segment.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether its scan goes on: not after the loss of a segment that it does not follow.
    pub fn is_running(&self) -> bool {
        self.process.is_this() && self.scan.as_ref().is_some_and(|scan| !scan.is_finished())
    }

    /// Tells where it runs.
    pub fn home(&self) -> Home {
        Home(self.process)
    }

    /// A handle that tells whether it still sees; it holds nothing of the monitor back when that ends.
    pub fn pulse(&self) -> Pulse {
        self.shared.pulse.clone()
    }

    /// A handle that puts other policies in force, from any thread.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.shared))
    }

    /// A handle that ends the fleet from any thread: SIGTERM, grace, SIGKILL. A second call does not wait for the grace.
    pub fn fleet_stopper(&self) -> Option<Stopper> {
        self.supervisor.as_ref().map(Running::stopper)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if !self.process.is_this() {
            // Its threads are the parent's: a join would wait for ever, and a bell would ring there.
            std::mem::forget((self.scan.take(), self.supervisor.take()));
            self.teller.forget();
            self.apart.iter_mut().for_each(Teller::forget);
            return;
        }
        // The supervisor first: its workers end, or are left as its own stop says, while they are still watched.
        self.supervisor = None;
        self.shared.stop.store(true, Relaxed);
        self.shared.bell.ring();
        let scanner = self.scan.take().and_then(|scan| scan.join().ok());
        if let Some(scanner) = scanner.filter(|_| self.unlinks)
            && let Err(e) = scanner.segment().unlink()
        {
            tracing::error!("{e}");
        }
    }
}

fn say_what_would_be_done(poll: &Poll, told: &Told) {
    // Told right after the opening, whose event says all the rest.
    for event in poll.events.iter().filter(|event| event.event == EventKind::Opened && event.slot.is_some()) {
        let opened = poll.judged.iter().find(|judged| Some(judged.observation.index) == event.slot && judged.opened_acting);
        if opened.is_some_and(|judged| !judged.judgement.verdict.is_death()) {
            told.tell(Event { event: EventKind::WouldAct, ..event.clone() }.with_detail(OBSERVES));
        }
    }
}

pub(super) fn scan_until_stopped(
    scanner: &mut Scanner,
    shared: &Shared,
    told: &Told,
    keeper: &mut Option<Keeper>,
    follower: &mut Option<Follower>,
    asker: Option<&Asker>,
) {
    let mut due = clock::monotonic_ns();
    while !shared.stop.load(Relaxed) {
        let now = clock::monotonic_ns();
        if now < due {
            wait_readable(&[shared.bell.as_fd()], Some(Duration::from_nanos(due - now)));
            shared.bell.silence();
            continue;
        }
        if let Some(wanted) = shared.take_wanted() {
            let set_policy = |policy: &Policy| asker.is_none_or(|asker| asker.set_policy(policy));
            reload(wanted, scanner, shared, told, &set_policy);
        }
        let interval = ns(scanner.policy().poll_interval);
        let poll = scanner.poll(now);
        for event in &poll.events {
            told.tell(event.clone());
        }
        match asker {
            Some(asker) => asker.ask(&poll, |index| scanner.history(index)),
            None => say_what_would_be_done(&poll, told),
        }
        keeper.iter_mut().for_each(|keeper| keeper.keep(scanner.learnt(), poll.tick.now, false));
        shared.pulse.count(&poll, interval, now);
        shared.lost.store(poll.lost, Relaxed);
        match follower {
            None if poll.lost => return,
            None => {}
            Some(follower) => {
                if let Some(found) = follower.step(scanner) {
                    *shared.segment.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(scanner.segment());
                    asker.iter().for_each(|asker| asker.set_segment(scanner.segment()));
                    told.tell(found);
                }
            }
        }
        // A late poll does not hurry the next one: the period starts anew.
        due = due.saturating_add(interval).max(now);
        if due <= now {
            due = now.saturating_add(interval);
        }
    }
}

fn reload(wanted: Result<PolicySet>, scanner: &mut Scanner, shared: &Shared, told: &Told, set_policy: &impl Fn(&Policy) -> bool) {
    let event = |kind| Event::new(kind, scanner.segment().path().display().to_string(), clock::wall());
    match wanted {
        Ok(policies) if set_policy(policies.base()) => {
            told.tell(event(EventKind::ConfigReloaded));
            scanner.set_policies(policies);
        }
        // The supervisor cannot take it now; it is asked again at the next poll.
        Ok(policies) => shared.want(Ok(policies)),
        Err(e) => told.tell(event(EventKind::ConfigRejected).with_detail(e.to_string().replace('\n', "; "))),
    }
}
