//! What the supervisor is asked and told by other threads. Whoever sends never waits.

use super::evidence::Gathered;
use super::slots::Reserved;
use crate::evidence::Moment;
use crate::monitor::scan::Judged;
use crate::os::wake::Bell;
use crate::policy::Policy;
use crate::segment::Segment;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Questions that may wait; each is asked again at the next poll while it stands, and each case has deadlines of its own, so a
/// full queue loses nothing.
pub(super) const QUEUE: usize = 4096;

#[derive(Debug)]
pub(super) enum Ask {
    /// An acting verdict stands; what was seen of the slot before.
    Hung(Box<Judged>, Vec<Moment>),
    /// A slot was not claimed for its start budget since it was reserved so.
    Unclaimed(Reserved),
    /// A worker advanced.
    Advanced(u32),
    /// Another policy is in force.
    Policy(Box<Policy>),
    /// Another segment is watched.
    Segment(Arc<Segment>),
    /// Evidence of this case was gathered.
    Gathered(u64, Box<Gathered>),
    /// What the process of this case held is free again, or is not asked for any more.
    Reclaimed(u64),
}

/// Where to send it.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    pub(super) queue: SyncSender<Ask>,
    pub(super) bell: Arc<Bell>,
    /// Rung once and never silenced: the supervisor is to end, and nobody waits for an answer any more.
    pub(super) stopping: Arc<Bell>,
}

impl Mail {
    /// `false` where the supervisor is too far behind.
    pub(super) fn send(&self, ask: Ask) -> bool {
        let sent = self.queue.try_send(ask).is_ok();
        self.bell.ring();
        sent
    }
}
