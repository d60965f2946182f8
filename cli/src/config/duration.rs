//! A duration of the command line; the library reads the text.

use std::time::Duration;

pub(crate) use hangwatch::policy::{DURATION_FORMS as FORMS, parse_duration as parse};

/// A text as a duration, for an argument of the command line.
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

    #[test]
    fn an_argument_that_is_no_duration_is_told_the_forms() {
        assert_eq!(argument("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(argument("soon"), Err(format!("expected a duration; {FORMS}")));
    }
}
