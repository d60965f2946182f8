//! Ages of one slot at one poll, and all else that a judge may look at.

use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;
use crate::layout::word::Owner;
use crate::snapshot::Probe;
use std::sync::Arc;

/// Time since something changed, in ns of the monitor's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Age {
    /// All of it: what a person is told.
    pub real: u64,
    /// Without the time under a lease, or stopped.
    pub counted: u64,
    /// Without the time that starvation excuses besides: what a budget is compared with.
    pub judged: u64,
}

impl Age {
    /// The younger of two signs of life.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if self.real <= other.real { self } else { other }
    }
}

/// The ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ages {
    /// Since the claim was first seen.
    pub claim: Age,
    /// Since the working thread's last `beat` or `step`.
    pub beat: Age,
    /// Since the last of beat, step and `alive`.
    pub heartbeat: Age,
    /// Since the last `alive`; `None` where no helper has ever spoken.
    pub alive: Option<Age>,
    /// Since progress last passed its mark; `None` where this count reports no progress.
    pub progress: Option<Age>,
    /// Since the phase was entered.
    pub phase: Age,
    /// Since the job began; `None` where none is open.
    pub job: Option<Age>,
}

/// One LIVE slot at one poll.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The monitor's clock at this poll.
    pub now: u64,
    /// The slot.
    pub index: u32,
    /// Whose it is.
    pub owner: Owner,
    /// Its phase.
    pub phase: Phase,
    /// The user phase's row, where it is one.
    pub user_phase: Option<Arc<UserPhase>>,
    /// The section's number: another one is another entry of its phase.
    pub section: u16,
    /// Whether a job is open, and its number.
    pub job: Option<u32>,
    /// The pass of the job that progress belongs to.
    pub pass: u16,
    /// Units done; `None` before the first step.
    pub done: Option<u64>,
    /// Units in all: `None` unknown or not reported.
    pub total: Option<u64>,
    /// Whether the working thread has beaten since the claim.
    pub ever_beat: bool,
    /// Another generation beats in the slot, two polls running.
    pub foreign: bool,
    /// For how long SIGKILL has been pending in uninterruptible sleep, at every look, in ns; `None` where it is not.
    pub unkillable: Option<u64>,
    /// Progress fell back since its mark last rose.
    pub fell_back: bool,
    /// What is left of a lease in force, in ns.
    pub lease_left: Option<u64>,
    /// The ages.
    pub ages: Ages,
    /// The info record, if it is this job's.
    pub info: Option<Arc<Info>>,
    /// What was read of the process.
    pub probe: Probe,
}

impl Observation {
    /// Done of total in percent, where both are known.
    pub fn percent(&self) -> Option<f64> {
        match (self.done, self.total) {
            (Some(done), Some(total)) if total > 0 => Some((done as f64 / total as f64 * 100.0).min(100.0)),
            _ => None,
        }
    }
}
