//! `stopped`: by a signal or a debugger. Somebody did it on purpose; it never acts, and no budget runs meanwhile.

use crate::judge::{Hints, Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(o: &Observation, _: &Policy, _: &Hints) -> Option<Judgement> {
    o.probe.process.is_held().then_some(Judgement::plain(Verdict::Stopped))
}
