//! The info record: who the worker is and what it works on, 384 bytes, in two copies.
//!
//! ```text
//! 000 gen_tag   008 job_start_boottime_ns   010 lens   018 deadline_ns   020 batch   028 device_id   030 size   038 reserved
//! 040 job_id[64]        080 model[96]        0E0 name[40]        108 lane[24]        120 detail[96]
//! ```
//! Strings are bytes of the words, byte i of a field in bits 8·(i mod 8) of its word i/8, whatever the machine.
//! A name longer than its field is cut at a character's border; the cut is not an error, it is a label.

use super::word::gen_tag;
#[cfg(not(loom))]
use super::{Slot, latch};

/// Words of an info record.
#[cfg(not(loom))]
pub const INFO_WORDS: usize = 48;
/// Words of an info record in a model: the algorithm is the same, the state is smaller.
#[cfg(loom)]
pub const INFO_WORDS: usize = 2;

/// Bytes of a model's name that the record keeps.
pub const MODEL_BYTES: usize = 96;
/// Bytes of a worker's label that it keeps.
pub const NAME_BYTES: usize = 40;

/// No device named.
pub const NO_DEVICE: u64 = u64::MAX;

/// Where a string stands in the record, in bytes, and how long it may be.
#[derive(Debug, Clone, Copy)]
struct Field {
    at: usize,
    capacity: usize,
    len_shift: u32,
}

const JOB_ID: Field = Field { at: 0x40, capacity: 64, len_shift: 32 };
const MODEL: Field = Field { at: 0x80, capacity: MODEL_BYTES, len_shift: 24 };
const NAME: Field = Field { at: 0xe0, capacity: NAME_BYTES, len_shift: 16 };
const LANE: Field = Field { at: 0x108, capacity: 24, len_shift: 8 };
const DETAIL: Field = Field { at: 0x120, capacity: 96, len_shift: 0 };

/// The record as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Generation of the owner that published it.
    pub generation: u16,
    /// Number of the job it speaks of.
    pub job: u32,
    /// CLOCK_BOOTTIME of `begin_job`; 0 where no job is open.
    pub job_start_boottime_ns: u64,
    /// From `begin_job`, how long the job may take; 0 = no deadline.
    pub deadline_ns: u64,
    /// Images, prompts or rows at once; 0 = not said.
    pub batch: u64,
    /// Device number, or [`NO_DEVICE`].
    pub device: u64,
    /// The job's size in a unit of the worker's choice (pixels, tokens); 0 = not said.
    pub size: u64,
    /// The job's id; empty where no job is open or it has none.
    pub job_id: String,
    /// The model's name.
    pub model: String,
    /// The worker's label.
    pub name: String,
    /// The lane's label.
    pub lane: String,
    /// Free text: `note`.
    pub detail: String,
}

impl Default for Info {
    fn default() -> Self {
        Self {
            generation: 0,
            job: 0,
            job_start_boottime_ns: 0,
            deadline_ns: 0,
            batch: 0,
            device: NO_DEVICE,
            size: 0,
            job_id: String::new(),
            model: String::new(),
            name: String::new(),
            lane: String::new(),
            detail: String::new(),
        }
    }
}

/// The longest prefix of `text` that fits `capacity` bytes without cutting a character.
fn fitting(text: &str, capacity: usize) -> &str {
    if text.len() <= capacity {
        return text;
    }
    let end = (0..=capacity).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    &text[..end]
}

fn pack(record: &mut [u64; 48], field: Field, text: &str) {
    let text = fitting(text, field.capacity);
    record[2] |= (text.len() as u64) << field.len_shift;
    for (i, byte) in text.bytes().enumerate() {
        let at = field.at + i;
        record[at / 8] |= u64::from(byte) << (8 * (at % 8));
    }
}

/// Lossy, with the length clamped: the words are another process's.
fn unpack(record: &[u64; 48], field: Field) -> String {
    let len = ((record[2] >> field.len_shift) as u8 as usize).min(field.capacity);
    let bytes: Vec<u8> = (field.at..field.at + len).map(|at| (record[at / 8] >> (8 * (at % 8))) as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Info {
    /// The record's words.
    pub fn to_words(&self) -> [u64; 48] {
        let mut record = [0; 48];
        record[0] = gen_tag(self.generation, self.job);
        record[1] = self.job_start_boottime_ns;
        record[3] = self.deadline_ns;
        record[4] = self.batch;
        record[5] = self.device;
        record[6] = self.size;
        pack(&mut record, JOB_ID, &self.job_id);
        pack(&mut record, MODEL, &self.model);
        pack(&mut record, NAME, &self.name);
        pack(&mut record, LANE, &self.lane);
        pack(&mut record, DETAIL, &self.detail);
        record
    }

    /// What any 48 words say, hostile ones included.
    pub fn from_words(record: &[u64; 48]) -> Self {
        Self {
            generation: (record[0] >> 32) as u16,
            job: record[0] as u32,
            job_start_boottime_ns: record[1],
            deadline_ns: record[3],
            batch: record[4],
            device: record[5],
            size: record[6],
            job_id: unpack(record, JOB_ID),
            model: unpack(record, MODEL),
            name: unpack(record, NAME),
            lane: unpack(record, LANE),
            detail: unpack(record, DETAIL),
        }
    }
}

#[cfg(not(loom))]
impl Slot {
    /// Publishes the owner's record.
    pub(crate) fn publish_info(&self, info: &Info) {
        latch::publish(&self.info_seq, [&self.info[0].0, &self.info[1].0], &info.to_words());
    }

    /// The last published record, whoever published it; `None` when the writer was too quick for 8 tries.
    /// Accept it only where its generation and job are those of the owner and the epoch.
    pub fn read_info(&self) -> Option<Info> {
        latch::read(&self.info_seq, [&self.info[0].0, &self.info[1].0]).map(|words| Info::from_words(&words))
    }

    /// Number of records published: an unchanged one means an unchanged record, and costs one load.
    pub fn peek_info_seq(&self) -> u64 {
        // Relaxed: compared for inequality only.
        self.info_seq.load(crate::sync::Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_published() {
        let info = Info {
            generation: 3,
            job: 9,
            job_start_boottime_ns: 1,
            deadline_ns: 2,
            batch: 4,
            device: 0,
            size: 1024,
            job_id: "a1b2c3d4-e5f6-7890".into(),
            model: "stable_diffusion_xl".into(),
            name: "sd-0".into(),
            lane: "l1".into(),
            detail: "Größe".into(),
        };
        assert_eq!(Info::from_words(&info.to_words()), info);
    }

    #[test]
    fn a_label_too_long_is_cut_at_a_characters_border() {
        let info = Info { name: "ü".repeat(40), ..Info::default() };
        assert_eq!(Info::from_words(&info.to_words()).name, "ü".repeat(20));
        let info = Info { lane: format!("{}ü", "x".repeat(23)), ..Info::default() };
        assert_eq!(Info::from_words(&info.to_words()).lane, "x".repeat(23));
    }

    #[test]
    fn hostile_lengths_and_bytes_are_text_and_never_a_panic() {
        let info = Info::from_words(&[u64::MAX; 48]);
        assert_eq!(info.job_id.chars().count(), 64, "a length past the field is clamped to it");
        assert!(info.job_id.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
    }
}
