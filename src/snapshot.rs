//! What was read of a slot at one poll, as plain data: judgement needs neither memory nor /proc, so a recorded snapshot
//! replays to the same verdict.

use crate::layout::hot::HotWords;
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::user_phase::UserPhase;
use crate::layout::word::Owner;
use std::sync::Arc;

/// What was read of a slot's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Process {
    /// Not asked at this poll, or it cannot be known from here (another pid namespace).
    #[default]
    Unknown,
    /// There, and not stopped.
    Running,
    /// Stopped by a signal or a debugger (state T or t).
    Stopped,
    /// It has exited; its parent has not reaped it.
    Zombie,
    /// It has exited.
    Gone,
}

/// One slot at one poll.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotSnapshot {
    /// The slot's index.
    pub index: u32,
    /// Its owner word; the tag says whether anybody owns it.
    pub owner: Owner,
    /// The hot words; `None` where the slot is not LIVE, or its writer was too quick for this poll.
    pub hot: Option<HotWords>,
    /// The info record, if it is this owner's and this job's.
    pub info: Option<Arc<Info>>,
    /// The user phase that the phase word names, if it names one that is registered.
    pub user_phase: Option<UserPhase>,
    /// What was read of the process.
    pub process: Process,
}

impl SlotSnapshot {
    /// The phase that the hot words name.
    pub fn phase(&self) -> Option<Phase> {
        self.hot.as_ref().map(|hot| Phase::from_id(hot.phase.id()))
    }
}
