//! `dead` and `zombie`: the process has exited without giving the slot back. Proof of death, never mere silence.

use crate::judge::{Hints, Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;
use crate::snapshot::Process;

pub(in crate::judge) fn judge(o: &Observation, _: &Policy, _: &Hints) -> Option<Judgement> {
    match o.probe.process {
        Process::Gone => Some(Judgement::plain(Verdict::Dead)),
        Process::Zombie => Some(Judgement::plain(Verdict::Zombie)),
        _ => None,
    }
}
