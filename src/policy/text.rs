//! Text as a key's value, the same for a file, the environment, a flag and a binding of another language.

use super::keys::{KEYS, Key};
use super::nearest::did_you_mean;
use super::value::{Kind, Value};
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// How a duration is written, for an error's hint and `--help`.
pub const DURATION_FORMS: &str = "write it like 2s, 100ms, 10m or 1h 30m; a plain number is seconds";

/// More digits are no policy, and with these no sum of terms comes near 64 bits of seconds, where humantime would panic.
const MAX_DIGITS: usize = 10;
const MAX_TEXT: usize = 64;

/// A text as a duration: `2s`, `100ms`, `1h 30m`, or a plain number of seconds. `None` where it is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    if text.len() > MAX_TEXT || longest > Some(MAX_DIGITS) {
        return None;
    }
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { Duration::try_from_secs_f64(text.parse().ok()?).ok() } else { humantime::parse_duration(text).ok() }
}

/// A text as an error shows it: escaped, and short.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("'{}{rest}'", shown.escape_debug())
}

impl Kind {
    /// A text as a value of this kind; `None` where it is none.
    pub fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Self::Duration => parse_duration(text).map(Value::Duration),
            Self::Count => text.parse().ok().map(Value::Count),
            Self::Factor => text.parse().ok().filter(|met: &f64| met.is_finite()).map(Value::Factor),
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(Value::Flag(true)),
                "false" | "no" | "off" | "0" => Some(Value::Flag(false)),
                _ => None,
            },
            Self::Choice(_) => self.choose(text),
        }
    }

    /// How such a value is written, for a hint.
    pub fn forms(self) -> &'static str {
        match self {
            Self::Duration => DURATION_FORMS,
            Self::Count => "write a whole number, such as 4",
            Self::Factor => "write a number, such as 10 or 2.5",
            Self::Flag => "write true or false",
            Self::Choice(_) => "write one of these words",
        }
    }
}

impl Key {
    /// The key of that name and the value that the text stands for; else an error that names both and how it is written.
    pub fn parse(name: &str, text: &str) -> Result<(&'static Self, Value)> {
        let what = || format!("cannot set policy key {}", quoted(name));
        let key =
            Self::from_name(name).ok_or_else(|| {
                let near = did_you_mean(name, KEYS.iter().map(|key| key.name));
                Error::new(ErrorKind::Usage, what(), "there is no such key").hint(near.unwrap_or_else(|| {
                    "the keys are those of the policy table, such as progress_timeout: see docs/policy.md".into()
                }))
            })?;
        let value = key.kind.parse(text).ok_or_else(|| {
            Error::new(ErrorKind::Usage, what(), format!("{} is no value of it, expected {}", quoted(text), key.kind.expected()))
                .hint(key.kind.forms())
        })?;
        Ok((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_hint_are_durations() {
        for (text, millis) in [("2s", 2000), ("100ms", 100), ("10m", 600_000), ("1h 30m", 5_400_000), ("1h30m", 5_400_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert!(
            DURATION_FORMS.contains("2s")
                && DURATION_FORMS.contains("100ms")
                && DURATION_FORMS.contains("10m")
                && DURATION_FORMS.contains("1h 30m")
        );
    }

    #[test]
    fn a_plain_number_is_seconds_and_may_have_a_fraction() {
        for (text, millis) in [("80", 80_000), ("0.5", 500), (" 2 ", 2000), ("0", 0), ("1.5s", 1500)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_none_and_never_a_panic() {
        for text in [
            "",
            " ",
            "s",
            "-5",
            "-5s",
            "+5s",
            "80 parsecs",
            "1:30",
            "1.2.3",
            ".5",
            "nan",
            "inf",
            "infinity",
            "1e3",
            "ten seconds",
            "5s!",
            "18446744073709551615s 1000000000ns",
            "99999999999999999999",
            "٣s",
        ] {
            assert_eq!(parse_duration(text), None, "'{text}'");
        }
        assert_eq!(parse_duration(&"1s ".repeat(100)), None);
        assert!(
            parse_duration("9999999999y 9999999999y 9999999999y 9999999999ns 9999999999s").is_some(),
            "no sum of terms overflows"
        );
    }

    #[test]
    fn a_duration_reads_as_it_was_written() {
        for millis in [0, 1, 100, 1500, 2000, 80_000, 121_000, 600_000, 5_400_000, 86_400_000, 2_592_000_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(parse_duration(&Value::Duration(value).to_string()), Some(value), "{value:?}");
        }
    }

    #[test]
    fn a_key_takes_its_value_as_text_and_an_error_names_both_and_the_form() {
        let (key, value) = Key::parse("progress_timeout", "10m").unwrap();
        assert_eq!((key.name, value), ("progress_timeout", Value::Duration(Duration::from_secs(600))));
        assert_eq!(Key::parse("respawn_unkillable", "yes").unwrap().1, Value::Flag(true));
        assert_eq!(Key::parse("adaptive", "ACT").unwrap().1, Value::Choice("act"));
        let refused = |name: &str, text: &str| Key::parse(name, text).unwrap_err().to_string();
        assert_eq!(
            refused("max_batch", "many\n"),
            "cannot set policy key 'max_batch': 'many\\n' is no value of it, expected a count\n  write a whole number, such as 4"
        );
        assert!(refused("progres_timeout", "1s").ends_with("there is no such key\n  did you mean 'progress_timeout'?"));
        assert!(refused("colour", "1s").contains("'colour': there is no such key\n  the keys are"));
    }
}
