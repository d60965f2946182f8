//! `foreign`: beats of another generation, two polls running: a writer that lost its slot and does not know. Nothing beside
//! such beats can be trusted, so nobody is credited and nobody is signalled.

use crate::judge::{Hints, Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(o: &Observation, _: &Policy, _: &Hints) -> Option<Judgement> {
    o.foreign.then_some(Judgement::plain(Verdict::Foreign))
}
