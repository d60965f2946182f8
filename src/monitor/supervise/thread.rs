//! The supervisor's thread: waits for exits, deadlines and questions; drives every replica and every ward.

use super::children::{Children, Record};
use super::evidence;
use super::fleet::{Fleet, FleetEnd, ReplicaEnd};
use super::ledger::Ledger;
use super::mail::{Ask, Mail, QUEUE};
use super::replica::Replica;
use super::slots::Slots;
use super::wards::Wards;
use super::world::World;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::{Gatherer, Moment, Settings};
use crate::judge::Severity;
use crate::monitor::proof::Unproven;
use crate::monitor::report;
use crate::monitor::scan::{Judged, Poll};
use crate::os::children;
use crate::os::wake::{Bell, wait_readable};
use crate::policy::Policy;
use crate::recover::Cap;
use crate::segment::Segment;
use crate::tell::{EventKind, Told};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Why a monitor that neither spawns nor acts does nothing.
pub(in crate::monitor) const OBSERVES: &str = "this monitor observes only; 'hangwatch run' replaces the workers that it spawns";

/// How often orphans that have ended are looked for.
const ORPHANS: Duration = Duration::from_secs(1);

/// Ends the fleet, from any thread or signal.
#[derive(Debug, Clone)]
pub struct Stopper {
    asked: Arc<AtomicU32>,
    bell: Arc<Bell>,
}

impl Stopper {
    /// SIGTERM, grace, SIGKILL for every worker; a second call does not wait for the grace.
    pub fn stop(&self) {
        self.asked.fetch_add(1, Relaxed);
        self.bell.ring();
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
        let asks = hung.chain(poll.unclaimed.iter().map(|slot| Ask::Unclaimed(*slot)));
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
    thread: Option<JoinHandle<FleetEnd>>,
    end: FleetEnd,
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
        let mail = Mail { queue, bell };
        let children = match Children::open(segment.path()) {
            _ if fleet.replicas == 0 => None,
            Ok(children) => Some(children),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                let what = format!("cannot use '{}'", Children::path(segment.path()).display());
                return Err(Error::new(ErrorKind::Denied, what, e.to_string())
                    .hint("it says which workers run already; remove it once you have made sure that none does"));
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
        let thread = std::thread::Builder::new().name("hangwatch-act".into()).spawn(move || supervisor.run()).map_err(failed)?;
        Ok(Self { mail, stopper, thread: Some(thread), end: FleetEnd::default() })
    }

    pub(in crate::monitor) fn asker(&self) -> Asker {
        Asker(self.mail.clone())
    }

    pub(in crate::monitor) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(in crate::monitor) fn wait(&mut self) -> FleetEnd {
        if let Some(thread) = self.thread.take() {
            self.end = thread.join().unwrap_or_default();
        }
        self.end.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.wait();
    }
}

struct Supervisor {
    replicas: Vec<Replica>,
    fleet: Fleet,
    slots: Slots,
    /// Where it cannot be written, nobody is found again.
    children: Option<Children>,
    policy: Policy,
    told: Told,
    mail: Mail,
    asks: Receiver<Ask>,
    stopper: Stopper,
    stopped: u32,
    /// A slot's last episode of which it was said what would be done.
    told_would: Vec<u64>,
    cap: Cap,
    ledger: RefCell<Ledger>,
    gatherer: Option<Gatherer>,
    /// Of a monitor that acts on workers that others spawned.
    wards: Option<Wards>,
    /// It ends when all that it spawned has; else when it is asked to.
    spawns: bool,
}

impl Supervisor {
    /// Takes over who runs already, and sets a slot aside for everyone who is missing.
    fn man(&mut self) -> Result<()> {
        let records = self.children.as_ref().map_or_else(Vec::new, |children| children.records().to_vec());
        let fleet = self.fleet.clone();
        let mut replicas: Vec<Replica> = Vec::new();
        self.turn(|_, world| {
            // One that the fleet has no place for any more is left to its work, and is not started again.
            let adopt = |record: &Record| {
                let restart = if record.replica < fleet.replicas { fleet.restart } else { super::fleet::Restart::Never };
                Replica::adopted(record, restart, world)
            };
            replicas = records.iter().filter_map(adopt).collect();
        });
        for number in 0..self.fleet.replicas {
            if replicas.iter().any(|replica| replica.number() == number) {
                continue;
            }
            // The slot that it had, if it may have it again.
            let former = records.iter().find(|record| record.replica == number).map(|record| record.slot);
            self.turn(|_, world| former.into_iter().for_each(|slot| world.bury_owner(slot)));
            let reserved = former.and_then(|slot| self.slots.reserve(slot)).or_else(|| self.slots.reserve_any());
            let Some(reserved) = reserved else {
                replicas.iter().filter(|replica| !replica.is_up()).for_each(|replica| self.slots.unreserve(replica.reserved()));
                let why = format!("{number} of {} slots could be reserved, the others are taken", self.fleet.replicas);
                let who = format!("see who has them with 'hangwatch status --segment {}'", self.slots.segment.path().display());
                return Err(Error::new(ErrorKind::Full, "cannot run workers", why).hint(who));
            };
            replicas.push(Replica::new(number, self.fleet.restart, reserved));
        }
        replicas.sort_by_key(Replica::number);
        self.replicas = replicas;
        Ok(())
    }

    fn run(mut self) -> FleetEnd {
        loop {
            self.step();
            if let Some(end) = self.end() {
                if let Some(children) = &self.children {
                    children.remove();
                }
                return end;
            }
            self.wait();
        }
    }

    fn end(&self) -> Option<FleetEnd> {
        if !self.spawns && self.stopped == 0 {
            return None;
        }
        let ends: Option<Vec<ReplicaEnd>> = self.replicas.iter().map(|replica| replica.end().cloned()).collect();
        let reports = self.replicas.iter().map(Replica::report).collect();
        ends.map(|replicas| FleetEnd { replicas, reports, models: self.ledger.borrow().reports() })
    }

    fn wait(&self) {
        let cases = || self.replicas.iter().flat_map(Replica::cases).chain(self.wards.iter().flat_map(Wards::cases));
        let mut fds = vec![self.mail.bell.as_fd()];
        fds.extend(cases().filter(|case| case.exit().is_none()).map(|case| case.tree().as_fd()));
        let now = clock::monotonic_ns();
        let due = cases().filter_map(|case| case.deadline(now)).chain(self.replicas.iter().filter_map(Replica::starts_at)).min();
        let timeout = due.map(|at| Duration::from_nanos(at.saturating_sub(now)));
        // Nothing tells that an orphan has ended.
        let timeout = if children::is_subreaper() { Some(timeout.map_or(ORPHANS, |t| t.min(ORPHANS))) } else { timeout };
        wait_readable(&fds, timeout);
        self.mail.bell.silence();
    }

    /// Lends the replicas and their world.
    fn turn<T>(&mut self, with: impl FnOnce(&mut Parts<'_>, &World<'_>) -> T) -> T {
        let Self { replicas, wards, fleet, slots, children, policy, told, mail, told_would, cap, ledger, gatherer, .. } = self;
        let held: Vec<String> = replicas.iter().filter_map(|replica| replica.held_device(fleet)).collect();
        let world = World {
            now: clock::monotonic_ns(),
            slots,
            policy,
            told,
            fleet,
            ledger,
            mail,
            stopping: self.stopped > 0,
            held_devices: &held,
            gatherer: gatherer.as_ref(),
        };
        with(&mut Parts { replicas, wards: wards.as_mut(), children: children.as_ref(), told_would, cap }, &world)
    }

    fn step(&mut self) {
        let asked = self.stopper.asked.load(Relaxed);
        let asks: Vec<Ask> = self.asks.try_iter().collect();
        if let Some(policy) = asks.iter().rev().find_map(|ask| if let Ask::Policy(policy) = ask { Some(policy) } else { None }) {
            self.policy = (**policy).clone();
        }
        if let Some(segment) =
            asks.iter().rev().find_map(|ask| if let Ask::Segment(segment) = ask { Some(segment) } else { None })
        {
            self.told_would = vec![0; segment.len() as usize];
            self.slots = Slots::new(Arc::clone(segment));
        }
        let stops = asked > std::mem::replace(&mut self.stopped, asked);
        self.turn(|parts, world| {
            if stops {
                parts.replicas.iter_mut().for_each(|replica| replica.stop(asked > 1, world));
                parts.wards.iter_mut().for_each(|wards| wards.leave());
            }
            // Exits before questions: a worker that has just ended is not hung.
            parts.replicas.iter_mut().for_each(|replica| replica.advance(parts.children, world));
            parts.wards.iter_mut().for_each(|wards| wards.advance(world));
            children::reap_orphans();
            for ask in asks {
                parts.answer(ask, world);
            }
        });
        let faulted = |replica: &Replica| matches!(replica.end(), Some(ReplicaEnd::GaveUp | ReplicaEnd::NotStarted(_)));
        if self.policy.exit_on_unhandled_faults && asked == 0 && self.replicas.iter().any(faulted) {
            self.stopper.stop();
        }
        self.keep_children();
    }

    fn keep_children(&mut self) {
        let records: Vec<Record> = self.replicas.iter().filter_map(Replica::record).collect();
        if let Some(Err(e)) = self.children.as_mut().map(|children| children.keep(records)) {
            tracing::warn!(
                "cannot keep the list of workers: {e}; were this supervisor killed, its successor might not find them"
            );
        }
    }
}

/// What a turn changes.
struct Parts<'a> {
    replicas: &'a mut Vec<Replica>,
    wards: Option<&'a mut Wards>,
    children: Option<&'a Children>,
    told_would: &'a mut Vec<u64>,
    cap: &'a mut Cap,
}

impl Parts<'_> {
    fn answer(&mut self, ask: Ask, world: &World<'_>) {
        match ask {
            Ask::Policy(_) | Ask::Segment(_) => {}
            Ask::Hung(judged, history) => self.hung(&judged, history, world),
            Ask::Unclaimed(index) => {
                let replica = self.replicas.iter_mut().find(|replica| replica.reserved().index == index);
                if let Some(replica) = replica.filter(|_| world.policy.require_attach) {
                    replica.unclaimed(world);
                }
            }
            Ask::Advanced(index) => {
                let replica = self.replicas.iter_mut().find(|replica| replica.reserved().index == index);
                replica.into_iter().for_each(|replica| replica.advanced(world.now, world.policy));
            }
            ask @ (Ask::Gathered(..) | Ask::Reclaimed(_)) => {
                // One about a process that has gone meanwhile is about nobody.
                let wards = self.wards.iter_mut().flat_map(|wards| wards.cases_mut());
                self.replicas.iter_mut().filter_map(Replica::up_mut).chain(wards).for_each(|case| case.answer(&ask, world));
            }
        }
    }

    fn hung(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>) {
        let (index, owner) = (judged.observation.index, judged.observation.owner);
        match self.replicas.iter_mut().find(|replica| replica.owns(index, owner, world.slots)) {
            // A judgement of a former owner is about nobody who is here now.
            Some(replica) if world.slots.slot(index).is_some_and(|slot| slot.peek_owner() == owner) => {
                if judged.judgement.verdict.is_death() {
                    // Its exit is ours to see, through its pidfd.
                } else if world.fleet.acts {
                    // It is asked again at the next poll, while it stands.
                    let may = !judged.frozen_with_all || self.cap.allows(world.now, world.policy);
                    if may && replica.hung(judged, &history, world) {
                        self.cap.begun(world.now);
                    }
                } else {
                    self.would_act(judged, history, world, "this run observes only");
                }
            }
            Some(_) => {}
            None => self.not_ours(judged, history, world),
        }
    }

    /// A worker that others spawned: the dead give their slot back. The living are ended where this monitor may, and else it is
    /// said what would be done.
    fn not_ours(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>) {
        let (o, verdict) = (&judged.observation, judged.judgement.verdict);
        // One that was replaced though it could not be ended is no stranger: its job was told lost.
        let had = self.replicas.iter().any(|replica| replica.had(o.index, o.owner, world.slots));
        if had || self.wards.as_ref().is_some_and(|wards| wards.has(o.index, o.owner, world.slots)) {
            return;
        }
        if verdict.is_death() {
            if world.slots.free_if_dead(o.index, o.owner) && o.job.is_some() {
                tell(EventKind::LostJob, judged, world, "its process ended with the job open");
            }
            return;
        }
        let Some(wards) = self.wards.as_mut() else {
            let why = if self.replicas.is_empty() {
                OBSERVES
            } else {
                "it is no child of this monitor, which acts on its own children only"
            };
            return self.would_act(judged, history, world, why);
        };
        if world.stopping || judged.frozen_with_all && !self.cap.allows(world.now, world.policy) {
            return;
        }
        match wards.hung(judged, &history, world) {
            Ok(true) => self.cap.begun(world.now),
            Ok(false) => {}
            // It is judged anew, as what it is by now.
            Err(Unproven::Changed | Unproven::Exited) => {}
            Err(why) => self.would_act(judged, history, world, &format!("its identity is not proven: {why}")),
        }
    }

    /// Says once an episode what would be done, and why it is not; and keeps what can be seen.
    fn would_act(&mut self, judged: &Judged, history: Vec<Moment>, world: &World<'_>, why: &str) {
        let Some(told) = self.told_would.get_mut(judged.observation.index as usize) else { return };
        let episode = judged.episode.unwrap_or(0);
        if *told != episode {
            *told = episode;
            tell(EventKind::WouldAct, judged, world, why);
            evidence::gather_observed(judged, history, world);
        }
    }
}

fn tell(kind: EventKind, judged: &Judged, world: &World<'_>, detail: &str) {
    let segment = world.slots.segment.path().display().to_string();
    let mut event = report::event(kind, &segment, clock::wall(), &judged.observation, judged.judgement.verdict);
    (event.episode, event.detail) = (judged.episode, Some(detail.into()));
    world.told.tell(event);
}
