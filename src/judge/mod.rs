//! One verdict a slot, with the age and the budget that prove it. Pure: an observation and a policy in, a judgement out.
//!
//! The rules stand in the order of precedence; the first that fires is the verdict, so where two clocks expire in one poll
//! the higher row wins. A new rule is one file and one line here.

mod rules;
mod verdict;

pub use verdict::{Severity, Verdict};

use crate::observe::Observation;
use crate::policy::Policy;

/// A verdict and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The clock that expired, if one did.
    pub spent: Option<Spent>,
    /// How much it matters: mostly the verdict's own.
    pub severity: Severity,
}

/// A budget that is spent: all in ns of the monitor's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which clock: `heartbeat`, `progress`, `start`, `phase`, `max_phase`, `deadline` or `learnt`.
    pub clock: &'static str,
    /// Its age, excused time left out.
    pub age: u64,
    /// Its age with the time that starvation excuses.
    pub counted: u64,
    /// Its budget.
    pub budget: u64,
}

impl Judgement {
    /// Nothing to say.
    pub const OK: Self = Self::plain(Verdict::Ok);

    const fn plain(verdict: Verdict) -> Self {
        Self { verdict, spent: None, severity: verdict.severity() }
    }

    const fn of(verdict: Verdict, spent: Spent) -> Self {
        Self { verdict, spent: Some(spent), severity: verdict.severity() }
    }
}

/// A rule fires or does not.
type Rule = fn(&Observation, &Policy, &Hints) -> Option<Judgement>;

/// In order of precedence.
const RULES: &[Rule] = &[
    rules::unkillable::judge,
    rules::exited::judge,
    rules::foreign::judge,
    rules::thread_gone::judge,
    rules::stopped::judge,
    rules::never_started::judge,
    rules::silent::judge,
    rules::stuck::judge,
    rules::overdue::judge,
    rules::starved::judge,
    rules::suspect::judge,
    rules::slow::judge,
    rules::idle::judge,
];

/// What those found that remember more than one slot's present: learnt thresholds and rates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints {
    /// A learnt threshold that is passed.
    pub suspicion: Option<Spent>,
    /// It is passed by so much that it may act, if the policy lets it.
    pub may_act: bool,
    /// The job is slow.
    pub slow: bool,
}

/// Judges one slot at one poll.
pub fn judge(observation: &Observation, policy: &Policy, hints: &Hints) -> Judgement {
    RULES.iter().find_map(|rule| rule(observation, policy, hints)).unwrap_or(Judgement::OK)
}

/// Every clock that runs for the slot now. Past half of a budget the process is looked at.
pub fn running_clocks<'a>(observation: &'a Observation, policy: &'a Policy) -> impl Iterator<Item = Spent> + 'a {
    rules::running_clocks(observation, policy)
}

/// Whether it waits for work or is done: no budget runs.
pub fn is_idle(observation: &Observation, policy: &Policy) -> bool {
    rules::idle::judge(observation, policy, &Hints::default()).is_some()
}

/// The clocks by number, for the slot's verdict word; 0 is none.
const CLOCKS: [&str; 8] = ["none", "start", "heartbeat", "progress", "phase", "max_phase", "deadline", "learnt"];

/// The number of a clock's name.
pub fn clock_number(clock: &str) -> u8 {
    CLOCKS.iter().position(|name| *name == clock).unwrap_or(0) as u8
}

/// The name of a clock's number; any byte is a value.
pub fn clock_name(number: u8) -> &'static str {
    CLOCKS.get(usize::from(number)).copied().unwrap_or("none")
}

#[cfg(test)]
mod tests;
