//! One replica: its child, its ladder, its budget, its slot.

use super::fleet::{Fleet, ReplicaEnd, Restart};
use super::slots::{Reserved, Slots};
use crate::error::Error;
use crate::layout::word::Owner;
use crate::monitor::report;
use crate::monitor::scan::Judged;
use crate::os::file;
use crate::policy::{Policy, ns};
use crate::reader::Reader;
use crate::recover::{Act, Budget, Child, Exit, Ladder};
use crate::tell::text::age;
use crate::tell::{Event, EventKind, Told};
use crate::{clock, worker};
use std::ffi::OsString;
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
    Up {
        child: Child,
        ladder: Ladder,
        hung: Option<Box<Judged>>,
    },
    Ended(ReplicaEnd),
}

/// What a replacement says of the process before.
#[derive(Debug, Default)]
struct Before {
    pid: Option<u32>,
    jobs: Vec<String>,
    /// What it was judged to be, if that is why it went.
    hung: Option<Box<Judged>>,
}

#[derive(Debug)]
pub(super) struct Replica {
    number: u32,
    argv: Vec<OsString>,
    restart: Restart,
    reserved: Reserved,
    budget: Budget,
    state: State,
    before: Before,
    restarts: u64,
}

/// What a replica needs of its supervisor.
pub(super) struct World<'a> {
    pub(super) slots: &'a Slots,
    pub(super) policy: &'a Policy,
    pub(super) told: &'a Told,
    pub(super) stopping: bool,
    pub(super) fleet: &'a Fleet,
}

fn jitter() -> f64 {
    let mut byte = [128];
    // Without randomness the pause is the middle one.
    let _ = file::random(&mut byte);
    f64::from(byte[0]) / 255.0
}

impl Replica {
    pub(super) fn new(number: u32, argv: Vec<OsString>, restart: Restart, reserved: Reserved) -> Self {
        let state = State::Waiting { until: 0, asked_since: None };
        Self { number, argv, restart, reserved, budget: Budget::default(), state, before: Before::default(), restarts: 0 }
    }

    pub(super) fn child(&self) -> Option<&Child> {
        match &self.state {
            State::Up { child, .. } => Some(child),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> Option<&ReplicaEnd> {
        match &self.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    pub(super) fn reserved(&self) -> Reserved {
        self.reserved
    }

    /// When there is something to do though nothing happened.
    pub(super) fn deadline(&self) -> Option<u64> {
        match &self.state {
            State::Waiting { until, .. } => Some(*until),
            State::Up { ladder, .. } => ladder.deadline(),
            State::Ended(_) => None,
        }
    }

    pub(super) fn owns(&self, index: u32, owner: Owner, slots: &Slots) -> bool {
        self.child().is_some_and(|child| slots.is_of_tree(index, owner, self.reserved, child.pid()))
    }

    pub(super) fn advanced(&mut self, now: u64, policy: &Policy) {
        self.budget.advanced(now, policy);
    }

    fn event(&self, kind: EventKind, world: &World<'_>) -> Event {
        let segment = world.slots.segment.path().display().to_string();
        Event { slot: Some(self.reserved.index), pid: self.child().map(Child::pid), ..Event::new(kind, segment, clock::wall()) }
    }

    /// The same with all that was judged, where it was.
    fn event_about(&self, judged: Option<&Judged>, kind: EventKind, world: &World<'_>) -> Event {
        let Some(judged) = judged else { return self.event(kind, world) };
        let segment = world.slots.segment.path().display().to_string();
        let event = report::event(kind, &segment, clock::wall(), &judged.observation, judged.judgement.verdict);
        Event { episode: judged.episode, detail: None, ..event }
    }

    /// A scan found it hung. Returns whether its recovery begins now.
    pub(super) fn hung(&mut self, judged: &Judged, now: u64, world: &World<'_>) -> bool {
        let State::Up { ladder, hung, .. } = &mut self.state else { return false };
        let Some(act) = ladder.begin(now) else { return false };
        *hung = Some(Box::new(judged.clone()));
        self.act(act, world);
        true
    }

    /// It was never claimed, and policy wants it claimed.
    pub(super) fn unclaimed(&mut self, now: u64, world: &World<'_>) {
        let act = match &mut self.state {
            State::Up { ladder, .. } => ladder.begin(now),
            _ => None,
        };
        act.into_iter().for_each(|act| self.act(act, world));
    }

    /// The supervisor is asked to stop; `at_once` without grace.
    pub(super) fn stop(&mut self, now: u64, at_once: bool, world: &World<'_>) {
        let act = match &mut self.state {
            State::Waiting { .. } => {
                world.slots.unreserve(self.reserved);
                self.state = State::Ended(ReplicaEnd::Stopped);
                None
            }
            State::Up { ladder, .. } if at_once => ladder.hurry(now),
            State::Up { ladder, .. } => ladder.begin(now),
            State::Ended(_) => None,
        };
        act.into_iter().for_each(|act| self.act(act, world));
    }

    fn act(&mut self, act: Act, world: &World<'_>) {
        let State::Up { child, hung, .. } = &self.state else { return };
        let pid = child.pid();
        let grace = age(world.policy.grace.as_secs_f64());
        let (kind, result, text) = match act {
            Act::Terminate => {
                // A worker that reads its command word may end its own way before the signal reaches it.
                world.slots.ask_to_stop(self.reserved, pid);
                let text = format!("SIGTERM to pid {pid} and its group, SIGKILL after {grace}");
                (EventKind::Action, child.terminate(), text)
            }
            Act::Kill => {
                (EventKind::Action, child.kill(), format!("SIGKILL to pid {pid} and its group: still there after SIGTERM"))
            }
            Act::ReportUnkillable => {
                let waited = age(world.policy.d_wait.as_secs_f64());
                let text =
                    format!("pid {pid} is still there {waited} after SIGKILL: it is not replaced while it may hold its device");
                (EventKind::Quarantined, Ok(()), text)
            }
        };
        let mut event = self.event_about(hung.as_deref(), kind, world);
        let text = if world.stopping && kind == EventKind::Action { format!("stopping: {text}") } else { text };
        report::add_detail(&mut event, text);
        if let Err(e) = result {
            report::add_detail(&mut event, Error::io("the signal failed", &e).to_string());
        }
        world.told.tell(event);
        if act == Act::ReportUnkillable && world.stopping {
            self.state = State::Ended(ReplicaEnd::Unkillable);
        }
    }

    /// Deadlines that have come, and an exit that has happened.
    pub(super) fn advance(&mut self, now: u64, world: &World<'_>) {
        if let State::Waiting { until, .. } = self.state
            && now >= until
        {
            self.start(now, world);
        }
        let State::Up { child, ladder, .. } = &mut self.state else { return };
        match child.exit() {
            Some(exit) => self.exited(exit, now, world),
            None => {
                let act = ladder.tick(now);
                act.into_iter().for_each(|act| self.act(act, world));
            }
        }
    }

    /// Reserves its slot and spawns it.
    fn start(&mut self, now: u64, world: &World<'_>) {
        let State::Waiting { asked_since, .. } = self.state else { return };
        if !world.slots.readable() {
            // Nobody could watch it.
            self.state = State::Ended(ReplicaEnd::Stopped);
            return;
        }
        let asked_since = asked_since.unwrap_or(now);
        let reserved = world.slots.reserve(self.reserved.index).or_else(|| {
            // Its last owner is not proven dead: it keeps the slot, and the replacement gets another one.
            let given_up = now.saturating_sub(asked_since) >= ns(world.policy.d_wait);
            let other = given_up.then(|| world.slots.reserve_any()).flatten()?;
            world.slots.quarantine(self.reserved.index);
            let detail = format!("its last owner is not proven dead; replica {} goes on in slot {}", self.number, other.index);
            world.told.tell(self.event(EventKind::Quarantined, world).with_detail(detail));
            Some(other)
        });
        let Some(reserved) = reserved else {
            self.state = State::Waiting { until: now.saturating_add(ns(RETRY)), asked_since: Some(asked_since) };
            return;
        };
        self.reserved = reserved;
        let mut variables = world.fleet.variables(self.number);
        variables.extend([
            (worker::ENV_SEGMENT.to_owned(), world.slots.segment.path().display().to_string()),
            (worker::ENV_SLOT.to_owned(), format!("{}:{}", reserved.index, reserved.generation)),
        ]);
        let log = world.fleet.open_log(self.number);
        match log.and_then(|log| Child::spawn(&self.argv, &variables, world.fleet.not_inherited(), log)) {
            Ok(child) => {
                let (pid, ladder) = (child.pid(), Ladder::new(ns(world.policy.grace), ns(world.policy.d_wait)));
                self.state = State::Up { child, ladder, hung: None };
                if let Some(before) = self.before.pid.take() {
                    self.tell_replaced(before, pid, world);
                }
            }
            Err(e) => {
                world.slots.unreserve(reserved);
                let program = self.argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
                self.state = State::Ended(ReplicaEnd::NotStarted(Error::io(format!("cannot start '{program}'"), &e).to_string()));
            }
        }
    }

    fn tell_replaced(&mut self, before: u32, pid: u32, world: &World<'_>) {
        self.restarts += 1;
        if let Some(slot) = world.slots.slot(self.reserved.index) {
            slot.publish_restarts(slot.peek_restarts().wrapping_add(1));
        }
        let generation = self.reserved.generation.wrapping_add(1);
        let lost = std::mem::take(&mut self.before.jobs);
        let mut detail = format!("pid {before} -> {pid}, generation {generation}");
        match lost.as_slice() {
            [] => {}
            [one] => detail += &format!(", job {one} lost"),
            many => detail += &format!(", jobs {} lost", many.join(", ")),
        }
        let hung = self.before.hung.take();
        let event = Event {
            slot: Some(self.reserved.index),
            generation: Some(generation),
            pid: Some(pid),
            job: lost.first().cloned(),
            ..self.event_about(hung.as_deref(), EventKind::Replaced, world)
        };
        world.told.tell(event.with_detail(detail));
    }

    /// The leader has exited: its tree goes with it, its open jobs are named, its slots freed, and the next start is planned.
    fn exited(&mut self, exit: Exit, now: u64, world: &World<'_>) {
        let State::Up { child, hung, .. } = std::mem::replace(&mut self.state, State::Ended(ReplicaEnd::Stopped)) else { return };
        let pid = child.pid();
        let tree = world.slots.of_tree(self.reserved, pid);
        let jobs = self.lost_jobs(&tree, hung.as_deref(), exit, world);
        child.reap();
        for (index, _) in tree {
            world.slots.free_if_dead(index);
        }
        self.before = Before { pid: Some(pid), jobs, hung };
        let was_hung = self.before.hung.is_some();
        let end = match exit {
            Exit::Code(code) => ReplicaEnd::Code(code),
            Exit::Signal(signal) => ReplicaEnd::Signal(signal),
        };
        let again = match self.restart {
            _ if world.stopping || !world.slots.readable() => false,
            Restart::Never => false,
            Restart::Always => true,
            Restart::OnFailure => was_hung || exit != Exit::Code(0),
        };
        if !again {
            world.slots.unreserve(self.reserved);
            let end = if world.stopping { ReplicaEnd::Stopped } else { end };
            self.state = State::Ended(if was_hung && !world.stopping { ReplicaEnd::Killed } else { end });
            return;
        }
        match self.budget.restart(world.policy, jitter()) {
            Some(pause) => {
                let rest =
                    world.policy.poll_interval.saturating_mul(u32::try_from(world.policy.cooldown_polls).unwrap_or(u32::MAX));
                self.state = State::Waiting { until: now.saturating_add(ns(pause.max(rest))), asked_since: None };
            }
            None => {
                let detail = format!("{} restarts without sustained progress, the last time {exit}", self.budget.used());
                let hung = self.before.hung.take();
                world.told.tell(self.event_about(hung.as_deref(), EventKind::GaveUp, world).with_detail(detail));
                world.slots.unreserve(self.reserved);
                self.state = State::Ended(ReplicaEnd::GaveUp);
            }
        }
    }

    /// One `lost_job` for each open job of the tree, the hung one marked. Returns their names.
    fn lost_jobs(&self, tree: &[(u32, Owner)], hung: Option<&Judged>, exit: Exit, world: &World<'_>) -> Vec<String> {
        let mut reader = Reader::new(std::sync::Arc::clone(&world.slots.segment));
        let segment = world.slots.segment.path().display().to_string();
        let mut lost = Vec::new();
        for (index, owner) in tree {
            let Some(snapshot) = reader.read(*index).filter(|s| s.owner == *owner) else { continue };
            let Some(mut event) = report::open_job(EventKind::LostJob, &segment, clock::wall(), &snapshot) else { continue };
            let of_hung = hung.filter(|judged| judged.observation.index == *index);
            event.episode = of_hung.and_then(|judged| judged.episode);
            event.verdict = of_hung.map(|judged| judged.judgement.verdict);
            event.detail = Some(match (of_hung, hung) {
                (Some(judged), _) => format!("its worker was {}", judged.judgement.verdict),
                (None, Some(judged)) => {
                    format!("in flight beside the {} job of slot {}", judged.judgement.verdict, judged.observation.index)
                }
                (None, None) => format!("its worker ended with {exit}"),
            });
            // The hung one first: it is the one that a replacement names.
            let at = if of_hung.is_some() { 0 } else { lost.len() };
            event.job.clone().into_iter().for_each(|job| lost.insert(at, job));
            world.told.tell(event);
        }
        lost
    }
}
