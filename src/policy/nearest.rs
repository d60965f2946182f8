//! The name that was probably meant.

/// `did you mean 'name'?`, where one of `names` is near.
pub fn did_you_mean<'a>(met: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(met, names).map(|name| format!("did you mean '{name}'?"))
}

/// The nearest of `names`: at most a third of the letters differ, or else `met` is the beginning of it.
pub fn nearest<'a>(met: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.trim().to_lowercase().replace('-', "_");
    let met = plain(met);
    let mut near: Option<(usize, &str)> = None;
    let mut begun = None;
    for name in names {
        let distance = strsim::damerau_levenshtein(&met, &plain(name));
        if distance <= name.len() / 3 && near.is_none_or(|(least, _)| distance < least) {
            near = Some((distance, name));
        }
        if met.len() >= 3 && plain(name).starts_with(&met) {
            begun = begun.or(Some(name));
        }
    }
    near.map(|(_, name)| name).or(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["loading_timeout", "downloading_timeout", "poll_interval", "mid-range"];

    #[test]
    fn a_slip_of_the_pen_finds_the_name() {
        for (met, name) in [
            ("loading_timout", "loading_timeout"),
            ("Loading-Timeout", "loading_timeout"),
            ("downloadng_timeout", "downloading_timeout"),
            ("poll", "poll_interval"),
            ("midrange", "mid-range"),
            ("mid_range", "mid-range"),
        ] {
            assert_eq!(nearest(met, NAMES.into_iter()), Some(name), "{met}");
        }
    }

    #[test]
    fn another_word_finds_nothing() {
        for met in ["", "x", "colour", "timeouts_of_all_phases"] {
            assert_eq!(nearest(met, NAMES.into_iter()), None, "{met}");
        }
    }
}
