//! Bytes as a segment's file: whatever it is, it is opened or refused with a sentence, and what is opened is read within its bounds.

use crate::Tally;
use crate::draw::Draw;
use crate::place;
use crate::show::{check_lines, check_segment};
use hangwatch::Error;
use hangwatch::layout::header::{ABI_TAG, Fixed, MAGIC, check};
use hangwatch::policy::PolicySet;
use hangwatch::segment::{Geometry, Segment, validate};
use std::io::Write;
use std::sync::Arc;

/// Bytes of the longest file: what a header promises beyond it is not there.
const MAX_FILE: usize = 64 << 10;

/// The first byte: bit 0, the file begins with the bytes as they are. Else with a good header, of which words are changed; bit 1, and
/// it is not sealed again after that; bit 2, and every slot is owned, free or being claimed; bit 3, what is left lies in the slots, and not in the header too;
/// bit 4, again and again up to the end.
fn file(place: &place::Place, data: &[u8]) -> Vec<u8> {
    let mut draw = Draw(data);
    let how = draw.byte();
    if how & 1 == 1 {
        return draw.bytes(MAX_FILE).to_vec();
    }
    let slot_size = [1024, 1024, 1152, 4096][draw.below(4)];
    let mut bytes = forged(place, how & 2 == 0, slot_size, &mut draw);
    let tags = draw.byte();
    // What is left lies behind the fixed words: the monitor's, the user phases, the slots.
    let behind = bytes.get_mut(if how & 8 == 0 { 256 } else { 4096 }..).unwrap_or_default();
    let rest = draw.bytes(behind.len());
    let most = if how & 16 == 0 { rest.len() } else { behind.len() };
    behind.iter_mut().zip(rest.iter().cycle().take(most)).for_each(|(to, from)| *to = *from);
    if how & 4 != 0 {
        own(&mut bytes, slot_size, tags);
    }
    bytes
}

/// What the target `header` makes a file of, for whoever else is to open it.
pub fn segment_file(data: &[u8]) -> Vec<u8> {
    place::with(|place| file(place, data))
}

pub(crate) fn run(data: &[u8]) -> Tally {
    place::with(|place| {
        let mut tally = Tally::default();
        let bytes = file(place, data);
        place.file().write_all(&bytes).expect("room for it");

        let mut refused = |error: &Error| {
            check_lines(&error.to_string(), &mut tally);
            tally.refused += 1;
        };
        let path = place.path();
        if let Err(error) = Segment::read_header(&path) {
            refused(&error);
        }
        match Segment::open_read_only(&path) {
            Err(error) => {
                refused(&error);
                assert!(Segment::open(&path).is_err(), "an observer and a worker agree");
                // Of another boot, and well otherwise: the one refusal that a worker mends.
                if let Ok(segment) = Segment::open_or_create(&path, Geometry { slots: 2, slot_size: 1024 }) {
                    assert_eq!(segment.len(), 2, "what was stale is replaced, and nothing of it is left");
                    tally.opened += 1;
                }
            }
            Ok(segment) => {
                let segment = Arc::new(segment);
                let fixed = segment.fixed();
                assert!(fixed.total_len <= bytes.len() as u64, "I15: nothing is mapped that is not there");
                let end = u128::from(fixed.slots_off) + u128::from(fixed.slot_count) * u128::from(fixed.slot_size);
                assert!(end <= u128::from(fixed.total_len), "I15: every slot is inside");
                assert!(fixed.slots_off >= 4096 && fixed.slot_size >= 1024, "I15: no slot overlaps the header or another");
                tally.opened += 1;
                check_segment(&segment, &PolicySet::default(), &mut tally);
                drop(Segment::open(&path).expect("a worker and an observer agree"));
            }
        }
        tally
    })
}

/// A good header, with changes.
fn forged(place: &place::Place, sealed: bool, slot_size: usize, draw: &mut Draw<'_>) -> Vec<u8> {
    let slots = 1 + draw.below(12);
    let mut words = place.header(slots as u64, slot_size as u64);
    // Half of them as they are: what follows is read, and not refused.
    for _ in 0..draw.below(8).saturating_sub(4) {
        let at = draw.below(words.len());
        words[at] = draw.word();
    }
    if sealed {
        (words[0], words[1], words[2]) = (MAGIC, ABI_TAG, Fixed::VERSION);
        words[31] = check(&words);
    }
    let pure = validate(&words, draw.raw(), [words[12], words[13]]);
    assert!(pure.is_err() || sealed || words[31] == check(&words), "a check that does not match is never believed");
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // What its geometry needs, a word more or less.
    let whole = 4096 + slots * slot_size;
    bytes.resize([whole, whole, whole, whole - 8, 256, 4096, whole + 8, whole][draw.below(8)], 0);
    bytes
}

/// Slots are LIVE, free or being claimed, as two bits of `tags` say for each of four, so that what is in them is believed.
fn own(bytes: &mut [u8], slot_size: usize, tags: u8) {
    for (i, slot) in bytes.get_mut(4096..).unwrap_or_default().chunks_exact_mut(slot_size).enumerate() {
        slot[0x80 + 5] = [2, 0, 1, 2][usize::from(tags >> (2 * (i % 4)) & 3)];
    }
}
