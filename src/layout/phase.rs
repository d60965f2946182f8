//! The phase table: one row a phase. A new phase is a new row; names, ids, classes, budgets and what restarts them are
//! taken from here by the policy, the judge, the header and the docs.

use std::time::Duration;

/// What a phase is to a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The worker should advance: a budget runs.
    Work,
    /// The worker waits for work: no budget runs.
    Idle,
    /// The worker is on its way out.
    Exit,
}

impl Class {
    /// As stored in a user phase's entry.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Work => 0,
            Self::Idle => 1,
            Self::Exit => 2,
        }
    }

    /// An unknown class is treated as work: it gets a budget.
    pub const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Idle,
            2 => Self::Exit,
            _ => Self::Work,
        }
    }
}

/// Which sign of life restarts a phase's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `beat` or `step`, never `alive`: a helper thread's beat must not hide a stuck load.
    AnyBeat,
    /// Progress past the mark where the phase reports progress, else any beat.
    ProgressElseBeat,
    /// Inference has two clocks of its own, heartbeat and progress.
    OwnClocks,
    /// No budget, nothing to restart.
    Nothing,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The phase.
    pub phase: Phase,
    /// Its name, everywhere.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// Its budget in seconds; 0 = none.
    pub budget_s: u64,
    /// Seconds that each item of the batch adds.
    pub per_batch_s: u64,
    /// What restarts the budget.
    pub restarts_on: Sign,
    /// The states of AI Horde's worker that it stands for.
    pub horde: &'static [&'static str],
}

macro_rules! phases {
    ($( $(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $class:ident, $budget:literal + $batch:literal, $sign:ident, [$($horde:literal),*]; )*) => {
        /// What a worker is doing. User phases are registered by name and carry their own budget.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Phase {
            $( $(#[$doc])* $variant, )*
            /// Registered by a worker: index into the segment's table.
            User(u8),
            /// An id that this version does not know; judged as work with the longest budget.
            Unknown(u16),
        }

        /// All built-in phases, in the order of their ids.
        pub const TABLE: &[Row] = &[
            $( Row {
                phase: Phase::$variant,
                name: $name,
                class: Class::$class,
                budget_s: $budget,
                per_batch_s: $batch,
                restarts_on: Sign::$sign,
                horde: &[$($horde),*],
            }, )*
        ];

        impl Phase {
            /// The id in the slot's phase word.
            pub const fn id(self) -> u16 {
                match self {
                    $( Self::$variant => $id, )*
                    Self::User(index) => FIRST_USER_ID + index as u16,
                    Self::Unknown(id) => id,
                }
            }

            /// The phase of an id; any id is a value.
            pub const fn from_id(id: u16) -> Self {
                match id {
                    $( $id => Self::$variant, )*
                    _ if id >= FIRST_USER_ID && id < FIRST_USER_ID + USER_PHASES as u16 => Self::User((id - FIRST_USER_ID) as u8),
                    _ => Self::Unknown(id),
                }
            }
        }
    };
}

/// Ids from here on are user phases.
pub const FIRST_USER_ID: u16 = 256;
/// How many user phases a segment holds.
pub const USER_PHASES: usize = 48;

phases! {
    /// Claimed, not yet ready for work.
    Starting = 0, "starting", Work, 80 + 0, AnyBeat, ["PROCESS_STARTING"];
    /// Waits for a job: no budget runs.
    Idle = 1, "idle", Idle, 0 + 0, Nothing, [
        "WAITING_FOR_JOB", "PRELOADED_MODEL", "INFERENCE_COMPLETE", "INFERENCE_FAILED", "ALCHEMY_COMPLETE", "ALCHEMY_FAILED",
        "DOWNLOAD_COMPLETE", "DOWNLOAD_AUX_COMPLETE", "UNLOADED_MODEL_FROM_VRAM", "UNLOADED_MODEL_FROM_RAM", "SAFETY_FAILED"
    ];
    /// Took a job, did not begin it.
    Received = 2, "received", Work, 80 + 0, AnyBeat, ["JOB_RECEIVED"];
    /// Fetches a model.
    Downloading = 3, "downloading", Work, 121 + 0, ProgressElseBeat, ["DOWNLOADING_MODEL"];
    /// Fetches what goes with a model (LoRA, embeddings).
    DownloadingAux = 4, "downloading_aux", Work, 121 + 0, ProgressElseBeat, ["DOWNLOADING_AUX_MODEL"];
    /// Brings a model into memory.
    Loading = 5, "loading", Work, 80 + 0, ProgressElseBeat, ["PRELOADING_MODEL"];
    /// Compiles kernels or captures graphs.
    Compiling = 6, "compiling", Work, 1800 + 0, AnyBeat, [];
    /// Steps through a job: heartbeat and progress, each its own clock.
    Inference = 7, "inference", Work, 600 + 0, OwnClocks, ["INFERENCE_STARTING", "ALCHEMY_STARTING"];
    /// After the last step: decode, encode, upscale.
    PostProcessing = 8, "post_processing", Work, 60 + 3, AnyBeat, ["INFERENCE_POST_PROCESSING"];
    /// Checks the result.
    Safety = 9, "safety", Work, 60 + 0, AnyBeat, ["EVALUATING_SAFETY"];
    /// Shuts down.
    Ending = 10, "ending", Exit, 60 + 0, AnyBeat, ["PROCESS_ENDING"];
    /// Done; the process may end at any time.
    Ended = 11, "ended", Exit, 0 + 0, Nothing, ["PROCESS_ENDED"];
}

impl Phase {
    /// The table's row, for a built-in phase.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.get(usize::from(self.id()))
    }

    /// The built-in phase of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.phase)
    }
}

impl Row {
    /// The default budget for a batch, or `None` where the phase has none.
    pub fn budget(&self, batch: u64) -> Option<Duration> {
        (self.budget_s > 0).then(|| Duration::from_secs(self.budget_s.saturating_add(self.per_batch_s.saturating_mul(batch))))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_its_ids_and_every_id_comes_back() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(usize::from(row.phase.id()), i);
            assert_eq!(Phase::from_id(row.phase.id()), row.phase);
            assert_eq!(Phase::from_name(row.name), Some(row.phase));
        }
        for id in 0..=u16::MAX {
            assert_eq!(Phase::from_id(id).id(), id, "any 16 bits are a phase and keep their id");
        }
    }

    #[test]
    fn a_state_of_the_origin_stands_in_one_row_only() {
        let mut all: Vec<_> = TABLE.iter().flat_map(|row| row.horde).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
