//! What rates are compared within.

use crate::layout::fnv1a64_of_bytes;
use crate::layout::info::Info;
use crate::layout::phase::Phase;
use crate::layout::word::Kind;
use crate::observe::Observation;

/// Passes of a job that are told apart; the later ones are one.
const PASSES: u16 = 3;

/// Counts whose units and work are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Hash of the model's name: two models in one place would cost a wrong warning, and names cost memory.
    model: u64,
    phase: u16,
    /// Floor of the binary logarithm of size × batch.
    bucket: u8,
    pass: u8,
    total_known: bool,
    /// A device counts in other units than its host.
    is_gpu: bool,
}

/// A key on one device: a rate of the card beside it is nobody's own history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OwnKey {
    pub(super) key: Key,
    device: u64,
}

impl OwnKey {
    /// `None` where no model is known: nothing to compare with.
    pub(super) fn of(o: &Observation) -> Option<Self> {
        let info = o.info.as_deref().filter(|info| !info.model.is_empty())?;
        let key = Key {
            model: fnv1a64_of_bytes(info.model.bytes()),
            phase: o.phase.id(),
            bucket: bucket(info, o.phase),
            pass: o.pass.min(PASSES) as u8,
            total_known: o.total.is_some(),
            is_gpu: o.owner.kind() == Kind::Gpu,
        };
        Some(Self { key, device: info.device })
    }
}

/// A model is loaded alike whatever the job.
fn bucket(info: &Info, phase: Phase) -> u8 {
    match phase {
        Phase::Loading | Phase::Downloading | Phase::DownloadingAux => 0,
        _ => info.size.max(1).saturating_mul(info.batch.max(1)).ilog2() as u8,
    }
}
