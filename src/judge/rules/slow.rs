//! `slow`: advancing, but below its own history, its peers or a configured floor. Slow but moving is never a hang.

use crate::judge::{Hints, Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(_: &Observation, _: &Policy, hints: &Hints) -> Option<Judgement> {
    hints.slow.then_some(Judgement::plain(Verdict::Slow))
}
