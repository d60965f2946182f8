//! One replica: its place, what runs in it, its budget, and when the next one starts.

mod after;
mod start;

use super::case::{Buried, Case, Course};
use super::children::{Children, Record};
use super::fleet::{Fleet, ReplicaEnd, ReplicaReport, Restart};
use super::host::Answer;
use super::slots::{Of, Reserved, Slots};
use super::turn::OBSERVES_RUN;
use super::world::World;
use crate::evidence::Moment;
use crate::judge::Verdict;
use crate::layout::word::Owner;
use crate::monitor::scan::Judged;
use crate::policy::{Policy, ns};
use crate::recover::{Budget, NotAdopted, Tree};
use crate::tell::{Event, EventKind};
use std::sync::Arc;
use std::time::Duration;

/// A slot whose owner is not proven dead yet is asked again this soon.
const RETRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum State {
    /// Its next start is due at `until`; the slot may have to be waited for since then.
    Waiting {
        until: u64,
        asked_since: Option<u64>,
    },
    /// The host was asked to start it. Once all is to end its answer is waited for until then.
    Starting {
        answer: Arc<Answer>,
        until: Option<u64>,
    },
    Up(Box<Case>),
    Ended(ReplicaEnd),
}

#[derive(Debug)]
pub(super) struct Replica {
    number: u32,
    restart: Restart,
    reserved: Reserved,
    /// Some child was given this reservation.
    is_given: bool,
    /// A child that its host has made has time until then to claim its slot.
    claimed_by: Option<u64>,
    /// The scan has found this start's slot unclaimed for too long, its making included.
    is_late: bool,
    budget: Budget,
    state: State,
    before: Option<Buried>,
    /// Former processes of this replica that cannot be ended, where they are replaced all the same.
    left: Vec<Case>,
    is_device_told: bool,
    restarts: u64,
    counts: Counts,
}

/// Of this supervisor's time.
#[derive(Debug, Default)]
struct Counts {
    starts: u64,
    hangs: u64,
    lost_jobs: u64,
}

impl Replica {
    pub(super) fn new(number: u32, restart: Restart, reserved: Reserved) -> Self {
        Self {
            number,
            restart,
            reserved,
            is_given: false,
            claimed_by: None,
            is_late: false,
            budget: Budget::default(),
            state: State::Waiting { until: 0, asked_since: None },
            before: None,
            left: Vec::new(),
            is_device_told: false,
            restarts: 0,
            counts: Counts::default(),
        }
    }

    /// The child of a supervisor that is gone, if it is still there and provably the same process. Where a host has made it, or is
    /// to make all others, it is ended and its place is taken: what it was given leads to nobody any more.
    pub(super) fn adopted(record: &Record, restart: Restart, world: &World<'_>) -> Option<Self> {
        let mut tree = match Tree::adopt(record.pid, record.inode, record.starttime) {
            Ok(tree) => tree,
            Err(NotAdopted::Gone | NotAdopted::AnotherProcess) => return None,
            Err(e) => {
                let (pid, number) = (record.pid, record.replica);
                tracing::warn!("replica {number}: pid {pid} may still run, and is not taken over: {e}; another one is started");
                return None;
            }
        };
        let reserved = Reserved { index: record.slot, generation: record.generation };
        let mut replica = Self::new(record.replica, restart, reserved);
        replica.is_given = true;
        replica.restarts = record.restarts;
        replica.budget = Budget::with_used(record.used);
        // A reservation of the former supervisor's that nobody claimed yet is this one's.
        world.slots.take_over(reserved);
        tree.marked(&start::marks(reserved, world));
        let mut case = Case::new(tree, Of::Spawned(reserved), world.fleet.log(record.replica), world);
        if record.is_hosted || world.fleet.host().is_some() {
            case.end_leftover(world);
        } else {
            let detail = format!("pid {}, generation {}", record.pid, record.generation.wrapping_add(1));
            world.told.tell(case.event(EventKind::Adopted, world).with_detail(detail));
            replica.counts.starts = 1;
        }
        replica.state = State::Up(Box::new(case));
        Some(replica)
    }

    /// Its process, and former ones that cannot be ended.
    pub(super) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.up().into_iter().chain(&self.left)
    }

    fn up(&self) -> Option<&Case> {
        match &self.state {
            State::Up(case) => Some(case),
            _ => None,
        }
    }

    pub(super) fn up_mut(&mut self) -> Option<&mut Case> {
        match &mut self.state {
            State::Up(case) => Some(case),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> Option<&ReplicaEnd> {
        match &self.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    pub(super) fn report(&self) -> ReplicaReport {
        let Counts { starts, hangs, lost_jobs } = self.counts;
        ReplicaReport { end: self.end().cloned().unwrap_or(ReplicaEnd::Stopped), starts, hangs, lost_jobs }
    }

    /// What a successor of this supervisor is to look for.
    pub(super) fn record(&self, fleet: &Fleet) -> Option<Record> {
        let case = self.up().filter(|case| case.exit().is_none())?;
        Some(Record {
            starttime: case.tree().starttime(),
            pid: case.pid(),
            inode: case.tree().inode(),
            is_hosted: fleet.host().is_some() || case.is_leftover(),
            ..self.record_before_start()
        })
    }

    fn record_before_start(&self) -> Record {
        Record {
            replica: self.number,
            slot: self.reserved.index,
            generation: self.reserved.generation,
            restarts: self.restarts,
            used: self.budget.used(),
            starttime: 0,
            pid: 0,
            inode: 0,
            is_hosted: false,
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn is_up(&self) -> bool {
        self.up().is_some()
    }

    pub(super) fn reserved(&self) -> Reserved {
        self.reserved
    }

    /// The device that a process of it holds which cannot be ended.
    pub(super) fn held_device(&self, fleet: &Fleet) -> Option<String> {
        let holds = self.up().is_some_and(Case::is_unkillable) || !self.left.is_empty();
        holds.then(|| fleet.device(self.number))
    }

    /// When there is something to do though nothing happened: its next start is due, or is not waited for any longer.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Starting { until, .. } => until,
            State::Up(_) => self.claimed_by.filter(|_| self.is_late),
            State::Ended(_) => None,
        }
    }

    pub(super) fn owns(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        self.up().is_some_and(|case| case.owns(index, owner, slots))
    }

    /// Whether the slot is one of a former process that cannot be ended.
    pub(super) fn had(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        self.left.iter().any(|case| case.owns(index, owner, slots))
    }

    pub(super) fn advanced(&mut self, now: u64, policy: &Policy) {
        self.budget.advanced(now, policy);
    }

    /// A scan found it hung. Returns whether its recovery begins now.
    pub(super) fn hung(&mut self, judged: &Judged, history: &[Moment], world: &World<'_>) -> bool {
        let begins = self.up_mut().is_some_and(|case| case.hung(judged, history, world));
        if begins {
            self.counts.hangs += 1;
            world.hung(judged);
        }
        begins
    }

    /// A scan found its slot unclaimed for too long.
    pub(super) fn unclaimed(&mut self, world: &World<'_>) {
        self.is_late = true;
        self.end_unclaimed(world);
    }

    /// Ends a child whose own time to claim its slot is over, where policy wants it claimed; one that observes says so.
    fn end_unclaimed(&mut self, world: &World<'_>) {
        // Where there is no child yet nobody could be ended for it.
        if !self.is_late || !self.is_up() || self.claimed_by.is_some_and(|by| world.now < by) {
            return;
        }
        self.claimed_by = None;
        if !world.policy.require_attach || !world.slots.is_unclaimed(self.reserved) {
            return;
        }
        if !world.fleet.acts {
            let event = Event { verdict: Some(Verdict::NeverStarted), ..self.event(EventKind::WouldAct, world) };
            world.told.tell(event.with_detail(OBSERVES_RUN));
        } else if self.up_mut().is_some_and(|case| case.unclaimed(world)) {
            self.counts.hangs += 1;
        }
    }

    /// The supervisor is asked to stop; `at_once` without grace.
    pub(super) fn stop(&mut self, at_once: bool, world: &World<'_>) {
        match &mut self.state {
            State::Waiting { .. } => {
                world.slots.unreserve(self.reserved);
                self.state = State::Ended(ReplicaEnd::Stopped);
            }
            // It is ended once it is there, if ever.
            State::Starting { until, .. } => {
                let patience = if at_once { 0 } else { ns(world.policy.grace).saturating_add(ns(world.policy.d_wait)) };
                let due = world.now.saturating_add(patience);
                *until = Some(until.map_or(due, |until| until.min(due)));
            }
            State::Up(case) if at_once => case.hurry(world),
            State::Up(case) => case.end(world),
            State::Ended(_) => {}
        }
    }

    /// Deadlines that have come, and exits that have happened.
    pub(super) fn advance(&mut self, children: Option<&Children>, world: &World<'_>) {
        for mut case in std::mem::take(&mut self.left) {
            match case.advance(world) {
                Course::Going => self.left.push(case),
                Course::Swept | Course::Clear => drop(case.bury(world)),
            }
        }
        if let State::Waiting { until, .. } = self.state
            && world.now >= until
        {
            self.start(children, world);
        }
        self.take_answer(world);
        if self.claimed_by.is_some_and(|by| world.now >= by) {
            self.end_unclaimed(world);
        }
        let (again, number) = (self.wants_again(world), self.number);
        let Some(case) = self.up_mut() else { return };
        let had_exited = case.exit().is_some();
        let mut course = case.advance(world);
        if course == Course::Swept {
            if !(again(case) && after::is_reclaim_asked(number, case, world)) {
                case.reclaimed();
            }
            course = case.advance(world);
        }
        if world.stopping {
            // Nobody takes its place.
            case.reclaimed();
        }
        let (lost, has_exited) = (case.lost(), case.exit().is_some());
        let unkillable = case.is_unkillable();
        if has_exited && !had_exited {
            self.counts.lost_jobs += lost;
        }
        match course {
            Course::Clear => self.gone(world),
            _ if unkillable && world.stopping => self.state = State::Ended(ReplicaEnd::Unkillable),
            _ if unkillable && world.policy.respawn_unkillable => self.leave_behind(world),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
