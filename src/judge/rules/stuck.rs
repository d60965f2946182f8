//! `looping` and `stalled`: in inference, and progress has not passed its mark for the progress budget, at any percentage.
//! Where it fell back since the mark rose, it is a retry loop; where it did not, it stands still.

use super::{if_spent, spent, warmed};
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::layout::phase::Phase;
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn clock(o: &Observation, policy: &Policy) -> Option<Spent> {
    // A count that reports no progress has no progress clock: it is judged by its heartbeat alone.
    let progress = o.ages.progress.filter(|_| o.phase == Phase::Inference && o.ever_beat)?;
    Some(spent("progress", progress, warmed(o, policy, policy.progress_timeout)))
}

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    if_spent(if o.fell_back { Verdict::Looping } else { Verdict::Stalled }, clock(o, policy)?)
}
