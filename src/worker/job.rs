//! What a job says of itself.

use crate::layout::slot::{TOTAL_NONE, TOTAL_UNKNOWN};
use std::time::Duration;

/// How many units of progress a count has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// It reports no progress: judged by its heartbeat alone (unless it does call `step`).
    #[default]
    None,
    /// It reports progress, towards a total that is not known (an LLM's tokens).
    Unknown,
    /// It reports progress towards this many units.
    Known(u64),
}

impl Total {
    pub(crate) const fn word(self) -> u64 {
        match self {
            Self::None => TOTAL_NONE,
            Self::Unknown => TOTAL_UNKNOWN,
            Self::Known(n) => n,
        }
    }

    /// From the slot's word, which is also C's argument: 0 none, `u64::MAX` unknown.
    pub const fn from_word(word: u64) -> Self {
        match word {
            TOTAL_NONE => Self::None,
            TOTAL_UNKNOWN => Self::Unknown,
            n => Self::Known(n),
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Ok,
    /// It failed.
    Failed,
    /// Somebody called it off.
    Cancelled,
}

/// A job with all that may be said of it. `Job::new("id").model("sdxl").total(Total::Known(50))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Job<'a> {
    pub(crate) id: &'a str,
    pub(crate) model: &'a str,
    pub(crate) total: Total,
    pub(crate) batch: u64,
    pub(crate) size: u64,
    pub(crate) deadline: Option<Duration>,
    pub(crate) device: Option<u32>,
}

impl<'a> Job<'a> {
    /// A job with this id: up to 64 bytes, cut at a character's border beyond.
    pub fn new(id: &'a str) -> Self {
        Self { id, ..Self::default() }
    }

    /// The model it runs: up to 96 bytes.
    #[must_use]
    pub fn model(self, model: &'a str) -> Self {
        Self { model, ..self }
    }

    /// Its units of progress.
    #[must_use]
    pub fn total(self, total: Total) -> Self {
        Self { total, ..self }
    }

    /// Images, prompts or rows at once: it lengthens the budget of post-processing.
    #[must_use]
    pub fn batch(self, batch: u64) -> Self {
        Self { batch, ..self }
    }

    /// Its size in a unit of your choice (pixels, tokens): jobs of one size are compared with each other.
    #[must_use]
    pub fn size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// How long it may take in all, from `begin_job`; no lease extends it.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The device it runs on.
    #[must_use]
    pub fn device(self, device: u32) -> Self {
        Self { device: Some(device), ..self }
    }
}
