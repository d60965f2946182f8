//! Replay: recorded sessions judged again, by our own engine and by the detectors of the field, and both scored alike.
//!
//! ```text
//! trace file ─► trace ─┐
//! CSV folder ─► csv ───┼─► Session ─► Look a poll ─► Detector ─► alarms ─► score ─► table
//!               mlperf ┘      └─────► truth, inject ──────────────────────────┘
//! ```
//!
//! Nothing here reads a clock or a random number of the system's, so the same input gives the same bytes.

pub(crate) mod baselines;
pub(crate) mod csv;
pub(crate) mod detector;
pub(crate) mod frontier;
pub(crate) mod inject;
mod marks;
pub(crate) mod names;
pub(crate) mod ours;
pub(crate) mod raw;
pub(crate) mod score;
pub(crate) mod session;
pub(crate) mod table;
pub(crate) mod trace;
pub(crate) mod truth;
mod words;

#[cfg(test)]
mod tests;
