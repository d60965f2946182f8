//! What a poll found.

use super::episode::Episode;
use crate::judge::Judgement;
use crate::layout::monitor::Seen;
use crate::layout::word::Owner;
use crate::learn::Suspicion;
use crate::observe::{Observation, Tick};
use crate::rate::Slow;

/// One LIVE slot and what is thought of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was seen.
    pub observation: Observation,
    /// The verdict; at a gap, and where the writer was too quick to be read, the last one stands.
    pub judgement: Judgement,
    /// How fast its job advances, in units a second; `None` where that is not known yet.
    pub rate: Option<f64>,
    /// Why it is slow, if it is.
    pub slow: Option<Slow>,
    /// What learnt threshold it has passed, if it has.
    pub suspicion: Option<Suspicion>,
    /// Number of the open episode.
    pub episode: Option<u64>,
    /// An acting episode was opened at this very poll.
    pub opened_acting: bool,
    /// An acting verdict stands, and it froze when all working workers did and has not moved since.
    pub frozen_with_all: bool,
    /// What is to be written into the slot, where it is not what was written last.
    pub write: Option<Seen>,
}

/// What happened to an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It began.
    Opened,
    /// It goes on.
    Reminder,
    /// The worker is well again, or a graver episode takes its place.
    Closed,
    /// The worker gave its slot back, or it was taken from it.
    Left,
}

/// A change of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which.
    pub episode: Episode,
    /// How long it has lasted, in ns of the monitor's clock.
    pub lasted: u64,
    /// What was seen.
    pub observation: Observation,
    /// What was judged.
    pub judgement: Judgement,
    /// Why it is slow, if it is.
    pub slow: Option<Slow>,
    /// What learnt threshold it has passed, if it has.
    pub suspicion: Option<Suspicion>,
}

/// A slot that was reserved and not claimed for the start budget; told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclaimed {
    /// The slot.
    pub index: u32,
    /// Its owner word.
    pub owner: Owner,
    /// How long it has waited, in ns of the monitor's clock.
    pub waited: u64,
}

/// What one poll found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// The monitor's clock.
    pub tick: Tick,
    /// Every slot that was taken and is LIVE.
    pub judged: Vec<Judged>,
    /// What happened to episodes.
    pub changes: Vec<Change>,
    /// Reserved slots that nobody claims.
    pub unclaimed: Vec<Unclaimed>,
    /// Slots that may have lost their claimer on the way, or whose owner could not be killed: proof of death frees them.
    pub ownerless: Vec<(u32, Owner)>,
    /// All working workers froze together, at this poll: how many.
    pub all_frozen: Option<usize>,
    /// They are frozen now.
    pub is_frozen: bool,
}
