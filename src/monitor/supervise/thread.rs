//! The supervisor's thread: waits for exits, deadlines and questions; drives every replica.

use super::fleet::{Fleet, FleetEnd, ReplicaEnd};
use super::replica::{Replica, World};
use super::slots::Slots;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::judge::Severity;
use crate::monitor::report;
use crate::monitor::scan::{Judged, Poll};
use crate::os::wake::{Bell, wait_readable};
use crate::policy::Policy;
use crate::recover::Cap;
use crate::segment::Segment;
use crate::tell::{EventKind, Told};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Questions that may wait; each is asked again at the next poll while it stands, so a full queue loses nothing.
const QUEUE: usize = 4096;

#[derive(Debug)]
enum Ask {
    /// An acting verdict stands.
    Hung(Box<Judged>),
    /// A reserved slot was not claimed for its start budget.
    Unclaimed(u32),
    /// A worker advanced.
    Advanced(u32),
    /// Another policy is in force.
    Policy(Box<Policy>),
}

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
pub(in crate::monitor) struct Asker {
    queue: SyncSender<Ask>,
    bell: Arc<Bell>,
}

impl Asker {
    /// Another policy is in force; `false` where the supervisor is too far behind to be told.
    pub(in crate::monitor) fn set_policy(&self, policy: &Policy) -> bool {
        let told = self.queue.try_send(Ask::Policy(Box::new(policy.clone()))).is_ok();
        self.bell.ring();
        told
    }

    pub(in crate::monitor) fn ask(&self, poll: &Poll) {
        let hung = poll.judged.iter().filter(|judged| !poll.tick.gap && judged.judgement.severity == Severity::Acting);
        let advanced = poll.judged.iter().map(|judged| &judged.observation);
        let advanced = advanced.filter(|o| o.done.is_some() && o.ages.progress.is_some_and(|age| age.real == 0));
        let asks = hung.map(|judged| Ask::Hung(Box::new(judged.clone())));
        let asks = asks.chain(poll.unclaimed.iter().map(|slot| Ask::Unclaimed(*slot)));
        let mut rang = false;
        for ask in asks.chain(advanced.map(|o| Ask::Advanced(o.index))) {
            rang |= self.queue.try_send(ask).is_ok();
        }
        if rang {
            self.bell.ring();
        }
    }
}

/// A supervisor at work. Dropping it stops it and waits.
#[derive(Debug)]
pub(in crate::monitor) struct Running {
    queue: SyncSender<Ask>,
    stopper: Stopper,
    thread: Option<JoinHandle<FleetEnd>>,
    end: FleetEnd,
}

impl Running {
    pub(super) fn start(fleet: Fleet, segment: Arc<Segment>, policy: Policy, told: Told) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io("cannot supervise workers", &e);
        let bell = Arc::new(Bell::new().map_err(failed)?);
        let stopper = Stopper { asked: Arc::default(), bell: Arc::clone(&bell) };
        let slots = Slots::new(segment);
        let mut replicas = Vec::new();
        for number in 0..fleet.replicas {
            let Some(reserved) = slots.reserve_any() else {
                replicas.iter().map(Replica::reserved).for_each(|reserved| slots.unreserve(reserved));
                let why = format!("{number} of {} slots could be reserved, the others are taken", fleet.replicas);
                let error = Error::new(ErrorKind::Full, "cannot run workers", why);
                return Err(
                    error.hint(format!("see who has them with 'hangwatch status --segment {}'", slots.segment.path().display()))
                );
            };
            replicas.push(Replica::new(number, fleet.argv(number), fleet.restart, reserved));
        }
        let (queue, asks) = sync_channel(QUEUE);
        let told_would = vec![0; slots.segment.len() as usize];
        let supervisor = Supervisor {
            replicas,
            slots,
            policy,
            told,
            asks,
            stopper: stopper.clone(),
            stopped: 0,
            told_would,
            cap: Cap::default(),
            acts: fleet.acts,
            fleet,
        };
        let thread = std::thread::Builder::new().name("hangwatch-act".into()).spawn(move || supervisor.run()).map_err(failed)?;
        Ok(Self { queue, stopper, thread: Some(thread), end: FleetEnd::default() })
    }

    pub(in crate::monitor) fn asker(&self) -> Asker {
        Asker { queue: self.queue.clone(), bell: Arc::clone(&self.stopper.bell) }
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
    slots: Slots,
    policy: Policy,
    told: Told,
    asks: Receiver<Ask>,
    stopper: Stopper,
    stopped: u32,
    /// A slot's last episode, of a worker that is not ours, of which it was said what would be done.
    told_would: Vec<u64>,
    cap: Cap,
    acts: bool,
    fleet: Fleet,
}

impl Supervisor {
    fn run(mut self) -> FleetEnd {
        loop {
            self.turn();
            if let Some(end) = self.end() {
                return end;
            }
            self.wait();
        }
    }

    fn end(&self) -> Option<FleetEnd> {
        let ends: Option<Vec<ReplicaEnd>> = self.replicas.iter().map(|replica| replica.end().cloned()).collect();
        ends.map(|replicas| FleetEnd { replicas, ..FleetEnd::default() })
    }

    fn wait(&self) {
        let children: Vec<_> = self.replicas.iter().filter_map(Replica::child).collect();
        let mut fds = vec![self.stopper.bell.as_fd()];
        fds.extend(children.iter().map(|child| child.as_fd()));
        let deadline = self.replicas.iter().filter_map(Replica::deadline).min();
        let timeout = deadline.map(|at| Duration::from_nanos(at.saturating_sub(clock::monotonic_ns())));
        wait_readable(&fds, timeout);
        self.stopper.bell.silence();
    }

    fn turn(&mut self) {
        let now = clock::monotonic_ns();
        let asked = self.stopper.asked.load(Relaxed);
        let asks: Vec<Ask> = self.asks.try_iter().collect();
        if let Some(policy) = asks.iter().rev().find_map(|ask| if let Ask::Policy(policy) = ask { Some(policy) } else { None }) {
            self.policy = (**policy).clone();
        }
        let Self { replicas, slots, policy, told, told_would, cap, acts, fleet, .. } = self;
        let world = World { slots, policy, told, stopping: asked > 0, fleet };
        if asked > self.stopped {
            replicas.iter_mut().for_each(|replica| replica.stop(now, asked > 1, &world));
        }
        self.stopped = asked;
        // Exits before questions: a worker that has just ended is not hung.
        replicas.iter_mut().for_each(|replica| replica.advance(now, &world));
        let faulted = |replica: &Replica| matches!(replica.end(), Some(ReplicaEnd::GaveUp | ReplicaEnd::NotStarted(_)));
        if policy.exit_on_unhandled_faults && asked == 0 && replicas.iter().any(faulted) {
            self.stopper.stop();
        }
        for ask in asks {
            match ask {
                Ask::Policy(_) => {}
                Ask::Hung(judged) => {
                    let (index, owner) = (judged.observation.index, judged.observation.owner);
                    match replicas.iter_mut().find(|replica| replica.owns(index, owner, slots)) {
                        // A judgement of a former owner is about nobody who is here now.
                        Some(replica) if slots.slot(index).is_some_and(|slot| slot.peek_owner() == owner) => {
                            if judged.judgement.verdict.is_death() {
                                // Its exit is ours to see, through its pidfd.
                            } else if *acts {
                                // It is asked again at the next poll, while it stands.
                                if (!judged.frozen_with_all || cap.allows(now, policy)) && replica.hung(&judged, now, &world) {
                                    cap.begun(now);
                                }
                            } else {
                                would_act(&judged, &world, told_would, "this run observes only");
                            }
                        }
                        Some(_) => {}
                        None => not_ours(&judged, &world, told_would),
                    }
                }
                Ask::Unclaimed(index) => {
                    let replica = replicas.iter_mut().find(|replica| replica.reserved().index == index);
                    if let Some(replica) = replica.filter(|_| policy.require_attach) {
                        replica.unclaimed(now, &world);
                    }
                }
                Ask::Advanced(index) => {
                    let replica = replicas.iter_mut().find(|replica| replica.reserved().index == index);
                    replica.into_iter().for_each(|replica| replica.advanced(now, policy));
                }
            }
        }
    }
}

/// A worker that others spawned: the dead give their slot back, of the living it is said what would be done.
fn not_ours(judged: &Judged, world: &World<'_>, told_would: &mut [u64]) {
    let (o, verdict) = (&judged.observation, judged.judgement.verdict);
    if verdict.is_death() {
        if world.slots.free_if_dead(o.index) && o.job.is_some() {
            tell(EventKind::LostJob, judged, world, "its process ended with the job open");
        }
        return;
    }
    would_act(judged, world, told_would, "it is no child of this monitor, which acts on its own children only");
}

/// Says once an episode what would be done, and why it is not.
fn would_act(judged: &Judged, world: &World<'_>, told_would: &mut [u64], why: &str) {
    let Some(told) = told_would.get_mut(judged.observation.index as usize) else { return };
    let episode = judged.episode.unwrap_or(0);
    if *told != episode {
        *told = episode;
        tell(EventKind::WouldAct, judged, world, why);
    }
}

fn tell(kind: EventKind, judged: &Judged, world: &World<'_>, detail: &str) {
    let segment = world.slots.segment.path().display().to_string();
    let mut event = report::event(kind, &segment, clock::wall(), &judged.observation, judged.judgement.verdict);
    (event.episode, event.detail) = (judged.episode, Some(detail.into()));
    world.told.tell(event);
}
