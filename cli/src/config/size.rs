//! A text as a number of bytes: `65536`, `64K`, `64M`, `1G`; a unit is a power of 1024.

/// For an argument of the command line.
pub(crate) fn argument(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "" | "B" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "m" | "MiB" => 1 << 20,
        "G" | "g" | "GiB" => 1u64 << 30,
        _ => 0,
    };
    let bytes = number.parse::<u64>().ok().filter(|_| unit > 0).and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| "expected a size; write it like 65536, 64K, 64M or 1G".into())
}

#[cfg(test)]
mod tests {
    use super::argument;

    #[test]
    fn a_size_is_a_number_with_or_without_a_unit() {
        for (text, bytes) in [("1", 1), ("65536B", 65536), ("64K", 65536), ("64MiB", 64 << 20), ("1G", 1 << 30)] {
            assert_eq!(argument(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1T", "ü", "99999999999G", "1 M"] {
            assert!(argument(text).is_err(), "{text}");
        }
    }
}
