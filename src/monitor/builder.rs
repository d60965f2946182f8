//! What a monitor is to do, and its start.

use super::keeper::{Keeper, Place};
use super::loss::Follower;
use super::pulse::Pulse;
use super::scan::Scanner;
use super::supervise::{Fleet, Running, Setup};
use super::thread::{Monitor, Shared, scan_until_stopped};
use crate::error::{Error, Result};
use crate::evidence::Settings;
use crate::os::canary::Process;
use crate::os::quiet::Quiet;
use crate::os::wake::Bell;
use crate::policy::{Policy, PolicySet};
use crate::segment::Segment;
use crate::tell::{Event, LogSink, Sink, Teller};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// What a monitor is to do. `Monitor::builder(segment).policy(policy).on_event(|event| …).spawn()?`
pub struct Builder {
    segment: Arc<Segment>,
    policies: PolicySet,
    learnt: Option<PathBuf>,
    sinks: Vec<Box<dyn Sink>>,
    /// Each on a thread of its own.
    apart: Vec<Box<dyn Sink>>,
    log: bool,
    takes_signals: bool,
    setup: Setup,
    unlinks: bool,
    follows: bool,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("segment", &self.segment).field("policies", &self.policies).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self {
            segment,
            policies: Policy::default().into(),
            learnt: None,
            sinks: Vec::new(),
            apart: Vec::new(),
            log: true,
            takes_signals: true,
            setup: Setup::default(),
            unlinks: false,
            follows: false,
        }
    }

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

    /// Keeps what it learns in this file; `<segment>.learnt` where none is named. It is made where it is absent, and an empty one is
    /// taken. [`Self::spawn`] refuses anything else that is not such a file: nothing but its own is ever replaced.
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

    /// The same for a sink of the host's own code, which may never return: it has a thread and a queue of its own, and holds up no
    /// other. That thread takes the signals that the spawning one does, and so does what it starts.
    #[must_use]
    pub fn sink_apart(mut self, sink: Box<dyn Sink>) -> Self {
        self.apart.push(sink);
        self
    }

    /// Without log lines through `tracing`.
    #[must_use]
    pub fn without_log(mut self) -> Self {
        self.log = false;
        self
    }

    /// The process's signals stay with the host's threads: all but those of a fault are blocked in the monitor's own, but for those of
    /// [`Self::sink_apart`].
    #[must_use]
    pub fn without_signals(mut self) -> Self {
        self.takes_signals = false;
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
        let failed = |e: io::Error| Error::io(&what, &e);
        // Before the signals are blocked: a process that a callback starts would inherit that.
        let apart: io::Result<Vec<Teller>> =
            self.apart.into_iter().map(|sink| Teller::named("hangwatch-call", vec![sink])).collect();
        let apart = apart.map_err(failed)?;
        let _quiet = (!self.takes_signals).then(Quiet::begin);
        let place = Place::new(self.learnt, &self.segment)?;
        let mut scanner = Scanner::new(Arc::clone(&self.segment), self.policies.clone())?;
        // Under the lock: the monitor before this one has written its last.
        let (known, keeps) = place.load()?;
        scanner = scanner.with_learnt(known);
        let mut keeper = keeps.then(|| Keeper::spawn(place)).transpose().map_err(failed)?;
        if self.log {
            self.sinks.insert(0, Box::new(LogSink));
        }
        for told in apart.iter().map(Teller::told) {
            self.sinks.push(Box::new(move |event: &Event| told.tell(event.clone())));
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
        Ok(Monitor { shared, scan: Some(scan), unlinks: self.unlinks, supervisor, process, teller, apart })
    }
}
