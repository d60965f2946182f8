//! Names of bundles: `20261124T022228.123Z-train-slot3-episode17`. Their order is the order of time.

use std::time::SystemTime;

/// Of the segment's name in a bundle's: what it may be called, and a path may have any.
const MAX_SEGMENT: usize = 64;
/// `20261124T022228.123Z`.
const STAMP: &str = "00000000T000000.000Z";

/// `2026-11-24T02:22:28.123Z`.
pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn stamp(time: SystemTime) -> String {
    rfc3339(time).replace(['-', ':'], "")
}

/// The name of a bundle. Whatever the segment is called, it names nothing outside its folder.
pub(super) fn bundle(time: SystemTime, segment: &str, slot: Option<u32>, episode: Option<u64>) -> String {
    let name = segment.rsplit('/').next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).take(MAX_SEGMENT).collect();
    let number = |n: Option<u64>| n.map_or_else(|| "x".into(), |n| n.to_string());
    format!("{}-{name}-slot{}-episode{}", stamp(time), number(slot.map(u64::from)), number(episode))
}

/// Whether [`bundle`] makes such names. Others are never touched.
pub(super) fn is_bundle(name: &str) -> bool {
    let Some((stamp, rest)) = name.split_at_checked(STAMP.len()) else { return false };
    let is_stamp = stamp.bytes().zip(STAMP.bytes()).all(|(c, form)| if form == b'0' { c.is_ascii_digit() } else { c == form });
    let is_number = |text: &str| text == "x" || (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()));
    let is_tail = |rest: &str| {
        let (rest, episode) = rest.rsplit_once("-episode")?;
        let (_, slot) = rest.rsplit_once("-slot")?;
        Some(is_number(slot) && is_number(episode))
    };
    is_stamp && rest.starts_with('-') && is_tail(rest) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_time_is_written_in_utc_by_the_gregorian_calendar() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z", "a century that 400 divides has a leap day");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000Z", "another has none");
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_795_487_048_123)), "2026-11-24T02:24:08.123Z");
    }

    #[test]
    fn a_hostile_segment_names_nothing_but_a_folder_here() {
        for segment in ["/dev/shm/../..", "/dev/shm/a\u{1b}[2J/..", "/dev/shm/x\n-slot1-episode2", "", "/", &"y".repeat(300)] {
            let name = bundle(UNIX_EPOCH, segment, Some(3), Some(17));
            assert!(name.ends_with("-slot3-episode17") && is_bundle(&name), "{name}");
            assert!(name.len() < 200 && !name.contains(['/', '\n', '\u{1b}']) && !name.starts_with('.'), "{name}");
        }
        assert_eq!(bundle(UNIX_EPOCH, "/dev/shm/hangwatch-0/train", None, None), "19700101T000000.000Z-train-slotx-episodex");
    }

    #[test]
    fn names_that_are_not_ours_are_told_from_ours() {
        for other in [
            "",
            ".",
            "photos",
            "19700101T000000.000Z",
            "19700101T000000.000Z-train",
            "19700101T000000.000Z-train-slot3-episode",
            "19700101T000000.000Z-train-slot3-episode17.bak",
            "1970-101T000000.000Z-train-slot3-episode17",
            "19700101T000000.000Ztrain-slot3-episode17",
            "größe00101T000000.000Z-train-slot3-episode17",
        ] {
            assert!(!is_bundle(other), "{other:?}");
        }
    }
}
