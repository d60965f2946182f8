//! `never_started`: claimed, and not one beat within the start budget: a hook that was registered and is never called.

use super::{if_spent, spent};
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn clock(o: &Observation, policy: &Policy) -> Option<Spent> {
    (!o.ever_beat).then(|| spent("start", o.ages.claim, policy.starting_timeout))
}

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    if_spent(Verdict::NeverStarted, clock(o, policy)?)
}
