//! `suspect`: a learnt threshold is passed. A warning with its evidence; it acts only where the policy says `adaptive: act`,
//! and then no earlier than the learnt threshold for acting. A job that is known to be slow is late by nature: up to that same
//! threshold `slow` says it better, and an episode does not open and close at each of its steps.

use crate::judge::{Hints, Judgement, Severity, Verdict};
use crate::observe::Observation;
use crate::policy::{Adaptive, Policy};

pub(in crate::judge) fn judge(_: &Observation, policy: &Policy, hints: &Hints) -> Option<Judgement> {
    let spent = hints.suspicion.filter(|_| hints.may_act || !hints.slow)?;
    let severity = match policy.adaptive {
        Adaptive::Off => return None,
        Adaptive::Act if hints.may_act => Severity::Acting,
        Adaptive::Act | Adaptive::Suspect => Severity::Warning,
    };
    Some(Judgement { verdict: Verdict::Suspect, spent: Some(spent), severity })
}
