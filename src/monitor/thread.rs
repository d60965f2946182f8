//! The monitor as a thread in a host program: polls, tells, and hands what it wants done to a supervisor if there is one.

use super::keeper::{self, Keeper};
use super::loss::Follower;
use super::pulse::Pulse;
use super::scan::{Poll, Scanner};
use super::supervise::{Asker, Fleet, FleetEnd, OBSERVES, Running, Setup};
use crate::clock;
use crate::error::{Error, Result};
use crate::evidence::Settings;
use crate::os::canary::Process;
use crate::os::wake::{Bell, wait_readable};
use crate::policy::{Policy, PolicySet, ns};
use crate::segment::Segment;
use crate::tell::{Event, EventKind, LogSink, Sink, Teller, Told};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a monitor is to do. `Monitor::builder(segment).policy(policy).on_event(|event| …).spawn()?`
pub struct Builder {
    segment: Arc<Segment>,
    policies: PolicySet,
    learnt: Option<PathBuf>,
    sinks: Vec<Box<dyn Sink>>,
    log: bool,
    setup: Setup,
    unlinks: bool,
    follows: bool,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("segment", &self.segment).field("policies", &self.policies).finish_non_exhaustive()
    }
}

/// A running monitor. Dropping it stops its threads, tells what is queued, and leaves no thread and no descriptor behind. A
/// forked child has none of its threads: there it is dead, and dropping it leaves what it held to the child's end or exec.
#[derive(Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
    // It gives the scanner back, and with it the segment's lock.
    scan: Option<JoinHandle<Scanner>>,
    unlinks: bool,
    supervisor: Option<Running>,
    /// The one that spawned it: in a forked child none of its threads is.
    process: Process,
    // Last: the other threads' handles on it are gone when it is dropped.
    teller: Teller,
}

#[derive(Debug)]
struct Shared {
    bell: Bell,
    stop: AtomicBool,
    lost: AtomicBool,
    pulse: Pulse,
    /// Policies that are to be put in force at the next poll.
    wanted: Mutex<Option<Result<PolicySet>>>,
    /// Where it watches: another one once it has gone over.
    segment: Mutex<Arc<Segment>>,
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
        Builder {
            segment,
            policies: Policy::default().into(),
            learnt: None,
            sinks: Vec::new(),
            log: true,
            setup: Setup::default(),
            unlinks: false,
            follows: false,
        }
    }

    /// Whether the segment was lost: nothing is watched any more, or not until its name leads to one again (see
    /// [`Builder::follow`]).
    pub fn is_lost(&self) -> bool {
        self.shared.lost.load(Relaxed)
    }

    /// Events that the sinks were too slow for.
    pub fn events_lost(&self) -> u64 {
        self.teller.told().dropped()
    }

    /// Waits until every replica of the fleet has ended. Returns at once where there is no fleet.
    pub fn wait(&mut self) -> FleetEnd {
        self.supervisor.as_mut().map(Running::wait).unwrap_or_default()
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
    pub fn fleet_stopper(&self) -> Option<super::supervise::Stopper> {
        self.supervisor.as_ref().map(Running::stopper)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if !self.process.is_this() {
            // Its threads are the parent's: a join would wait for ever, and a bell would ring there.
            std::mem::forget((self.scan.take(), self.supervisor.take()));
            self.teller.forget();
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

impl Builder {
    /// With this policy; it should be validated.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policies = policy.into();
        self
    }

    /// With policies by model and worker.
    #[must_use]
    pub fn policies(mut self, policies: PolicySet) -> Self {
        self.policies = policies;
        self
    }

    /// Keeps what it learns in this file; `<segment>.learnt` where none is named.
    #[must_use]
    pub fn learnt(mut self, path: impl Into<PathBuf>) -> Self {
        self.learnt = Some(path.into());
        self
    }

    /// Calls `callback` for each event, on the telling thread. May be slow; a callback that panics is left out from then on.
    #[must_use]
    pub fn on_event(self, callback: impl FnMut(&Event) + Send + 'static) -> Self {
        self.sink(Box::new(callback))
    }

    /// The same for a sink.
    #[must_use]
    pub fn sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Without log lines through `tracing`.
    #[must_use]
    pub fn without_log(mut self) -> Self {
        self.log = false;
        self
    }

    /// Spawns, watches and replaces these workers; without a fleet the monitor observes and says what it would do.
    #[must_use]
    pub fn fleet(mut self, fleet: Fleet) -> Self {
        self.setup.fleet = Some(fleet);
        self
    }

    /// Ends workers that others spawned when they hang, where it is proven who they are; never starts one.
    #[must_use]
    pub fn act_on_others(mut self) -> Self {
        self.setup.acts_on_others = true;
        self
    }

    /// Keeps evidence of a worker before it is ended.
    #[must_use]
    pub fn evidence(mut self, settings: Settings) -> Self {
        self.setup.evidence = Some(settings);
        self
    }

    /// Removes the segment at the end, while the lock is held still: a successor that waits for the lock would else have its
    /// segment removed.
    #[must_use]
    pub fn unlink_at_end(mut self) -> Self {
        self.unlinks = true;
        self
    }

    /// Lives on when the segment is lost, and goes over to the one that its name leads to: at once where the old one cannot be
    /// read, else when the last worker has left it. A fleet's workers are in the one segment, and its monitor follows nowhere.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Starts. Another live monitor of the segment is an error of kind `Held`.
    pub fn spawn(mut self) -> Result<Monitor> {
        let what = format!("cannot monitor segment '{}'", self.segment.path().display());
        let failed = |e: std::io::Error| Error::io(&what, &e);
        let learnt = self.learnt.unwrap_or_else(|| keeper::learnt_path(&self.segment));
        let mut scanner = Scanner::new(Arc::clone(&self.segment), self.policies.clone())?;
        // Under the lock: the monitor before this one has written its last.
        let (known, keeps) = keeper::load(&learnt);
        scanner = scanner.with_learnt(known);
        let mut keeper = keeps.then(|| Keeper::spawn(learnt)).transpose().map_err(failed)?;
        if self.log {
            self.sinks.insert(0, Box::new(LogSink));
        }
        let teller = Teller::spawn(self.sinks).map_err(failed)?;
        let shared = Arc::new(Shared {
            bell: Bell::new().map_err(failed)?,
            stop: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            pulse: Pulse::default(),
            wanted: Mutex::new(None),
            segment: Mutex::new(Arc::clone(&self.segment)),
        });
        let process = Process::this().map_err(failed)?;
        let mut follower = (self.follows && self.setup.fleet.is_none()).then(Follower::default);
        let supervisor = if self.setup.is_wanted() {
            scanner.leave_the_dead();
            if self.setup.evidence.is_some() {
                scanner.keep_history();
            }
            Some(Running::start(self.setup, Arc::clone(&self.segment), self.policies.base().clone(), teller.told())?)
        } else {
            None
        };
        let (asker, stopper) = (supervisor.as_ref().map(Running::asker), supervisor.as_ref().map(Running::stopper));
        let (theirs, told) = (Arc::clone(&shared), teller.told());
        let scan = std::thread::Builder::new()
            .name("hangwatch-scan".into())
            .spawn(move || {
                scan_until_stopped(&mut scanner, &theirs, &told, &mut keeper, &mut follower, asker.as_ref());
                if let Some(stopper) = stopper.filter(|_| theirs.lost.load(Relaxed)) {
                    // Nobody can see its workers any more, and those that hang would never touch the segment again.
                    stopper.stop();
                }
                keeper.iter_mut().for_each(|keeper| keeper.keep(scanner.learnt(), 0, true));
                scanner
            })
            .map_err(failed)?;
        Ok(Monitor { shared, scan: Some(scan), unlinks: self.unlinks, supervisor, process, teller })
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

fn scan_until_stopped(
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
