//! What a header must say before its segment is mapped. Pure: words and sizes in, a refusal out.

use crate::layout::header::{ABI_TAG, FIXED_WORDS, Fixed, HEADER_LEN, KNOWN_INCOMPAT, MAGIC, check};
use crate::layout::slot::SLOT_LEN;
use crate::layout::{VERSION_MAJOR, VERSION_MINOR};

/// More slots than this are refused: a bound on what a hostile header can make a monitor allocate.
pub(crate) const MAX_SLOTS: u64 = 1 << 20;

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not a hangwatch segment.
    Magic(u64),
    /// Made on a machine of the other endianness, or damaged.
    AbiTag(u64),
    /// Its check does not match: damaged.
    Check {
        /// As it stands in the header.
        stored: u64,
        /// As this build computes it.
        computed: u64,
    },
    /// Another major version: (major, minor).
    Version(u32, u32),
    /// Features that this build does not know.
    Incompat(u64),
    /// A slot size under 1024 or no multiple of 128.
    SlotSize(u64),
    /// No slots, or more than `MAX_SLOTS`.
    SlotCount(u64),
    /// Header and slots do not fit what the header or the file say.
    Geometry(&'static str),
    /// Shorter than its header says: (bytes there, bytes needed).
    TooShort(u64, u64),
    /// Made before the last boot.
    Stale,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Magic(0) => write!(f, "not a hangwatch segment: its first bytes are zero, expected \"HGWTCH01\""),
            Self::Magic(found) => {
                let bytes = found.to_le_bytes();
                write!(f, "not a hangwatch segment: it begins with \"{}\", expected \"HGWTCH01\"", bytes.escape_ascii())
            }
            Self::AbiTag(tag) if tag.swap_bytes() == ABI_TAG => write!(f, "made on a machine of the other byte order"),
            Self::AbiTag(tag) => write!(f, "abi tag {tag:#018x}, expected {ABI_TAG:#018x}"),
            Self::Check { stored, computed } => write!(f, "damaged header: check {stored:#018x}, computed {computed:#018x}"),
            Self::Version(major, minor) => write!(f, "layout {major}.{minor}, this build reads {VERSION_MAJOR}.x"),
            Self::Incompat(bits) => write!(f, "it needs features {bits:#x} that this build does not know"),
            Self::SlotSize(size) => write!(f, "slot size {size}, expected a multiple of 128 from {SLOT_LEN} on"),
            Self::SlotCount(count) => write!(f, "{count} slots, expected 1 to {MAX_SLOTS}"),
            Self::Geometry(what) => write!(f, "damaged header: {what}"),
            Self::TooShort(there, needed) => write!(f, "truncated: {there} bytes, its header needs {needed}"),
            Self::Stale => write!(f, "made before the last boot; its workers are gone"),
        }
    }
}

impl Refusal {
    /// What it means and what to do.
    pub(crate) fn hints(&self, shown: &str) -> Vec<String> {
        let recreate = format!("if no worker uses it, remove it with 'rm {shown}'; the next worker makes a new one");
        match self {
            Self::Version(major, minor) if (*major, *minor) > (VERSION_MAJOR, VERSION_MINOR) => vec![
                "the workers run a newer hangwatch than this program".into(),
                format!("compare 'hangwatch --version' with 'hangwatch inspect --header {shown}', or upgrade this side first"),
            ],
            Self::Version(..) | Self::Incompat(_) => vec![
                "it was made by a hangwatch of another version".into(),
                format!("compare 'hangwatch --version' with 'hangwatch inspect --header {shown}'"),
            ],
            Self::Magic(_) => vec!["another program's file? give the segment's own path or name with --segment".into()],
            Self::AbiTag(_) => vec!["a segment cannot be shared between machines".into(), recreate],
            _ => vec![recreate],
        }
    }
}

/// Checks the fixed words of a header against each other, the file's size and the running boot.
pub fn validate(words: &[u64; FIXED_WORDS], file_len: u64, boot_id: [u64; 2]) -> Result<Fixed, Refusal> {
    let fixed = Fixed::from_words(words);
    if words[0] != MAGIC {
        return Err(Refusal::Magic(words[0]));
    }
    if words[1] != ABI_TAG {
        return Err(Refusal::AbiTag(words[1]));
    }
    // The version first: another major may compute its check otherwise.
    if fixed.major() != VERSION_MAJOR {
        return Err(Refusal::Version(fixed.major(), fixed.minor()));
    }
    let computed = check(words);
    if words[31] != computed {
        return Err(Refusal::Check { stored: words[31], computed });
    }
    if fixed.feat_incompat & !KNOWN_INCOMPAT != 0 {
        return Err(Refusal::Incompat(fixed.feat_incompat & !KNOWN_INCOMPAT));
    }
    if fixed.slot_size < SLOT_LEN as u64 || !fixed.slot_size.is_multiple_of(128) {
        return Err(Refusal::SlotSize(fixed.slot_size));
    }
    if fixed.slot_count == 0 || fixed.slot_count > MAX_SLOTS {
        return Err(Refusal::SlotCount(fixed.slot_count));
    }
    if fixed.header_len < HEADER_LEN as u64 || fixed.slots_off < fixed.header_len || !fixed.slots_off.is_multiple_of(128) {
        return Err(Refusal::Geometry("the slots do not start after the header"));
    }
    let end = fixed.slot_count.checked_mul(fixed.slot_size).and_then(|slots| slots.checked_add(fixed.slots_off));
    if end.is_none_or(|end| end > fixed.total_len) || isize::try_from(fixed.total_len).is_err() {
        return Err(Refusal::Geometry("the slots do not fit its length"));
    }
    if fixed.total_len > file_len {
        return Err(Refusal::TooShort(file_len, fixed.total_len));
    }
    // A boot that is not known, to its maker or to us, is no earlier one: the segment of workers that live would be replaced.
    if fixed.boot_id != boot_id && ![fixed.boot_id, boot_id].contains(&[0, 0]) {
        return Err(Refusal::Stale);
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [u64; 2] = [7, 8];

    fn good() -> Fixed {
        Fixed {
            version: Fixed::VERSION,
            header_len: 4096,
            slot_size: 1024,
            slot_count: 4,
            slots_off: 4096,
            total_len: 8192,
            boot_id: BOOT,
            ..Fixed::default()
        }
    }

    fn refused(change: impl FnOnce(&mut Fixed)) -> Refusal {
        let mut fixed = good();
        change(&mut fixed);
        validate(&fixed.words(), 8192, BOOT).expect_err("a bad header is refused")
    }

    #[test]
    fn a_good_header_is_accepted_as_it_is() {
        assert_eq!(validate(&good().words(), 8192, BOOT), Ok(good()));
    }

    #[test]
    fn larger_strides_and_a_higher_minor_are_accepted() {
        let fixed = Fixed {
            version: Fixed::VERSION + 5,
            slot_size: 4096,
            slots_off: 8192,
            header_len: 8192,
            total_len: 8192 + 4 * 4096,
            ..good()
        };
        assert_eq!(validate(&fixed.words(), 1 << 20, BOOT), Ok(fixed));
    }

    #[test]
    fn every_way_to_be_wrong_is_refused_by_its_own_name() {
        assert_eq!(refused(|f| f.version = 3 << 32), Refusal::Version(3, 0));
        assert_eq!(refused(|f| f.feat_incompat = 4), Refusal::Incompat(4));
        assert_eq!(refused(|f| f.slot_size = 512), Refusal::SlotSize(512));
        assert_eq!(refused(|f| f.slot_size = 1025), Refusal::SlotSize(1025));
        assert_eq!(refused(|f| f.slot_count = 0), Refusal::SlotCount(0));
        assert_eq!(refused(|f| f.slot_count = u64::MAX), Refusal::SlotCount(u64::MAX));
        assert!(matches!(refused(|f| f.slots_off = 64), Refusal::Geometry(_)));
        assert!(matches!(refused(|f| f.slots_off = u64::MAX - 127), Refusal::Geometry(_)));
        assert!(matches!(refused(|f| f.slot_count = 5), Refusal::Geometry(_)));
        assert!(matches!(refused(|f| f.total_len = u64::MAX), Refusal::Geometry(_)));
        assert_eq!(refused(|f| f.total_len = 9000), Refusal::TooShort(8192, 9000));
        assert_eq!(refused(|f| f.boot_id = [7, 9]), Refusal::Stale);
        assert_eq!(validate(&good().words(), 8192, [0, 0]), Ok(good()), "who does not know the boot replaces nothing");
        let of_unknown = Fixed { boot_id: [0, 0], ..good() };
        assert_eq!(validate(&of_unknown.words(), 8192, BOOT), Ok(of_unknown), "nor is what he makes replaced");
        let mut words = good().words();
        words[0] = u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\x00");
        assert!(matches!(validate(&words, 8192, BOOT), Err(Refusal::Magic(_))));
        let mut words = good().words();
        words[1] = words[1].swap_bytes();
        assert!(validate(&words, 8192, BOOT).is_err_and(|e| e.to_string().contains("other byte order")));
        let mut words = good().words();
        words[12] ^= 1;
        assert!(matches!(validate(&words, 8192, BOOT), Err(Refusal::Check { .. })));
    }

    #[test]
    fn any_garbage_is_refused_without_a_panic() {
        let mut state = 1u64;
        for _ in 0..10_000 {
            let mut words: [u64; FIXED_WORDS] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if state.is_multiple_of(3) { u64::MAX } else { state }
            });
            words[0] = MAGIC;
            words[1] = ABI_TAG;
            words[2] = Fixed::VERSION;
            words[31] = check(&words);
            let _ = validate(&words, state, BOOT);
        }
    }
}
