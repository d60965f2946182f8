//! Fixed timeouts: one for all, or one a phase.

use super::Estimate;
use crate::replay::names::Names;
use crate::replay::session::Key;
use std::rc::Rc;

/// The same silence for everything.
#[derive(Debug, Clone)]
pub(crate) struct Fixed(pub(crate) f64);

impl Estimate for Fixed {
    fn learn(&mut self, _: f64) {}

    fn limit(&self, _: Key) -> Option<f64> {
        Some(self.0)
    }
}

/// What an operator would set after a look at the phases, in seconds; any other phase has 15 s.
const BY_PHASE: [(&str, f64); 9] = [
    ("starting", 60.0),
    ("loading", 60.0),
    ("downloading", 30.0),
    ("downloading_aux", 30.0),
    ("post_processing", 15.0),
    ("text_encode", 15.0),
    ("denoise", 15.0),
    ("vae_decode", 30.0),
    ("prefill", 30.0),
];
const OTHER: f64 = 15.0;

/// A silence a phase.
#[derive(Debug, Clone)]
pub(crate) struct FixedByPhase(Rc<Vec<(u16, f64)>>);

impl FixedByPhase {
    pub(crate) fn new(names: &mut Names) -> Self {
        Self(Rc::new(BY_PHASE.iter().map(|(phase, limit)| (names.id(phase), *limit)).collect()))
    }
}

impl Estimate for FixedByPhase {
    fn learn(&mut self, _: f64) {}

    fn limit(&self, key: Key) -> Option<f64> {
        Some(self.0.iter().find(|(phase, _)| *phase == key.phase).map_or(OTHER, |(_, limit)| *limit))
    }
}
