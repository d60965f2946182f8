//! What comes after a process of a replica: whether another one does, when, and how it ended where none does.

use super::{Replica, State};
use crate::monitor::supervise::case::Case;
use crate::monitor::supervise::fleet::{ReplicaEnd, Restart};
use crate::monitor::supervise::reclaim::{self, Probe};
use crate::monitor::supervise::world::World;
use crate::os::file;
use crate::policy::ns;
use crate::recover::Exit;
use crate::tell::EventKind;
use crate::worker;
use std::time::Duration;

fn jitter() -> f64 {
    let mut byte = [128];
    // Without randomness the pause is the middle one.
    let _ = file::random(&mut byte);
    f64::from(byte[0]) / 255.0
}

impl Replica {
    /// Whether a worker that ended so is started again.
    pub(super) fn wants_again(&self, world: &World<'_>) -> impl Fn(&Case) -> bool + use<> {
        let (restart, over) = (self.restart, world.stopping || !world.slots.readable());
        let has_place = self.number < world.fleet.replicas;
        move |case| match restart {
            _ if over => false,
            _ if case.is_leftover() => has_place,
            Restart::Never => false,
            Restart::Always => true,
            Restart::OnFailure => case.was_hung() || case.exit() != Some(Exit::Code(0)),
        }
    }

    /// It cannot be ended and is replaced all the same: in another slot, for its own is set aside.
    pub(super) fn leave_behind(&mut self, world: &World<'_>) {
        let state = std::mem::replace(&mut self.state, State::Ended(ReplicaEnd::Unkillable));
        let State::Up(mut case) = state else { return };
        case.tell_lost(world);
        self.counts.lost_jobs += case.lost();
        self.before = Some(case.before());
        self.left.push(*case);
        // The slot is not asked for any longer.
        let asked_since = Some(world.now.saturating_sub(ns(world.policy.d_wait)));
        self.plan(asked_since, "its process cannot be ended", world);
    }

    /// Plans the next start, if the budget allows one.
    pub(super) fn plan(&mut self, asked_since: Option<u64>, how_it_ended: &str, world: &World<'_>) {
        let policy = world.policy;
        let Some(pause) = self.budget.restart(policy, jitter()) else {
            let detail = format!("{} restarts without sustained progress, the last time {how_it_ended}", self.budget.used());
            let hung = self.before.take().and_then(|before| before.hung);
            world.told.tell(self.event_about(hung.as_deref(), EventKind::GaveUp, world).with_detail(detail));
            world.slots.unreserve(self.reserved);
            self.state = State::Ended(ReplicaEnd::GaveUp);
            return;
        };
        let rest = policy.poll_interval.saturating_mul(u32::try_from(policy.cooldown_polls).unwrap_or(u32::MAX));
        let turn = world.ledger.borrow_mut().storm.restart(world.now, policy);
        if let Some(restarts) = turn.breaks_out {
            let (window, apart) = (policy.storm_window, policy.storm_window.div_f64(policy.storm_restarts.max(1) as f64));
            let detail = format!("{restarts} in {window:?}; from now on one in {apart:?}: rather the host than the workers");
            world.told.tell(world.event(EventKind::Storm).with_detail(detail));
        }
        let until = world.now.saturating_add(ns(pause.max(rest))).max(turn.not_before);
        tracing::info!(
            "worker {} starts again in {:.1}s, restart {} of {}",
            self.reserved.index,
            Duration::from_nanos(until.saturating_sub(world.now)).as_secs_f64(),
            self.budget.used(),
            policy.max_restarts
        );
        self.state = State::Waiting { until, asked_since };
    }

    /// All of it is gone: the next start is planned, if there is to be one.
    pub(super) fn gone(&mut self, world: &World<'_>) {
        let again = self.wants_again(world);
        let State::Up(case) = std::mem::replace(&mut self.state, State::Ended(ReplicaEnd::Stopped)) else { return };
        let (exit, was_hung, again) = (case.exit().unwrap_or(Exit::Unknown), case.was_hung(), again(&case));
        let is_leftover = case.is_leftover();
        let buried = case.bury(world);
        if again && is_leftover {
            // No restart of this supervisor's, but its first start.
            self.state = State::Waiting { until: world.now, asked_since: None };
            return;
        }
        if again {
            self.before = Some(buried);
            self.plan(None, &exit.to_string(), world);
            return;
        }
        world.slots.unreserve(self.reserved);
        self.state = State::Ended(match exit {
            _ if world.stopping => ReplicaEnd::Stopped,
            _ if was_hung => ReplicaEnd::Killed,
            Exit::Code(code) => ReplicaEnd::Code(code),
            Exit::Signal(signal) => ReplicaEnd::Signal(signal),
            Exit::Unknown => ReplicaEnd::Unknown,
        });
    }
}

/// Starts asking whether what a worker held is free, if somebody wants to know.
pub(super) fn is_reclaim_asked(number: u32, case: &Case, world: &World<'_>) -> bool {
    let Some(argv) = world.fleet.reclaim(number, case.pid()) else { return false };
    let variables = vec![(worker::ENV_DEVICE.to_owned(), world.fleet.device(number))];
    let probe = Probe { argv, variables, wait: world.policy.reclaim_wait };
    let asking = reclaim::ask(case.id(), probe, world.mail.clone());
    let probes = &mut world.ledger.borrow_mut().probes;
    probes.retain(|probe| !probe.is_finished());
    probes.extend(asking);
    true
}
