//! What a detector is: it is shown each poll, and says which slots it would raise an alarm about now.

use super::session::{Session, Sign};
use hangwatch::record::Frame;

/// One poll.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    /// The host, and the slots that changed.
    pub(crate) frame: &'a Frame,
    /// The signs of progress since the poll before, by time.
    pub(crate) signs: &'a [Sign],
    /// Nobody asks about any other slot.
    pub(crate) only: Option<u32>,
}

impl Look<'_> {
    pub(crate) fn now(&self) -> u64 {
        self.frame.host.monotonic_ns
    }
}

/// An alarm that stands at a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) slot: u32,
    /// Which rule says so.
    pub(crate) rule: &'static str,
}

/// A change of a verdict, for detectors that give any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) at: u64,
    pub(crate) slot: u32,
    pub(crate) text: String,
}

pub(crate) trait Detector {
    /// Its row in the tables.
    fn name(&self) -> &str;

    /// A session begins: slots are anew, what was learnt stays.
    fn begin(&mut self, session: &Session);

    /// Takes in a poll and adds every alarm that stands.
    fn look(&mut self, look: &Look<'_>, alarms: &mut Vec<Alarm>);

    /// The same detector in the same state.
    fn fork(&self) -> Box<dyn Detector>;

    /// Verdicts that changed at the last look.
    fn turns(&mut self) -> Vec<Turn> {
        Vec::new()
    }
}
