//! `thread_gone`: the claiming thread has ended while the process lives. A warning: a handle may have been sent to another
//! thread, which only its beats can show. It acts once a budget is spent, job or no job, and then it says why.
//!
//! A device's slot is nobody's thread: whoever made the lane may end, and the kernel goes on.

use super::running_clocks;
use crate::judge::{Hints, Judgement, Severity, Verdict};
use crate::layout::word::Kind;
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    if !o.probe.thread_gone || o.owner.kind() == Kind::Gpu {
        return None;
    }
    let spent = running_clocks(o, policy).find(|spent| spent.age >= spent.budget);
    let severity = if spent.is_some() { Severity::Acting } else { Severity::Warning };
    Some(Judgement { verdict: Verdict::ThreadGone, spent, severity })
}
