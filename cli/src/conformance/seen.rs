//! A slot as it was read after a call, and how a case says what is wrong with it.

use super::{Halt, Proof};
use hangwatch::layout::info::Info;
use hangwatch::layout::slot::{FIELDS, SLOT_LEN};
use hangwatch::layout::word::{Beat, Epoch, Lease, Owner, PhaseWord};
use std::fmt::Debug;

/// Words of a slot.
pub(super) const WORDS: usize = SLOT_LEN / 8;
/// Words of an info record.
const RECORD: usize = 48;

/// What `only` calls the two info records.
pub(super) const RECORDS: [&str; 2] = ["info[0]", "info[1]"];

/// A slot's words at one moment at which its writer was waiting for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) words: [u64; WORDS],
    /// The call before.
    pub(super) after: String,
}

/// Fails the case.
pub(super) fn fail<T>(why: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::Failed(why.into()))
}

/// A word's name; the info records' by their number.
fn name_of(word: usize) -> &'static str {
    FIELDS.iter().find(|(_, at)| *at == word * 8).map_or(RECORDS[usize::from(word >= FIELDS.len() + RECORD)], |(name, _)| name)
}

impl Seen {
    pub(super) fn word(&self, name: &str) -> u64 {
        let at = FIELDS.iter().find(|(field, _)| *field == name).map_or(0, |(_, at)| at / 8);
        self.words[at]
    }

    pub(super) fn owner(&self) -> Owner {
        Owner(self.word("owner"))
    }

    pub(super) fn beat(&self) -> Beat {
        Beat(self.word("beat"))
    }

    pub(super) fn alive(&self) -> Beat {
        Beat(self.word("alive"))
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.word("epoch"))
    }

    pub(super) fn phase(&self) -> PhaseWord {
        PhaseWord(self.word("phase"))
    }

    pub(super) fn lease(&self) -> Lease {
        Lease(self.word("lease"))
    }

    pub(super) fn progress(&self) -> u64 {
        self.word("progress")
    }

    pub(super) fn total(&self) -> u64 {
        self.word("total")
    }

    /// Jobs that ended well, that failed, that were cancelled.
    pub(super) fn jobs(&self) -> (u64, u64, u64) {
        let bad = self.word("jobs_bad");
        (self.word("jobs_ok"), bad >> 32, bad & 0xffff_ffff)
    }

    fn record(&self, copy: u64) -> [u64; RECORD] {
        let from = FIELDS.len() + RECORD * copy as usize;
        std::array::from_fn(|i| self.words[from + i])
    }

    /// The record that a reader would take.
    pub(super) fn info(&self) -> Info {
        Info::from_words(&self.record(self.word("info_seq") & 1))
    }

    /// `met` is what must be.
    pub(super) fn is<T: PartialEq + Debug>(&self, what: &str, met: T, expected: T) -> Proof {
        if met == expected { Ok(()) } else { fail(format!("{what} is {met:?} after '{}', expected {expected:?}", self.after)) }
    }

    /// `holds` must be true; `what` says so.
    pub(super) fn holds(&self, what: &str, holds: bool) -> Proof {
        if holds { Ok(()) } else { fail(format!("after '{}' it does not hold that {what}", self.after)) }
    }

    /// No other words than these are others than before.
    pub(super) fn only(&self, may: &[&str], before: &Self) -> Proof {
        let changed = (0..WORDS).filter(|word| self.words[*word] != before.words[*word]);
        match changed.map(|word| (word, name_of(word))).find(|(_, name)| !may.contains(name)) {
            None => Ok(()),
            Some((word, name)) => fail(format!(
                "'{}' changed {name} (at {:#05x}) from {:#x} to {:#x}; it may change {}",
                self.after,
                word * 8,
                before.words[word],
                self.words[word],
                if may.is_empty() { "nothing".into() } else { may.join(", ") }
            )),
        }
    }

    /// The beat has grown within its generation: by one, or at a border by what the writer likes.
    pub(super) fn beat_grew(&self, before: &Self, exactly_one: bool) -> Proof {
        self.is("the beat's generation", self.beat().generation(), self.owner().generation())?;
        if exactly_one {
            return self.is("the beat's count", self.beat().count(), before.beat().count() + 1);
        }
        self.holds("the beat has grown", self.beat().count() > before.beat().count())
    }
}
