//! Texts from shared memory and ages, made safe and short for people.

/// Whether a character does something else than to be seen: drives a terminal, ends a line for some who read it, or turns the
/// direction in which what stands after it is read.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Escapes what is not only seen, so that a hostile job name cannot drive a terminal, forge a log line or make another one of it.
pub fn escaped(text: &str) -> String {
    if !text.chars().any(acts) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if acts(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// `2.3s`, `65.7s`, `12m05s`, `3h04m`.
pub fn age(seconds: f64) -> String {
    if seconds < 600.0 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds as u64;
    if whole < 3600 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else {
        format!("{}h{:02}m", whole / 3600, whole % 3600 / 60)
    }
}

/// Units a second, or a minute where they are few: `12.5/s`, `0.8/s`, `5.4/min`.
pub fn rate(per_second: f64) -> String {
    if per_second < 0.1 { format!("{:.1}/min", per_second * 60.0) } else { format!("{per_second:.1}/s") }
}

/// `at 42% (21/50)`, `at 21`, or nothing before the first step.
pub fn progress(done: Option<u64>, total: Option<u64>) -> Option<String> {
    match (done, total) {
        (Some(done), Some(total)) if total > 0 => {
            let percent = u128::from(done) * 100 / u128::from(total);
            Some(format!("at {percent}% ({done}/{total})"))
        }
        (Some(done), _) => Some(format!("at {done}")),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_escape_in_a_name_is_shown_and_not_sent() {
        assert_eq!(escaped("a\u{1b}[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\\n\\u{9b}");
        assert_eq!(escaped("a\u{2028}b\u{202e}c"), "a\\u{2028}b\\u{202e}c", "nor is the order of what follows turned");
        assert_eq!(escaped("größe 寸法"), "größe 寸法");
    }

    #[test]
    fn ages_are_told_to_the_tenth_of_a_second_up_to_ten_minutes() {
        assert_eq!([age(2.34), age(65.7), age(725.0), age(11045.0)], ["2.3s", "65.7s", "12m05s", "3h04m"]);
    }

    #[test]
    fn a_rate_is_told_a_minute_where_it_would_be_nothing_a_second() {
        assert_eq!([rate(12.54), rate(0.8), rate(0.09), rate(0.0)], ["12.5/s", "0.8/s", "5.4/min", "0.0/min"]);
    }

    #[test]
    fn progress_is_told_with_its_numbers_and_never_overflows() {
        assert_eq!(progress(Some(21), Some(50)).as_deref(), Some("at 42% (21/50)"));
        assert_eq!(progress(Some(7), None).as_deref(), Some("at 7"));
        assert_eq!(progress(None, Some(50)), None);
        assert!(progress(Some(u64::MAX - 1), Some(3)).is_some());
    }
}
