//! `overdue`: a phase's budget other than inference's is spent, the phase has lasted ten budgets in all, or a job's deadline
//! has passed. `alive` restarts none of them: a helper thread's beat must not hide a stuck load.

use super::{if_spent, spent};
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::layout::phase::{Class, Phase, Sign};
use crate::observe::{Age, Observation};
use crate::policy::Policy;
use std::time::Duration;

/// The sign of life that restarts the phase's budget.
fn sign(o: &Observation) -> Sign {
    match (o.phase.row(), o.user_phase.as_deref()) {
        (Some(row), _) => row.restarts_on,
        // A phase of the user's own: progress where it reports some.
        (None, Some(user)) if user.class == Class::Work => Sign::ProgressElseBeat,
        (None, _) => Sign::AnyBeat,
    }
}

/// Age of that sign.
fn sign_age(o: &Observation) -> Age {
    match (sign(o), o.ages.progress) {
        (Sign::ProgressElseBeat, Some(progress)) => progress.min(o.ages.phase),
        _ => o.ages.beat.min(o.ages.phase),
    }
}

pub(in crate::judge) fn clocks(o: &Observation, policy: &Policy) -> impl Iterator<Item = Spent> {
    let batch = o.info.as_ref().map_or(0, |info| info.batch);
    // Before the first beat the start budget is the only one that runs.
    let budget =
        policy.phase_budget(o.phase, batch, o.user_phase.as_deref()).filter(|_| o.phase != Phase::Inference && o.ever_beat);
    let phase = budget.map(|budget| spent("phase", sign_age(o), budget));
    // A count towards a known total cannot go on for ever: each unit of it must come within a budget.
    let bounds_itself = sign(o) == Sign::ProgressElseBeat && o.total.is_some();
    let limited = budget.filter(|_| !bounds_itself);
    let whole = limited.map(|budget| spent("max_phase", o.ages.phase, policy.phase_limit(budget)));
    let deadline_ns = o.info.as_ref().map_or(0, |info| info.deadline_ns);
    let deadline = o.ages.job.filter(|_| deadline_ns > 0).map(|age| spent("deadline", age, Duration::from_nanos(deadline_ns)));
    [phase, whole, deadline].into_iter().flatten()
}

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    clocks(o, policy).find_map(|spent| if_spent(Verdict::Overdue, spent))
}
