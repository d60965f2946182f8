//! `silent`: in inference, and neither beat, step nor alive for the heartbeat budget.
//!
//! A device that reports progress has no such clock: only its steps speak, its host's life is told by its host's own slot, and
//! so a silence of it is a stall. One that only beats has no other clock than this.

use super::{if_spent, spent, warmed};
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::layout::phase::Phase;
use crate::layout::word::Kind;
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn clock(o: &Observation, policy: &Policy) -> Option<Spent> {
    let stalls_instead = o.owner.kind() == Kind::Gpu && o.ages.progress.is_some();
    (o.phase == Phase::Inference && o.ever_beat && !stalls_instead)
        .then(|| spent("heartbeat", o.ages.heartbeat, warmed(o, policy, policy.heartbeat_timeout)))
}

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    if_spent(Verdict::Silent, clock(o, policy)?)
}
