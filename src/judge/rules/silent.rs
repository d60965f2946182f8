//! `silent`: in inference, and neither beat, step nor alive for the heartbeat budget.

use super::{if_spent, spent, warmed};
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::layout::phase::Phase;
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn clock(o: &Observation, policy: &Policy) -> Option<Spent> {
    (o.phase == Phase::Inference && o.ever_beat)
        .then(|| spent("heartbeat", o.ages.heartbeat, warmed(o, policy, policy.heartbeat_timeout)))
}

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    if_spent(Verdict::Silent, clock(o, policy)?)
}
