//! The rules, a file each.

pub(super) mod exited;
pub(super) mod foreign;
pub(super) mod idle;
pub(super) mod never_started;
pub(super) mod overdue;
pub(super) mod silent;
pub(super) mod slow;
pub(super) mod starved;
pub(super) mod stopped;
pub(super) mod stuck;
pub(super) mod suspect;
pub(super) mod thread_gone;
pub(super) mod unkillable;

use super::{Judgement, Spent, Verdict};
use crate::observe::{Age, Observation};
use crate::policy::{Policy, ns};
use std::time::Duration;

/// A clock against its budget.
fn spent(clock: &'static str, age: Age, budget: Duration) -> Spent {
    Spent { clock, age: age.judged, counted: age.counted, budget: ns(budget) }
}

/// Fires where the budget is spent.
fn if_spent(verdict: Verdict, spent: Spent) -> Option<Judgement> {
    (spent.age >= spent.budget).then_some(Judgement::of(verdict, spent))
}

/// The budget of a job's first units, which compile and warm up, or the usual one.
fn warmed(o: &Observation, policy: &Policy, usual: Duration) -> Duration {
    if o.job.is_some() { policy.warmed(usual, o.done.unwrap_or(0)) } else { usual }
}

/// Every clock that runs for the slot now.
pub(super) fn running_clocks<'a>(o: &'a Observation, policy: &'a Policy) -> impl Iterator<Item = Spent> + 'a {
    never_started::clock(o, policy)
        .into_iter()
        .chain(silent::clock(o, policy))
        .chain(stuck::clock(o, policy))
        .chain(overdue::clocks(o, policy))
}
