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
}

/// A budget that is spent: all in ns of the monitor's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which clock: `heartbeat`, `progress`, `start`, `phase`, `max_phase` or `deadline`.
    pub clock: &'static str,
    /// Its age, excused time left out.
    pub age: u64,
    /// Its budget.
    pub budget: u64,
}

impl Judgement {
    const fn plain(verdict: Verdict) -> Self {
        Self { verdict, spent: None }
    }
}

/// A rule fires or does not.
type Rule = fn(&Observation, &Policy) -> Option<Judgement>;

/// In order of precedence.
const RULES: &[Rule] = &[
    rules::exited::judge,
    rules::stopped::judge,
    rules::never_started::judge,
    rules::silent::judge,
    rules::stuck::judge,
    rules::overdue::judge,
    rules::idle::judge,
];

/// Judges one slot at one poll.
pub fn judge(observation: &Observation, policy: &Policy) -> Judgement {
    RULES.iter().find_map(|rule| rule(observation, policy)).unwrap_or(Judgement::plain(Verdict::Ok))
}

/// The least share of a budget that any clock of the slot has left, 0 to 1: below a half the process is looked at.
pub fn budget_left(observation: &Observation, policy: &Policy) -> f64 {
    rules::running_clocks(observation, policy)
        .map(|spent| 1.0 - (spent.age as f64 / spent.budget.max(1) as f64).min(1.0))
        .fold(1.0, f64::min)
}

/// The clocks by number, for the slot's verdict word; 0 is none.
const CLOCKS: [&str; 7] = ["none", "start", "heartbeat", "progress", "phase", "max_phase", "deadline"];

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
