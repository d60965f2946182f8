//! Patterns of names: `*` stands for any characters or none, `?` for one, everything else for itself. Upper and lower case
//! differ.

/// Whether the pattern is a plain name.
pub(super) fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

/// Whether the whole of `name` is of the pattern. At most pattern times name steps, whatever either holds: when a character
/// does not fit, only the last `*` is given one more; an earlier one could not help.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // After the last `*`, and the name from where it ends so far.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (mut after, mut rest) = (pattern.clone(), name.clone());
        match (after.next(), rest.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((after.clone(), name.clone()));
                pattern = after;
            }
            (Some(wanted), Some(met)) if wanted == '?' || wanted == met => (pattern, name) = (after, rest),
            _ => {
                let Some((after, taken)) = &mut star else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), taken.clone());
            }
        }
    }
}

/// Whether some name is of both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // below[j]: whether the rest of `one` and `other[j..]` have a name in common.
    let mut below: Vec<bool> = Vec::new();
    for i in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for j in (0..=other.len()).rev() {
            let met = |row: &[bool], at: usize| row.get(at).copied().unwrap_or(false);
            row[j] = match (one.get(i), other.get(j)) {
                (None, None) => true,
                // A `*` ends here, or takes one character more of the other.
                (Some('*'), _) | (_, Some('*')) => met(&below, j) || met(&row, j + 1),
                (Some(a), Some(b)) if a == b || *a == '?' || *b == '?' => met(&below, j + 1),
                _ => false,
            };
        }
        below = row;
    }
    below[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_a_question_mark_for_one() {
        for (pattern, name) in [
            ("sdxl", "sdxl"),
            ("sdxl*", "sdxl"),
            ("sdxl*", "sdxl_turbo"),
            ("*turbo", "sdxl_turbo"),
            ("s*x*t*o", "sdxl_turbo"),
            ("*", ""),
            ("**", "a"),
            ("*a", "aba"),
            ("ab*ba", "abba"),
            ("?", "ü"),
            ("flux?dev", "flux*dev"),
            ("[a-z]", "[a-z]"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "'{pattern}' is for '{name}'");
        }
        for (pattern, name) in [
            ("sdxl", "sdxl "),
            ("SDXL*", "sdxl_turbo"),
            ("sdxl?", "sdxl"),
            ("?", ""),
            ("?", "ab"),
            ("*a", "ab"),
            ("ab*ba", "aba"),
            ("a*b*c", "acb"),
            ("", "a"),
            ("[a-z]", "a"),
        ] {
            assert!(!matches(pattern, name), "'{pattern}' is not for '{name}'");
        }
    }

    /// The same by the definition, with exponential backtracking.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), taken) => {
                by_definition(rest, name) || taken.is_some_and(|(_, less)| by_definition(pattern, less))
            }
            (Some((wanted, rest)), Some((met, less))) => (*wanted == '?' || wanted == met) && by_definition(rest, less),
            _ => false,
        }
    }

    fn words(letters: &[char], most: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..most {
            last = last.iter().flat_map(|word| letters.iter().map(move |letter| format!("{word}{letter}"))).collect();
            all.extend_from_slice(&last);
        }
        all
    }

    #[test]
    fn every_short_pattern_is_for_the_names_that_its_definition_says() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for pattern in words(&['a', 'b', '*', '?'], 4) {
            for name in words(&['a', 'b'], 5) {
                let expected = by_definition(&chars(&pattern), &chars(&name));
                assert_eq!(matches(&pattern, &name), expected, "'{pattern}' and '{name}'");
            }
        }
    }

    #[test]
    fn two_patterns_overlap_exactly_where_a_name_is_of_both() {
        let (patterns, names) = (words(&['a', 'b', '*', '?'], 3), words(&['a', 'b', 'c'], 6));
        let of = |pattern: &str| names.iter().map(|name| matches(pattern, name)).collect::<Vec<_>>();
        let all: Vec<_> = patterns.iter().map(|pattern| (pattern, of(pattern))).collect();
        for (one, its) in &all {
            for (other, others) in &all {
                let both = its.iter().zip(others).any(|(a, b)| *a && *b);
                assert_eq!(overlap(one, other), both, "'{one}' and '{other}'");
            }
        }
    }

    #[test]
    fn a_hostile_name_costs_no_more_than_pattern_times_name() {
        // A matcher that tries every way of sharing the name out among the stars never ends here.
        let pattern = format!("{}b", "a*".repeat(40));
        assert!(!matches(&pattern, &"a".repeat(96)));
        assert!(matches(&pattern, &format!("{}b", "a".repeat(95))));
        assert!(!overlap(&pattern, &format!("{}c", "*a".repeat(40))));
    }
}
