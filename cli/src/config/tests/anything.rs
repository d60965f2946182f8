//! Whatever a configuration file holds, it is a policy or a sentence of one line a line, which drives no terminal.

use super::*;
use proptest::prelude::*;

/// Lines that are almost those of a policy: keys of every kind, values of every kind, and what is none.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => (0..KEYS.len()).prop_map(|at| KEYS[at].name.to_owned()),
        1 => prop::sample::select(&["models", "workers", "hooks", "ping", "profile", "hangwatch", "preload_timeout", "max_batch"][..])
            .prop_map(str::to_owned),
        1 => "[\\PC\u{1b}\u{9b}\u{202e}]{1,12}",
    ];
    let value = prop_oneof![
        2 => "[0-9]{1,20}(ms|s|m|h|%|x)?",
        1 => "-?[0-9]{1,3}\\.[0-9]{1,20}(e-?[0-9]{1,4})?",
        1 => prop::sample::select(&["true", "no", "null", ".nan", ".inf", "off", "act", "[", "{a: [", "*a", "&a [*a]", "!!x y", "|"][..])
            .prop_map(str::to_owned),
        1 => "\"[^\"\\\\]{0,20}\"",
        1 => "\"\\\\(x1b|u202e|n|e)[a-z]{0,5}\"",
        1 => "\\PC{0,20}",
    ];
    (0..3usize, key, value).prop_map(|(depth, key, value)| format!("{}{key}: {value}\n", "  ".repeat(depth)))
}

/// A text is shown line by line; none of it is anything but seen, and it has an end.
fn check(text: &str) -> std::result::Result<(), TestCaseError> {
    for line in text.lines() {
        prop_assert!(!line.contains(char::is_control), "it drives a terminal: {line:?}");
    }
    prop_assert!(text.len() < 4096, "it is too long: {text:?}");
    Ok(())
}

fn loads_or_says_why(bytes: &[u8]) -> std::result::Result<(), TestCaseError> {
    match Place::new(bytes).load(&[], &[]) {
        Ok(loaded) => loaded.warnings.iter().try_for_each(|warning| check(warning)),
        Err(error) => check(&error.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_policy_or_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        loads_or_says_why(&bytes)?;
    }

    #[test]
    fn lines_that_are_almost_a_policy_are_one_or_a_sentence(
        first in prop::sample::select(&["hangwatch: 1\n", "dreamer_name: x\n", "hangwatch: 2\n", ""][..]),
        lines in prop::collection::vec(line(), 0..12),
    ) {
        loads_or_says_why(format!("{first}{}", lines.concat()).as_bytes())?;
    }

    #[test]
    fn nesting_without_an_end_is_a_sentence(depth in 0..20_000usize, what in prop::sample::select(&["[", "{a: ", "- ", "? "][..])) {
        loads_or_says_why(format!("hangwatch: 1\nmodels: {}", what.repeat(depth)).as_bytes())?;
    }
}
