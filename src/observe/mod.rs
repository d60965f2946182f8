//! From snapshots to ages, by the monitor's own clock. Pure: no slot, no clock, no /proc.
//!
//! An age starts when a *change* was first seen, so nothing rests on a worker's clock, and it grows by clamped intervals
//! only, so nothing rests on the monitor having been awake.

mod ages;
mod aside;
mod clock;
mod since;
mod track;

pub use ages::{Age, Ages, Observation};
pub use clock::{PollClock, Strain, Tick};
pub use track::{Resume, Track};
