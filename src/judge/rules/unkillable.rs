//! `unkillable`: SIGKILL has been pending in uninterruptible sleep for `d_wait`, at every look. State D alone says nothing: most
//! sleeps in it end at once when a SIGKILL comes.

use crate::judge::{Hints, Judgement, Verdict};
use crate::observe::Observation;
use crate::policy::{Policy, ns};

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    o.unkillable.filter(|pending| *pending >= ns(policy.d_wait)).map(|_| Judgement::plain(Verdict::Unkillable))
}
