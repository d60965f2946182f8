//! A value as a file or a program gives it, before it is known whose it is.

use std::fmt;
use std::time::Duration;

use super::keys::Key;
use super::nearest;
use super::profile::{PROFILES, Profile};
use super::text::quoted;
use super::value::{Kind, Value};

/// A value of YAML, or of a language that has such values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Raw<'a> {
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// A time span: YAML has none.
    Duration(Duration),
}

/// Why a value is none of its key's, and how such a one is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `max_batch is 'many', expected a count`.
    pub why: String,
    /// A line that says what to write.
    pub hint: String,
}

impl Key {
    /// The value that is meant. Text is read as the environment's is, so quotes make no difference; a plain number of a duration
    /// is seconds.
    pub fn take(&self, raw: Raw<'_>) -> Option<Value> {
        match (self.kind, raw) {
            (_, Raw::Text(text)) => self.kind.parse(text),
            (Kind::Duration, Raw::Duration(met)) => Some(Value::Duration(met)),
            (Kind::Duration, Raw::Int(met)) => u64::try_from(met).ok().map(|met| Value::Duration(Duration::from_secs(met))),
            (Kind::Duration, Raw::Float(met)) => Duration::try_from_secs_f64(met).ok().map(Value::Duration),
            (Kind::Count, Raw::Int(met)) => u64::try_from(met).ok().map(Value::Count),
            (Kind::Factor, Raw::Int(met)) => Some(Value::Factor(met as f64)),
            (Kind::Factor, Raw::Float(met)) => Some(Value::Factor(met)),
            (Kind::Flag, Raw::Bool(met)) => Some(Value::Flag(met)),
            // An older YAML reads a bare `off` as `false`.
            (Kind::Choice(_), Raw::Bool(false)) => self.kind.choose("off"),
            _ => None,
        }
    }

    /// What to say where [`Self::take`] takes none; `met` is the value as it is shown.
    pub fn mismatch(&self, met: &dyn fmt::Display) -> Mismatch {
        let why = format!("{} is {met}, expected {}", self.name, self.kind.expected());
        Mismatch { why, hint: self.kind.forms().into() }
    }
}

impl Profile {
    /// The profile of that name; else why there is none.
    pub fn named(name: &str) -> Result<&'static Self, Mismatch> {
        Self::from_name(name).ok_or_else(|| {
            let names = || PROFILES.iter().map(|profile| profile.name);
            let hint = nearest::did_you_mean(name, names())
                .unwrap_or_else(|| format!("the profiles are {}", names().collect::<Vec<_>>().join(", ")));
            Mismatch { why: format!("there is no profile {}", quoted(name)), hint }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(name: &str, raw: Raw<'_>) -> Option<Value> {
        Key::from_name(name).unwrap().take(raw)
    }

    #[test]
    fn each_kind_takes_what_means_it_and_nothing_else() {
        let seconds = |met| Some(Value::Duration(Duration::from_secs_f64(met)));
        for (raw, value) in [
            (Raw::Int(80), seconds(80.0)),
            (Raw::Float(2.5), seconds(2.5)),
            (Raw::Text("1m"), seconds(60.0)),
            (Raw::Duration(Duration::from_millis(1)), seconds(0.001)),
            (Raw::Int(-1), None),
            (Raw::Float(-0.1), None),
            (Raw::Float(f64::NAN), None),
            (Raw::Bool(true), None),
        ] {
            assert_eq!(take("loading_timeout", raw), value, "{raw:?}");
        }
        assert_eq!(take("max_batch", Raw::Int(4)), Some(Value::Count(4)));
        assert_eq!(take("max_batch", Raw::Float(4.0)), None);
        assert_eq!(take("slow_factor", Raw::Int(4)), Some(Value::Factor(4.0)));
        assert_eq!(take("slow_factor", Raw::Duration(Duration::from_secs(4))), None, "a time is no factor");
        assert_eq!(take("require_attach", Raw::Bool(true)), Some(Value::Flag(true)));
        assert_eq!(take("require_attach", Raw::Int(1)), None);
        assert_eq!(take("adaptive", Raw::Bool(false)), Some(Value::Choice("off")));
        assert_eq!(take("adaptive", Raw::Bool(true)), None);
    }

    #[test]
    fn a_profile_that_there_is_not_is_told_with_the_nearest_or_with_all() {
        assert_eq!(Profile::named("mid-range").map(|profile| profile.name), Ok("mid-range"));
        assert_eq!(Profile::named("midrange").unwrap_err().hint, "did you mean 'mid-range'?");
        let none = Profile::named("colour").unwrap_err();
        assert_eq!(
            (none.why.as_str(), none.hint.as_str()),
            ("there is no profile 'colour'", "the profiles are high-end, mid-range, low-end")
        );
    }
}
