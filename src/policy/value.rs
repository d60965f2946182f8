//! What a policy key can hold, and how it is written.

use std::fmt;
use std::time::Duration;

/// The longest duration of a policy: beyond it stands a slip of a unit, and every product of a policy stays far below the
/// 584 years that 64 bits of nanoseconds hold.
pub const MAX_DURATION: Duration = Duration::from_secs(30 * 86_400);
/// The largest count: it fits the 32 bits by which a `Duration` can be multiplied.
pub const MAX_COUNT: u64 = 1_000_000;
/// The largest factor.
pub const MAX_FACTOR: f64 = 1000.0;

/// A policy's duration in ns, as the monitor's clock counts: 584 years and more are 584 years.
pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A time span.
    Duration,
    /// A whole number.
    Count,
    /// A number with a fraction.
    Factor,
    /// Yes or no.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// With its article, for an error: what is expected where something else was met.
    pub fn expected(self) -> String {
        match self {
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            _ => format!("a {self}"),
        }
    }

    /// The value of this kind that a word stands for, in upper or lower case; `None` where this is no choice of it.
    pub fn choose(self, word: &str) -> Option<Value> {
        let Self::Choice(words) = self else { return None };
        words.iter().find(|known| known.eq_ignore_ascii_case(word)).map(|known| Value::Choice(known))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "duration",
            Self::Count => "count",
            Self::Factor => "factor",
            Self::Flag => "flag",
            Self::Choice(_) => "choice",
        })
    }
}

/// A value of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A time span.
    Duration(Duration),
    /// A whole number.
    Count(u64),
    /// A number with a fraction.
    Factor(f64),
    /// Yes or no.
    Flag(bool),
    /// A word.
    Choice(&'static str),
}

impl Value {
    /// What it is, for an error about a key that holds something else.
    pub(super) fn met(self) -> &'static str {
        match self {
            Self::Duration(_) => "a duration",
            Self::Count(_) => "a count",
            Self::Factor(_) => "a factor",
            Self::Flag(_) => "a flag",
            Self::Choice(_) => "another word",
        }
    }
}

/// As a configuration file takes it: a duration in the largest unit that leaves no fraction.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(value) => write_duration(f, *value),
            Self::Count(value) => write!(f, "{value}"),
            Self::Factor(value) => write!(f, "{value}"),
            Self::Flag(value) => write!(f, "{value}"),
            Self::Choice(word) => f.write_str(word),
        }
    }
}

fn write_duration(f: &mut fmt::Formatter<'_>, value: Duration) -> fmt::Result {
    const UNITS: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = value.as_nanos();
    if nanos == 0 {
        return f.write_str("0s");
    }
    let (size, unit) = UNITS.into_iter().find(|(size, _)| nanos.is_multiple_of(*size)).unwrap_or((1, "ns"));
    write!(f, "{}{unit}", nanos / size)
}

/// The types of a policy's fields.
pub(super) trait Field: Copy {
    const KIND: Kind;
    fn to_value(self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! field {
    ($type:ty, $kind:ident) => {
        impl Field for $type {
            const KIND: Kind = Kind::$kind;
            fn to_value(self) -> Value {
                Value::$kind(self)
            }
            fn from_value(value: Value) -> Option<Self> {
                if let Value::$kind(value) = value { Some(value) } else { None }
            }
        }
    };
}

field!(Duration, Duration);
field!(u64, Count);
field!(f64, Factor);
field!(bool, Flag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_the_largest_unit_that_leaves_no_fraction() {
        for (value, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(100), "100ms"),
            (Duration::from_millis(1500), "1500ms"),
            (Duration::from_nanos(1), "1ns"),
            (Duration::from_micros(3), "3us"),
            (Duration::from_secs(80), "80s"),
            (Duration::from_secs(600), "10m"),
            (Duration::from_secs(7200), "2h"),
            (MAX_DURATION, "30d"),
        ] {
            assert_eq!(Value::Duration(value).to_string(), text);
        }
    }

    #[test]
    fn the_largest_products_of_a_policy_fit_64_bits_of_nanoseconds() {
        let product = MAX_DURATION.as_nanos() as f64 * MAX_FACTOR;
        assert!(product < u64::MAX as f64, "a phase limit of {product} ns overflows the accumulated clock");
        assert!(u32::try_from(MAX_COUNT).is_ok(), "a count multiplies a Duration");
    }
}
