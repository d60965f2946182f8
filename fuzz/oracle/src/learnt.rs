//! Bytes as what a monitor has learnt and kept: keys that a monitor can have written, or the reason why not.

use crate::Tally;
use crate::show::check_text;
use hangwatch::layout::fnv1a64_of_bytes;
use hangwatch::learn::Learnt;
use hangwatch::tell::text::escaped;

/// The first byte: bit 0, the bytes are the file. Else they are its entries, of which the second byte is the number, and what is
/// around them is right.
pub(crate) fn run(data: &[u8]) -> Tally {
    let Some((how, data)) = data.split_first() else { return Tally::default() };
    let file = match (how & 1, data.split_first()) {
        (0, Some((count, entries))) => {
            let mut file = b"hwlearnt\x01\0\0\0".to_vec();
            file.extend(u32::from(*count).to_le_bytes());
            file.extend(entries);
            let sum = fnv1a64_of_bytes(file.iter().copied());
            file.extend(sum.to_le_bytes());
            file
        }
        _ => data.to_vec(),
    };
    let mut tally = Tally::default();
    match Learnt::from_bytes(&file) {
        Err(why) => {
            check_text(&why.to_string(), 256);
            tally.refused += 1;
        }
        Ok(learnt) => {
            tally.opened += 1;
            for row in learnt.rows() {
                check_text(&escaped(&row.key.phase), 4096);
                check_text(&escaped(&row.key.model), 4096);
                tally.texts += 2;
                tally.read += 1;
            }
            let again = learnt.to_bytes();
            assert!(again.len() <= Learnt::MAX_BYTES, "I15: what is kept is bounded");
            let read = Learnt::from_bytes(&again).expect("what is kept is read again");
            assert_eq!(read.to_bytes(), again, "and says the same");
        }
    }
    tally
}
