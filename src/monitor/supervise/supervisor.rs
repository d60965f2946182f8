//! What the supervisor's thread does: waits for exits, deadlines and questions, and gives every replica and ward its turn.

use super::children::{Children, Record};
use super::fleet::{Fleet, FleetEnd, ReplicaEnd, Restart};
use super::ledger::Ledger;
use super::mail::{Ask, Mail};
use super::replica::Replica;
use super::slots::Slots;
use super::thread::Stopper;
use super::turn::Parts;
use super::wards::Wards;
use super::world::World;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::Gatherer;
use crate::os::children;
use crate::os::wake::wait_readable;
use crate::policy::Policy;
use crate::recover::Cap;
use crate::tell::Told;
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How often orphans that have ended are looked for.
const ORPHANS: Duration = Duration::from_secs(1);

/// The thread's own.
pub(super) struct Supervisor {
    pub(super) replicas: Vec<Replica>,
    pub(super) fleet: Fleet,
    pub(super) slots: Slots,
    /// Where it cannot be written, nobody is found again.
    pub(super) children: Option<Children>,
    pub(super) policy: Policy,
    pub(super) told: Told,
    pub(super) mail: Mail,
    pub(super) asks: Receiver<Ask>,
    pub(super) stopper: Stopper,
    pub(super) stopped: u32,
    /// A slot's last episode of which it was said what would be done.
    pub(super) told_would: Vec<u64>,
    pub(super) cap: Cap,
    pub(super) ledger: RefCell<Ledger>,
    pub(super) gatherer: Option<Gatherer>,
    /// Of a monitor that acts on workers that others spawned.
    pub(super) wards: Option<Wards>,
    /// It ends when all that it spawned has; else when it is asked to.
    pub(super) spawns: bool,
}

impl Supervisor {
    /// Takes over who runs already, and sets a slot aside for everyone who is missing.
    pub(super) fn man(&mut self) -> Result<()> {
        let records = self.children.as_ref().map_or_else(Vec::new, |children| children.records().to_vec());
        let fleet = self.fleet.clone();
        let mut replicas: Vec<Replica> = Vec::new();
        self.turn(|_, world| {
            // One that the fleet has no place for any more is left to its work, and is not started again.
            let adopt = |record: &Record| {
                let restart = if record.replica < fleet.replicas { fleet.restart } else { Restart::Never };
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

    pub(super) fn run(mut self) -> FleetEnd {
        loop {
            self.step();
            if let Some(end) = self.end() {
                if let Some(children) = &self.children {
                    children.remove();
                }
                // Asked to end already; else their commands would outlive this process.
                self.mail.stopping.ring();
                for probe in self.ledger.get_mut().probes.drain(..) {
                    let _ = probe.join();
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
        let replicas: Vec<ReplicaEnd> = self.replicas.iter().map(|replica| replica.end().cloned()).collect::<Option<_>>()?;
        let reports = self.replicas.iter().map(Replica::report).collect();
        Some(FleetEnd { replicas, reports, models: self.ledger.borrow().reports() })
    }

    fn wait(&self) {
        let cases = || self.replicas.iter().flat_map(Replica::cases).chain(self.wards.iter().flat_map(Wards::cases));
        let mut fds = vec![self.mail.bell.as_fd()];
        fds.extend(cases().filter(|case| case.exit().is_none() && !case.is_untold()).map(|case| case.tree().as_fd()));
        let now = clock::monotonic_ns();
        let due = cases().filter_map(|case| case.deadline(now)).chain(self.replicas.iter().filter_map(Replica::deadline)).min();
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
        let asked = self.stopper.asked();
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
        if asked > 0 {
            self.mail.stopping.ring();
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
        let records: Vec<Record> = self.replicas.iter().filter_map(|replica| replica.record(&self.fleet)).collect();
        if let Some(Err(e)) = self.children.as_mut().map(|children| children.keep(records)) {
            tracing::warn!(
                "cannot keep the list of workers: {e}; were this supervisor killed, its successor might not find them"
            );
        }
    }
}
