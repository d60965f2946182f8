//! One recorded session: what a monitor saw at each poll, and the signs of progress between the polls.

use hangwatch::record::Frame;
use hangwatch::snapshot::SlotSnapshot;

/// A sign of progress: a phase was entered, a step was done, a job ended. `alive` is none.
#[derive(Debug, Clone)]
pub(crate) struct Sign {
    /// When, in ns of the session's clock.
    pub(crate) at: u64,
    /// Whose.
    pub(crate) slot: u32,
    /// What follows it.
    pub(crate) then: Then,
    /// The slot's words right after it; `None` where only polls saw it.
    pub(crate) words: Option<Box<SlotSnapshot>>,
}

/// The silence that a sign begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Then {
    /// The worker should advance: a silence counts.
    pub(crate) working: bool,
    /// The worker has ended: what was silent before did not go on by itself.
    pub(crate) left: bool,
    /// What is being timed.
    pub(crate) key: Key,
    /// Between two steps of one phase.
    pub(crate) steady: bool,
}

/// What gaps are told apart by, for detectors that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Key {
    /// The model's number.
    pub(crate) model: u16,
    /// The phase's number.
    pub(crate) phase: u16,
    /// After the phase's first step.
    pub(crate) rest: bool,
}

/// What is known of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) on: u64,
    pub(crate) off: u64,
    /// `None`: of everybody.
    pub(crate) slot: Option<u32>,
    pub(crate) kind: String,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) interval_ns: u64,
    /// Its workers registered their phases with whatever budget the policy has for inference.
    pub(crate) has_our_budgets: bool,
    /// A worker a slot, by index.
    pub(crate) workers: Vec<String>,
    /// The polls in their order.
    pub(crate) polls: Vec<Frame>,
    /// By time.
    pub(crate) signs: Vec<Sign>,
    /// By start.
    pub(crate) labels: Vec<Label>,
}

impl Session {
    /// For each poll, the signs since the one before.
    pub(crate) fn looks(&self) -> impl Iterator<Item = (&Frame, &[Sign])> {
        let mut rest = &self.signs[..];
        self.polls.iter().map(move |frame| {
            let now = frame.host.monotonic_ns;
            let (seen, later) = rest.split_at(rest.partition_point(|sign| sign.at <= now));
            rest = later;
            (frame, seen)
        })
    }

    pub(crate) fn worker(&self, slot: u32) -> &str {
        self.workers.get(slot as usize).map_or("?", String::as_str)
    }
}
