//! `stopped`: by a signal or a debugger. Somebody did it on purpose; it never acts, and no budget runs meanwhile.

use crate::judge::{Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;
use crate::snapshot::Process;

pub(in crate::judge) fn judge(o: &Observation, _: &Policy) -> Option<Judgement> {
    (o.process == Process::Stopped).then_some(Judgement::plain(Verdict::Stopped))
}
