//! The keys as bytes and back, little-endian, for a file that outlives the monitor:
//!
//! ```text
//! "hwlearnt" | version u32 | entries u32 | entry … | FNV-1a of all before, u64
//! entry: part u8 | bucket u8 | doubled u8 | phase: len u8, bytes | model: len u8, bytes
//!        | watched u64 | threshold u64 | outlier u64 | proved u64 | 2 × (gap u64, since u32) | bins u8 | (bin u8, count u32) …
//! ```
//! Entries stand in the order of their last use. The file is another process's: whatever it holds, reading it ends with keys
//! that a monitor can have written, or with the reason why not.

use super::entry::Entry;
use super::histogram::{BINS, Histogram};
use super::key::{Key, MAX_NAME, Part};
use super::store::{Learnt, MAX_KEYS, MAX_SUMMARIES};
use std::fmt;

const MAGIC: &[u8; 8] = b"hwlearnt";
const VERSION: u32 = 1;
const MAX_ENTRIES: usize = MAX_KEYS + MAX_SUMMARIES;

/// Why bytes are not a monitor's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// They do not begin as such bytes do.
    Foreign,
    /// They are of another version: the one met.
    Version(u32),
    /// They end before what they announce.
    Short,
    /// They are not what was written: their checksum differs.
    Damaged,
    /// The checksum is right, and what it covers cannot be: the field.
    Invalid(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not learnt thresholds"),
            Self::Version(met) => write!(f, "version {met}, expected {VERSION}"),
            Self::Short => f.write_str("cut short"),
            Self::Damaged => f.write_str("damaged: the checksum differs"),
            Self::Invalid(field) => write!(f, "no monitor wrote this: {field}"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// FNV-1a, 64 bit: against garbage, not against an adversary.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl Learnt {
    /// The longest that [`Self::to_bytes`] can be: whoever reads a file reads no more.
    pub const MAX_BYTES: usize = 24 + MAX_ENTRIES * (3 + 2 * (1 + MAX_NAME) + 4 * 8 + 2 * 12 + 1 + BINS * 5);

    /// All keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.by_use();
        let mut bytes = Vec::with_capacity(24 + entries.len() * 160);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((entries.len() as u32).to_le_bytes());
        entries.into_iter().for_each(|entry| write(entry, &mut bytes));
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Whether bytes begin as those of [`Self::to_bytes`] do, whatever the version.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// What [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        if !Self::begins(bytes) {
            return Err(Unreadable::Foreign);
        }
        let mut rest = Bytes(&bytes[MAGIC.len()..]);
        let version = u32::from_le_bytes(rest.array()?);
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let (covered, sum) = bytes.split_last_chunk::<8>().ok_or(Unreadable::Short)?;
        if checksum(covered) != u64::from_le_bytes(*sum) {
            return Err(Unreadable::Damaged);
        }
        let mut rest = Bytes(covered.get(12..).ok_or(Unreadable::Short)?);
        let count = u32::from_le_bytes(rest.array()?) as usize;
        if count > MAX_ENTRIES {
            return Err(Unreadable::Invalid("more entries than are kept"));
        }
        let entries = (0..count).map(|_| read(&mut rest)).collect::<Result<Vec<_>, _>>()?;
        if !rest.0.is_empty() {
            return Err(Unreadable::Invalid("bytes after the last entry"));
        }
        Self::from_entries(entries).ok_or(Unreadable::Invalid("a key twice, or more keys than are kept"))
    }
}

fn write(entry: &Entry, bytes: &mut Vec<u8>) {
    let key = &entry.key;
    bytes.extend([key.part as u8, key.bucket, entry.doubled]);
    for name in [&key.phase, &key.model] {
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
    }
    for word in [entry.watched, entry.threshold, entry.outlier, entry.proved] {
        bytes.extend(word.to_le_bytes());
    }
    for outlier in entry.latest {
        bytes.extend(outlier.gap.to_le_bytes());
        bytes.extend(outlier.since.to_le_bytes());
    }
    let bins = entry.histogram.bins().iter().enumerate().filter(|&(_, &count)| count > 0);
    bytes.push(bins.clone().count() as u8);
    for (bin, count) in bins {
        bytes.push(bin as u8);
        bytes.extend(count.to_le_bytes());
    }
}

fn read(rest: &mut Bytes<'_>) -> Result<Entry, Unreadable> {
    let [part, bucket, doubled] = rest.array()?;
    let part = *Part::ALL.get(usize::from(part)).ok_or(Unreadable::Invalid("part"))?;
    let [phase, model] = [rest.name()?, rest.name()?];
    let mut entry = Entry::new(Key::new(phase, part, bucket, model));
    entry.doubled = doubled;
    for word in [&mut entry.watched, &mut entry.threshold, &mut entry.outlier, &mut entry.proved] {
        *word = u64::from_le_bytes(rest.array()?);
    }
    for outlier in &mut entry.latest {
        outlier.gap = u64::from_le_bytes(rest.array()?);
        outlier.since = u32::from_le_bytes(rest.array()?);
    }
    let [bins] = rest.array()?;
    let mut counts = [0; BINS];
    for _ in 0..bins {
        let [bin] = rest.array()?;
        let count = u32::from_le_bytes(rest.array()?);
        *counts.get_mut(usize::from(bin)).ok_or(Unreadable::Invalid("bin"))? = count;
    }
    entry.histogram = Histogram::of(counts);
    entry.resume()
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn name(&mut self) -> Result<String, Unreadable> {
        let [len] = self.array()?;
        if usize::from(len) > MAX_NAME {
            return Err(Unreadable::Invalid("a name that is too long"));
        }
        String::from_utf8(self.take(usize::from(len))?.to_vec()).map_err(|_| Unreadable::Invalid("a name that is no text"))
    }
}
