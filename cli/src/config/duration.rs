//! A text as a duration: `2s`, `100ms`, `1h 30m`, or a plain number of seconds.

use std::time::Duration;

/// How a duration is written, for an error's hint and `--help`.
pub(crate) const FORMS: &str = "write it like 2s, 100ms, 10m or 1h 30m; a plain number is seconds";

/// More digits are no policy, and with these no sum of terms comes near 64 bits of seconds, where humantime would panic.
const MAX_DIGITS: usize = 10;
const MAX_TEXT: usize = 64;

/// `None` where it is no duration.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    if text.len() > MAX_TEXT || longest > Some(MAX_DIGITS) {
        return None;
    }
    let plain = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { seconds(text.parse().ok()?) } else { humantime::parse_duration(text).ok() }
}

/// The same for an argument of the command line.
pub(crate) fn argument(text: &str) -> Result<Duration, String> {
    parse(text).ok_or_else(|| format!("expected a duration; {FORMS}"))
}

/// A number of seconds, fractions included.
pub(super) fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangwatch::policy::Value;

    #[test]
    fn the_forms_of_the_hint_are_durations() {
        for (text, millis) in [("2s", 2000), ("100ms", 100), ("10m", 600_000), ("1h 30m", 5_400_000), ("1h30m", 5_400_000)] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert!(FORMS.contains("2s") && FORMS.contains("100ms") && FORMS.contains("10m") && FORMS.contains("1h 30m"));
    }

    #[test]
    fn a_plain_number_is_seconds_and_may_have_a_fraction() {
        for (text, millis) in [("80", 80_000), ("0.5", 500), (" 2 ", 2000), ("0", 0), ("1.5s", 1500)] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
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
            assert_eq!(parse(text), None, "'{text}'");
        }
        assert_eq!(parse(&"1s ".repeat(100)), None);
        assert!(parse("9999999999y 9999999999y 9999999999y 9999999999ns 9999999999s").is_some(), "no sum of terms overflows");
    }

    #[test]
    fn an_argument_that_is_no_duration_is_told_the_forms() {
        assert_eq!(argument("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(argument("soon"), Err(format!("expected a duration; {FORMS}")));
    }

    #[test]
    fn a_duration_reads_as_it_was_written() {
        for millis in [0, 1, 100, 1500, 2000, 80_000, 121_000, 600_000, 5_400_000, 86_400_000, 2_592_000_000] {
            let value = Duration::from_millis(millis);
            assert_eq!(parse(&Value::Duration(value).to_string()), Some(value), "{value:?}");
        }
    }
}
