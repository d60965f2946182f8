//! What a poll reads, without judging it: for a recorder beside a monitor, or with none.

use super::probe::Probes;
use crate::error::{Error, Result};
use crate::layout::word::Tag;
use crate::reader::Reader;
use crate::segment::{Presence, Segment};
use crate::snapshot::{HostSnapshot, SlotSnapshot};
use std::sync::Arc;

/// Reads slots, processes and the machine. Never writes; works on a read-only mapping.
#[derive(Debug)]
pub struct Sampler {
    reader: Reader,
    probes: Probes,
    last: Vec<Option<SlotSnapshot>>,
}

impl Sampler {
    /// A sampler of all slots.
    pub fn new(segment: Arc<Segment>) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io(format!("cannot sample segment '{}'", segment.path().display()), &e);
        let probes = Probes::new(segment.len()).map_err(failed)?;
        let last = vec![None; segment.len() as usize];
        Ok(Self { reader: Reader::new(segment), probes, last })
    }

    /// Whether the slots may be touched still; `false` for ever after a file was cut short or overwritten.
    pub fn is_readable(&self) -> bool {
        !matches!(self.reader.segment().presence(), Presence::Truncated | Presence::Erased)
    }

    /// The machine at `monotonic_ns`, and the slots in which something changed since the last sample; the first time, those
    /// that are anybody's. Processes are looked at in turn, 64 a sample.
    pub fn sample(&mut self, monotonic_ns: u64) -> (HostSnapshot, Vec<SlotSnapshot>) {
        let host = self.probes.begin(monotonic_ns);
        let segment = Arc::clone(self.reader.segment());
        let mut changed = Vec::new();
        for index in 0..self.last.len() as u32 {
            let (Some(mut snapshot), Some(slot)) = (self.reader.read(index), segment.slot(index)) else { break };
            self.probes.complete(&mut snapshot, slot, true);
            let last = &mut self.last[index as usize];
            let is_news = match last {
                Some(last) => *last != snapshot,
                None => snapshot.owner.tag() != Tag::Free,
            };
            if is_news {
                *last = Some(snapshot.clone());
                changed.push(snapshot);
            }
        }
        (host, changed)
    }
}
