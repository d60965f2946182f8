//! A worker and the slot that it writes.

use hangwatch::layout::Slot;
use hangwatch::layout::info::Info;
use hangwatch::layout::word::Lease;
use hangwatch::segment::{Geometry, Segment};
use hangwatch::{Attach, Phase, Worker};
use std::sync::Arc;

/// A worker in slot 0 of a segment of four.
pub(crate) struct Bench {
    pub(crate) worker: Worker,
    pub(crate) segment: Arc<Segment>,
    _dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = super::scratch();
        let geometry = Geometry { slots: 4, slot_size: 1024 };
        let segment = Arc::new(Segment::create(&dir.path().join("s"), geometry).expect("a segment"));
        let worker = Attach::new().name("sd-0").device(5).attach_to(&segment).expect("a free slot");
        Self { worker, segment, _dir: dir }
    }

    pub(crate) fn slot(&self) -> &Slot {
        self.segment.slot(0).expect("inside")
    }

    /// Phase, job, pass, falls, progress, total.
    pub(crate) fn count(&self) -> (Phase, u32, u16, u16, u64, u64) {
        let hot = self.slot().read_hot().expect("a quiet slot is readable");
        let e = hot.epoch;
        (Phase::from_id(hot.phase.id()), e.job(), e.pass(), e.falls(), hot.progress, hot.total)
    }

    pub(crate) fn lease(&self) -> Lease {
        self.slot().read_hot().expect("a quiet slot is readable").lease
    }

    pub(crate) fn info(&self) -> Info {
        self.slot().read_info().expect("a quiet slot is readable")
    }

    pub(crate) fn jobs(&self) -> (u64, u64, u64) {
        let raw = self.slot().raw_words();
        (raw[9], raw[10] >> 32, raw[10] & 0xffff_ffff)
    }
}
