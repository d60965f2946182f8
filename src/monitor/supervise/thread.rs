//! The supervisor as others see it: what it is to do, how it is asked, how it is stopped.

use super::children::Children;
use super::ending::{Ending, Tells};
use super::fleet::{Fleet, FleetEnd};
use super::mail::{Ask, Mail, QUEUE};
use super::slots::{Reserved, Slots};
use super::supervisor::Supervisor;
use super::wards::Wards;
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::{Gatherer, Moment, Settings};
use crate::judge::Severity;
use crate::monitor::scan::Poll;
use crate::os::wake::Bell;
use crate::policy::Policy;
use crate::recover::Cap;
use crate::segment::Segment;
use crate::tell::Told;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// Ends the fleet, from any thread or signal.
#[derive(Debug, Clone)]
pub struct Stopper {
    asked: Arc<AtomicU32>,
    bell: Arc<Bell>,
}

impl Stopper {
    /// SIGTERM, grace, SIGKILL for every worker; a second call does not wait for the grace.
    pub fn stop(&self) {
        self.asked.fetch_add(1, Relaxed); // Relaxed: the bell wakes whoever looks
        self.bell.ring();
    }

    /// How often.
    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Relaxed) // Relaxed: as above
    }
}

/// Hands a scan's findings over; never waits.
#[derive(Debug)]
pub(in crate::monitor) struct Asker(Mail);

impl Asker {
    /// Another policy is in force; `false` where the supervisor is too far behind to be told.
    pub(in crate::monitor) fn set_policy(&self, policy: &Policy) -> bool {
        self.0.send(Ask::Policy(Box::new(policy.clone())))
    }

    /// Workers are watched in another segment from now on. Where the supervisor is too far behind to be told it goes on with the
    /// old one, in which nobody is left.
    pub(in crate::monitor) fn set_segment(&self, segment: &Arc<Segment>) {
        self.0.send(Ask::Segment(Arc::clone(segment)));
    }

    pub(in crate::monitor) fn ask(&self, poll: &Poll, history: impl Fn(u32) -> Vec<Moment>) {
        let hung = poll.judged.iter().filter(|judged| !poll.tick.gap && judged.judgement.severity == Severity::Acting);
        let hung = hung.map(|judged| Ask::Hung(Box::new(judged.clone()), history(judged.observation.index)));
        let advanced = poll.judged.iter().map(|judged| &judged.observation);
        let advanced = advanced.filter(|o| o.done.is_some() && o.ages.progress.is_some_and(|age| age.real == 0));
        let asks = hung.chain(poll.unclaimed.iter().map(|(index, owner)| {
            let reserved = Reserved { index: *index, generation: owner.generation() };
            Ask::Unclaimed(reserved)
        }));
        let mut rings = false;
        for ask in asks.chain(advanced.map(|o| Ask::Advanced(o.index))) {
            rings |= self.0.queue.try_send(ask).is_ok();
        }
        if rings {
            self.0.bell.ring();
        }
    }
}

/// What a supervisor is to do.
#[derive(Debug, Default)]
pub(in crate::monitor) struct Setup {
    /// Whom it spawns.
    pub(in crate::monitor) fleet: Option<Fleet>,
    /// Where evidence is kept, and how.
    pub(in crate::monitor) evidence: Option<Settings>,
    /// It ends workers that others spawned, where their identity is proven.
    pub(in crate::monitor) acts_on_others: bool,
}

impl Setup {
    /// Whether there is anything to do.
    pub(in crate::monitor) fn is_wanted(&self) -> bool {
        self.fleet.is_some() || self.acts_on_others || self.evidence.is_some()
    }
}

/// A supervisor at work. Dropping it stops it and waits.
#[derive(Debug)]
pub(in crate::monitor) struct Running {
    mail: Mail,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    ending: Ending,
}

impl Running {
    pub(in crate::monitor) fn start(setup: Setup, segment: Arc<Segment>, policy: Policy, told: Told) -> Result<Self> {
        let Setup { fleet, mut evidence, acts_on_others } = setup;
        let spawns = fleet.is_some();
        if let Some(settings) = evidence.as_mut().filter(|_| !acts_on_others && fleet.as_ref().is_none_or(|fleet| !fleet.acts)) {
            // Who observes never signals.
            settings.faulthandler = None;
        }
        let fleet = match fleet {
            Some(fleet) => fleet.check(&segment).map(|()| fleet)?,
            None => Fleet::nobody(),
        };
        let failed = |e: std::io::Error| Error::io("cannot supervise workers", &e);
        let bell = Arc::new(Bell::new().map_err(failed)?);
        let stopper = Stopper { asked: Arc::default(), bell: Arc::clone(&bell) };
        let (queue, asks) = sync_channel(QUEUE);
        let mail = Mail { queue, bell, stopping: Arc::new(Bell::new().map_err(failed)?) };
        let children = match (fleet.replicas > 0).then(|| Children::open(segment.path())).transpose() {
            Ok(children) => children,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                let what = format!("cannot use '{}'", Children::path(segment.path()).display());
                return Err(Error::new(ErrorKind::Denied, what, e.to_string())
                    .hint("it says which workers run already: as its owner 'hangwatch run' takes them over")
                    .hint("remove it once you have made sure that none runs"));
            }
            Err(e) => {
                tracing::warn!(
                    "cannot keep the list of workers: {e}; were this supervisor killed, its successor would not find them"
                );
                None
            }
        };
        let told_would = vec![0; segment.len() as usize];
        let mut supervisor = Supervisor {
            replicas: Vec::new(),
            gatherer: evidence.map(Gatherer::new),
            wards: acts_on_others.then(Wards::new),
            spawns,
            slots: Slots::new(segment),
            ledger: RefCell::default(),
            children,
            fleet,
            policy,
            told,
            mail: mail.clone(),
            asks,
            stopper: stopper.clone(),
            stopped: 0,
            told_would,
            cap: Cap::default(),
        };
        supervisor.man()?;
        let ending = Ending::default();
        let tells = Tells(ending.clone());
        let thread = std::thread::Builder::new().name("hangwatch-act".into());
        let thread = thread.spawn(move || tells.tell(supervisor.run())).map_err(failed)?;
        Ok(Self { mail, stopper, thread: Some(thread), ending })
    }

    pub(in crate::monitor) fn asker(&self) -> Asker {
        Asker(self.mail.clone())
    }

    pub(in crate::monitor) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(in crate::monitor) fn wait(&mut self) -> FleetEnd {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.ending.wait(Duration::ZERO).unwrap_or_default()
    }

    pub(in crate::monitor) fn ending(&self) -> Ending {
        self.ending.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.wait();
    }
}
