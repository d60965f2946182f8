//! `starved`: a budget is spent, but the machine is to blame for so much of it that it is stretched: the worker was runnable
//! and not given a CPU, or the host was under pressure, or the monitor's own polls were late. The evidence is in the ages:
//! `counted` is past the budget, `judged` is not. At `max_stretch` budgets the verdict beneath stands.

use super::running_clocks;
use crate::judge::{Hints, Judgement, Spent, Verdict};
use crate::observe::Observation;
use crate::policy::Policy;

pub(in crate::judge) fn judge(o: &Observation, policy: &Policy, _: &Hints) -> Option<Judgement> {
    let stretched = running_clocks(o, policy).find(|spent| spent.counted >= spent.budget)?;
    Some(Judgement::of(Verdict::Starved, Spent { age: stretched.counted, ..stretched }))
}
