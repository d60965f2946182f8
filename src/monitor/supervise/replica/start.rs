//! How a replica is started: whether it may be, in which slot, with which variables, and what is told of the one before.

use super::{RETRY, Replica, State};
use crate::error::{Error, ErrorKind};
use crate::judge::Verdict;
use crate::monitor::scan::Judged;
use crate::monitor::supervise::case::{Buried, Case, about};
use crate::monitor::supervise::children::Children;
use crate::monitor::supervise::fleet::ReplicaEnd;
use crate::monitor::supervise::host::{Start, Started};
use crate::monitor::supervise::slots::{Of, Reserved};
use crate::monitor::supervise::world::World;
use crate::policy::ns;
use crate::recover::{Journal, Spawn, Tree};
use crate::tell::text::escaped;
use crate::tell::{Event, EventKind};
use crate::worker;
use std::sync::Arc;

impl Replica {
    /// Reserves its slot and spawns it.
    pub(super) fn start(&mut self, children: Option<&Children>, world: &World<'_>) {
        let State::Waiting { asked_since, .. } = self.state else { return };
        if !world.slots.readable() {
            // Nobody could watch it.
            self.state = State::Ended(ReplicaEnd::Stopped);
            return;
        }
        if !world.slots.segment.presence().is_found() {
            let detail = "its segment's name is gone: a worker that is started now would make another one, where nobody looks";
            world.told.tell(self.event(EventKind::GaveUp, world).with_detail(detail));
            world.slots.unreserve(self.reserved);
            self.state = State::Ended(ReplicaEnd::GaveUp);
            return;
        }
        let asked_since = asked_since.unwrap_or(world.now);
        let again = State::Waiting { until: world.now.saturating_add(ns(RETRY)), asked_since: Some(asked_since) };
        let device = world.fleet.device(self.number);
        if world.held_devices.contains(&device) && !world.policy.respawn_unkillable {
            if !std::mem::replace(&mut self.is_device_told, true) {
                let detail =
                    format!("replica {} waits for device {device}, which a process holds that cannot be ended", self.number);
                world.told.tell(self.event(EventKind::Quarantined, world).with_detail(detail));
            }
            self.state = again;
            return;
        }
        self.is_device_told = false;
        let Some(reserved) = self.reserve(asked_since, world) else {
            self.state = again;
            return;
        };
        self.reserved = reserved;
        self.is_given = true;
        self.is_late = false;
        let variables = self.variables(world);
        if let Some(host) = world.fleet.host() {
            let bell = Arc::clone(&world.mail.bell);
            let (start, answer) = Start::new(self.number, variables, world.fleet.log(self.number), bell);
            self.state = State::Starting { answer, until: None };
            host.start(start);
            return;
        }
        let argv = world.fleet.argv(self.number);
        let words = self.record_before_start().words();
        let output = match world.fleet.open_log(self.number) {
            Ok(output) => output,
            Err(e) => return self.not_started(&Error::io("cannot open its log", &e), world),
        };
        let spawn = Spawn {
            argv: &argv,
            variables: &variables,
            without: world.fleet.not_inherited(),
            output: output.as_ref(),
            journal: children.map(|children| Journal { file: children.file(), words: &words }),
            cgroup: Some(world.cgroup(reserved)),
        };
        let spawned = Tree::spawn(&spawn).or_else(|e| match e.kind() {
            // No room for a line must not cost a worker.
            std::io::ErrorKind::StorageFull if spawn.journal.is_some() => {
                tracing::warn!(
                    "cannot write worker {} into the list of workers: {e}; a successor might not find it",
                    self.number
                );
                Tree::spawn(&Spawn { journal: None, ..spawn.clone() })
            }
            _ => Err(e),
        });
        match spawned {
            Ok(tree) => self.is_up_now(tree, world),
            Err(e) => {
                let program = argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
                self.not_started(&Error::io(format!("cannot start '{program}'"), &e), world);
            }
        }
    }

    /// What the host answered, if it has.
    pub(super) fn take_answer(&mut self, world: &World<'_>) {
        let State::Starting { answer, until } = &self.state else { return };
        let is_over = until.is_some_and(|until| world.now >= until);
        match answer.take().or_else(|| if is_over { answer.give_up() } else { None }) {
            None if is_over => {
                world.slots.unreserve(self.reserved);
                self.state = State::Ended(ReplicaEnd::Stopped);
            }
            None => {}
            Some(Started::Child(pid, fd)) => {
                let mut tree = Tree::of_host(fd, pid);
                tree.marked(&marks(self.reserved, world));
                self.is_up_now(tree, world);
                // The time to attach is the child's own: what its host took to make it is none of it.
                self.claimed_by = Some(world.now.saturating_add(ns(world.policy.starting_timeout)));
                if let Some(case) = self.up_mut().filter(|_| world.stopping) {
                    case.end(world);
                }
            }
            Some(_) if world.stopping => {
                world.slots.unreserve(self.reserved);
                self.state = State::Ended(ReplicaEnd::Stopped);
            }
            Some(Started::Ended) => self.plan(None, "it had ended before it could be watched", world),
            Some(Started::Failed(why)) => {
                self.not_started(&Error::new(ErrorKind::System, format!("cannot start worker {}", self.number), why), world);
            }
        }
    }

    fn is_up_now(&mut self, tree: Tree, world: &World<'_>) {
        let case = Case::new(tree, Of::Spawned(self.reserved), world.fleet.log(self.number), world);
        let pid = case.pid();
        self.claimed_by = None;
        self.counts.starts += 1;
        self.state = State::Up(Box::new(case));
        if let Some(before) = self.before.take() {
            self.tell_replaced(before, pid, world);
        }
    }

    /// It could not be started. The first time that is told as an error: its command may be mistyped. After that it is a failure like
    /// any other, for what is missing may come back: a program that is being replaced, room for one more process.
    fn not_started(&mut self, e: &Error, world: &World<'_>) {
        if self.counts.starts == 0 {
            world.slots.unreserve(self.reserved);
            self.state = State::Ended(ReplicaEnd::NotStarted(e.to_string()));
            return;
        }
        let why = escaped(&e.to_string());
        let event = Event { verdict: Some(Verdict::NeverStarted), ..self.event(EventKind::Opened, world) };
        world.told.tell(event.with_detail(&why));
        // Its reservation stays its own, and is made anew or given back.
        self.plan(None, &format!("it could not be started: {why}"), world);
    }

    fn reserve(&self, asked_since: u64, world: &World<'_>) -> Option<Reserved> {
        world.bury_owner(self.reserved.index);
        let reserved = world.slots.reserve(self.reserved.index);
        let is_old = self.is_given && reserved == Some(self.reserved);
        // Its own time to claim it, and nobody's but its own.
        let reserved = if is_old { world.slots.renew(self.reserved) } else { reserved };
        reserved.or_else(|| {
            // Its last owner is not proven dead, or somebody came meanwhile: he keeps the slot, the replacement gets another one.
            let given_up = world.now.saturating_sub(asked_since) >= ns(world.policy.d_wait);
            let other = given_up.then(|| world.slots.reserve_any()).flatten()?;
            if world.slots.quarantine(self.reserved) {
                let detail =
                    format!("its last owner is not proven dead; replica {} goes on in slot {}", self.number, other.index);
                world.told.tell(self.event(EventKind::Quarantined, world).with_detail(detail));
            }
            Some(other)
        })
    }

    fn variables(&self, world: &World<'_>) -> Vec<(String, String)> {
        let quarantined = world.ledger.borrow_mut().models.quarantined(world.now, world.policy).join("\n");
        let told = (worker::ENV_QUARANTINED_MODELS.to_owned(), quarantined);
        let of_fleet = world.fleet.variables(self.number).into_iter();
        of_fleet.chain(marks(self.reserved, world)).chain([told]).collect()
    }

    pub(in crate::monitor::supervise) fn event(&self, kind: EventKind, world: &World<'_>) -> Event {
        Event { slot: Some(self.reserved.index), ..world.event(kind) }
    }

    /// An event about what was judged, if that is the reason; else about its slot.
    pub(super) fn event_about(&self, hung: Option<&Judged>, kind: EventKind, world: &World<'_>) -> Event {
        hung.map_or_else(|| self.event(kind, world), |judged| about(judged, kind, world))
    }

    fn tell_replaced(&mut self, before: Buried, pid: u32, world: &World<'_>) {
        self.restarts += 1;
        if let Some(slot) = world.slots.slot(self.reserved.index) {
            slot.publish_restarts(slot.peek_restarts().wrapping_add(1));
        }
        let generation = self.reserved.generation.wrapping_add(1);
        let mut detail = format!("pid {} -> {pid}, generation {generation}", before.pid);
        match before.jobs.as_slice() {
            [] => {}
            [one] => detail += &format!(", job {one} lost"),
            many => detail += &format!(", jobs {} lost", many.join(", ")),
        }
        let event = Event {
            slot: Some(self.reserved.index),
            generation: Some(generation),
            pid: Some(pid),
            job: before.jobs.first().cloned(),
            ..self.event_about(before.hung.as_deref(), EventKind::Replaced, world)
        };
        world.told.tell(event.with_detail(detail));
    }
}

/// What tells a worker where it belongs, and whose tree an orphan is of.
pub(super) fn marks(reserved: Reserved, world: &World<'_>) -> Vec<(String, String)> {
    let segment = (worker::ENV_SEGMENT, world.slots.name());
    let slot = (worker::ENV_SLOT, format!("{}:{}", reserved.index, reserved.generation));
    [segment, slot].map(|(name, value)| (name.to_owned(), value)).into()
}
