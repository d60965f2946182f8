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
