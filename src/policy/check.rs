//! What holds a policy together: each key within its bound, and the orderings between keys.

use std::fmt;
use std::time::Duration;

use super::keys::{Bound, KEYS, Key, Policy};
use super::value::{MAX_COUNT, MAX_DURATION, MAX_FACTOR, Value};

/// Under it a scan would be most of what the monitor does.
const MIN_POLL: Duration = Duration::from_millis(1);
/// Over it no budget of seconds could be kept.
const MAX_POLL: Duration = Duration::from_secs(60);

/// A value that does not hold, and the way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The key.
    pub key: &'static str,
    /// The value met.
    pub value: Value,
    /// The rule and the value expected.
    pub why: String,
    /// What to change.
    pub way_out: String,
    /// The other key that has a part in it.
    pub other: Option<&'static str>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.why)
    }
}

/// Pairs of durations of which the first is at most the second.
pub(super) const ORDERINGS: &[(&str, &str)] = &[("backoff", "backoff_max"), ("max_lease", "max_lease_sum")];

impl Policy {
    /// Every value that does not hold, in the order of the table. The policy is to be used only where there is none.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let single = KEYS.iter().filter(|key| !key.is_combined()).filter_map(|key| self.out_of_bounds(key));
        let pairs = ORDERINGS.iter().filter_map(|(low, high)| self.out_of_order(low, high));
        let problems: Vec<Problem> = single.chain(pairs).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn out_of_bounds(&self, key: &Key) -> Option<Problem> {
        let value = self.get(key.name)?;
        let problem = |why: String, way_out: String, other| Problem { key: key.name, value, why, way_out, other };
        if let Some(most) = over_the_most(value) {
            return Some(problem(format!("the most allowed is {most}"), format!("lower {} to {most} or less", key.name), None));
        }
        let least = |least: Value| {
            problem(format!("the least allowed is {least}"), format!("raise {} to {least} or more", key.name), None)
        };
        let poll = self.poll_interval;
        match (key.bound, value) {
            (Bound::Poll, Value::Duration(met)) if met < MIN_POLL => Some(least(Value::Duration(MIN_POLL))),
            (Bound::Poll, Value::Duration(met)) if met > MAX_POLL => {
                let most = Value::Duration(MAX_POLL);
                Some(problem(format!("the most allowed is {most}"), format!("lower {} to {most} or less", key.name), None))
            }
            (Bound::Budget, Value::Duration(met)) if met < self.two_polls() => Some(problem(
                format!(
                    "a threshold under twice the poll interval of {}, the least allowed is {}",
                    Value::Duration(poll),
                    Value::Duration(self.two_polls())
                ),
                lift_or_poll_faster(key.name, met, self.two_polls()),
                Some("poll_interval"),
            )),
            (Bound::Positive, Value::Duration(Duration::ZERO)) => {
                Some(problem("it must be more than zero".into(), format!("raise {}", key.name), None))
            }
            (Bound::FromOne, Value::Factor(met)) if met.is_nan() || met < 1.0 => Some(least(Value::Factor(1.0))),
            (Bound::Free, Value::Factor(met)) if met.is_nan() || met < 0.0 => Some(least(Value::Factor(0.0))),
            (Bound::FromOne, Value::Count(0)) => Some(least(Value::Count(1))),
            _ => None,
        }
    }

    fn out_of_order(&self, low: &'static str, high: &'static str) -> Option<Problem> {
        let (Some(value @ Value::Duration(met)), Some(Value::Duration(most))) = (self.get(low), self.get(high)) else {
            return None;
        };
        (met > most).then(|| Problem {
            key: low,
            value,
            why: format!("it is over {high}, which is {}", Value::Duration(most)),
            way_out: format!("lower {low}, or raise {high}"),
            other: Some(high),
        })
    }
}

fn over_the_most(value: Value) -> Option<Value> {
    match value {
        Value::Duration(met) => (met > MAX_DURATION).then_some(Value::Duration(MAX_DURATION)),
        Value::Count(met) => (met > MAX_COUNT).then_some(Value::Count(MAX_COUNT)),
        Value::Factor(met) => (met > MAX_FACTOR).then_some(Value::Factor(MAX_FACTOR)),
        Value::Flag(_) | Value::Choice(_) => None,
    }
}

fn lift_or_poll_faster(key: &str, met: Duration, least: Duration) -> String {
    let raise = format!("raise {key} to {} or more", Value::Duration(least));
    // Whole milliseconds: a finer figure would be no help.
    let poll = Duration::from_millis(u64::try_from((met / 2).as_millis()).unwrap_or(u64::MAX));
    if poll < MIN_POLL { raise } else { format!("{raise}, or lower poll_interval to {} or less", Value::Duration(poll)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(key: &str, value: Value) -> Vec<Problem> {
        let mut policy = Policy::default();
        policy.set(key, value).unwrap();
        policy.validate().err().unwrap_or_default()
    }

    /// The one problem of a policy that differs from the default in one key.
    fn problem(key: &str, value: Value) -> Problem {
        let mut all = problems(key, value);
        assert_eq!(all.len(), 1, "{key} = {value} is one problem: {all:?}");
        all.remove(0)
    }

    const fn ms(value: u64) -> Value {
        Value::Duration(Duration::from_millis(value))
    }

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Policy::default().validate(), Ok(()));
    }

    #[test]
    fn a_budget_under_two_polls_is_refused_and_one_of_two_polls_is_not() {
        for key in KEYS.iter().filter(|key| key.bound == Bound::Budget && !key.is_combined()) {
            let met = problem(key.name, ms(1999));
            assert_eq!(met.key, key.name);
            assert_eq!(met.why, "a threshold under twice the poll interval of 1s, the least allowed is 2s");
            assert_eq!(met.way_out, format!("raise {} to 2s or more, or lower poll_interval to 999ms or less", key.name));
            assert_eq!(met.other, Some("poll_interval"));
            assert_eq!(problems(key.name, ms(2000)), [], "{} of two polls holds", key.name);
        }
    }

    #[test]
    fn every_timeout_is_a_budget() {
        for key in KEYS.iter().filter(|key| key.name.ends_with("_timeout")) {
            assert_eq!(key.bound, Bound::Budget, "{} is a threshold that a poll must meet", key.name);
        }
    }

    #[test]
    fn a_budget_for_which_no_poll_is_short_enough_can_only_be_raised() {
        assert_eq!(problem("loading_timeout", ms(1)).way_out, "raise loading_timeout to 2s or more");
    }

    #[test]
    fn a_poll_interval_is_from_a_millisecond_to_a_minute() {
        assert_eq!(problem("poll_interval", ms(0)).why, "the least allowed is 1ms");
        assert_eq!(problems("poll_interval", ms(1)), []);
        assert_eq!(problems("poll_interval", ms(30_000)), []);
        let slow = problems("poll_interval", ms(60_001));
        assert_eq!(slow[0].to_string(), "poll_interval = 60001ms: the most allowed is 1m");
        assert_eq!(slow[0].way_out, "lower poll_interval to 1m or less");
        let minute = problems("poll_interval", ms(60_000));
        assert!(minute.iter().all(|p| p.key != "poll_interval"), "a minute is allowed where the budgets are: {minute:?}");
    }

    #[test]
    fn a_grace_of_nothing_is_refused() {
        for key in KEYS.iter().filter(|key| key.bound == Bound::Positive) {
            assert_eq!(problem(key.name, ms(0)).why, "it must be more than zero");
            assert_eq!(problems(key.name, ms(1)), []);
        }
        assert_eq!(Key::from_name("grace").map(|key| key.bound), Some(Bound::Positive));
    }

    #[test]
    fn a_factor_is_one_at_least_and_a_number() {
        for met in [0.99, 0.0, -5.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(problem("max_phase_factor", Value::Factor(met)).why, "the least allowed is 1", "{met}");
        }
        for met in [-0.1, f64::NAN] {
            assert_eq!(problem("slow_floor", Value::Factor(met)).why, "the least allowed is 0", "{met}");
        }
        assert_eq!(problem("max_phase_factor", Value::Factor(f64::INFINITY)).why, "the most allowed is 1000");
        assert_eq!(problems("max_phase_factor", Value::Factor(1.0)), []);
    }

    #[test]
    fn the_first_of_a_pair_is_at_most_the_second() {
        let met = problem("backoff", ms(300_001));
        assert_eq!(met.to_string(), "backoff = 300001ms: it is over backoff_max, which is 5m");
        assert_eq!(met.way_out, "lower backoff, or raise backoff_max");
        assert_eq!(problems("backoff", ms(300_000)), []);
        assert_eq!(problem("max_lease_sum", ms(1000)).key, "max_lease");
    }

    #[test]
    fn what_would_overflow_is_refused() {
        for key in KEYS.iter().filter(|key| !key.is_combined()) {
            let most = match Policy::default().get(key.name).unwrap() {
                Value::Duration(_) => Value::Duration(Duration::MAX),
                Value::Count(_) => Value::Count(u64::MAX),
                Value::Factor(_) => Value::Factor(f64::MAX),
                Value::Flag(_) | Value::Choice(_) => continue,
            };
            let all = problems(key.name, most);
            assert!(all.iter().any(|p| p.key == key.name && p.why.starts_with("the most allowed is")), "{all:?}");
        }
    }

    #[test]
    fn a_key_at_zero_holds_where_its_row_says_so() {
        for key in KEYS.iter().filter(|key| key.bound == Bound::Free) {
            let zero = match Policy::default().get(key.name).unwrap() {
                Value::Duration(_) => ms(0),
                Value::Count(_) => Value::Count(0),
                Value::Factor(_) => Value::Factor(0.0),
                Value::Flag(_) => Value::Flag(false),
                Value::Choice(_) => continue,
            };
            let all = problems(key.name, zero);
            assert!(all.iter().all(|p| p.key != key.name), "{all:?}");
        }
    }
}
