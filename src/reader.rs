//! Reading a segment's slots into snapshots. Never writes; works on a read-only mapping.

use crate::layout::UserPhase;
use crate::layout::hot::NotRead;
use crate::layout::info::Info;
use crate::layout::phase::{Phase, USER_PHASES};
use crate::layout::word::Tag;
use crate::segment::Segment;
use crate::snapshot::{Probe, SlotSnapshot};
use std::sync::Arc;

/// Reads slots, and keeps what did not change: an info record is copied again only when its number has moved on.
#[derive(Debug)]
pub struct Reader {
    segment: Arc<Segment>,
    infos: Vec<Cached>,
    /// A registration never changes once it can be read.
    user_phases: [Option<Arc<UserPhase>>; USER_PHASES],
}

#[derive(Debug, Clone, Default)]
struct Cached {
    /// Number of the record that is cached; `None` before the first.
    seq: Option<u64>,
    info: Option<Arc<Info>>,
}

impl Reader {
    /// A reader of all slots.
    pub fn new(segment: Arc<Segment>) -> Self {
        let infos = vec![Cached::default(); segment.len() as usize];
        Self { segment, infos, user_phases: [const { None }; USER_PHASES] }
    }

    /// The segment it reads.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Reads slot `index`; `None` past the end. What the process does is not read here.
    pub fn read(&mut self, index: u32) -> Option<SlotSnapshot> {
        let slot = self.segment.slot(index)?;
        let (owner, hot) = match slot.read_hot() {
            Ok(hot) => (hot.owner, Some(hot)),
            Err(NotRead::NotLive(owner)) => (owner, None),
            Err(NotRead::Busy) => (slot.peek_owner(), None),
        };
        let info = hot.as_ref().and_then(|hot| {
            let cached = &mut self.infos[index as usize];
            let seq = slot.peek_info_seq();
            if cached.seq != Some(seq) {
                // A record that is being replaced is read at the next poll; until then the last one stands.
                if let Some(info) = slot.read_info() {
                    *cached = Cached { seq: Some(seq), info: Some(Arc::new(info)) };
                }
            }
            cached.info.clone().filter(|info| info.generation == owner.generation() && info.job == hot.epoch.job())
        });
        let user_phase = hot.as_ref().and_then(|hot| match Phase::from_id(hot.phase.id()) {
            Phase::User(index) => self.user_phase(index),
            _ => None,
        });
        Some(SlotSnapshot { index, owner, hot, info, user_phase, probe: Probe::default() })
    }

    fn user_phase(&mut self, index: u8) -> Option<Arc<UserPhase>> {
        let cached = self.user_phases.get_mut(usize::from(index))?;
        if cached.is_none() {
            *cached = self.segment.user_phase(index).map(Arc::new);
        }
        cached.clone()
    }

    /// Reads all slots that are anybody's.
    pub fn read_taken(&mut self) -> Vec<SlotSnapshot> {
        (0..self.segment.len()).filter_map(|index| self.read(index)).filter(|s| s.owner.tag() != Tag::Free).collect()
    }
}
