//! `idle`: waits for work or is done; no budget runs, whatever the ages.

use crate::judge::{Hints, Judgement, Verdict};
use crate::layout::phase::Class;
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    let class = match (o.phase.row(), o.user_phase.as_deref()) {
        (Some(row), _) => row.class,
        (None, Some(user)) => user.class,
        (None, None) => Class::Work,
    };
    let waits =
        class == Class::Idle || class == Class::Exit && policy.phase_budget(o.phase, 0, o.user_phase.as_deref()).is_none();
    waits.then_some(Judgement::plain(Verdict::Idle))
}
