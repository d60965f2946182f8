//! How fast a job advances, and whether that is slow. Pure: observations in, a rate, an ETA and a warning out; never an act.
//!
//! ```text
//!  observation ──► follower (a slot's) ──► pace: units a second over the last few steps
//!                     │        ▲
//!            learns at│        │expects
//!     a count's end   ▼        │
//!                  rates (shared): past jobs of the key │ who works now │ the last gap
//! ```
//! A count is what a slot counts without a break: one section, and one pass, of one job. A rate is compared with rates of the
//! same key only (model, phase, pass, size, whether the total is known), as the units of another may be bytes or tokens.
//!
//! | slow because of | expected | begins below | ends at |
//! |---|---|---|---|
//! | its own history | median of past counts of the key on its device; else, after 20 gaps, this count's mean | expected / factor | half-way back |
//! | its peers | median of at least 3 others of the key that work now | expected / factor | half-way back |
//! | the floor | so many percent of the total a minute | expected | 5/4 of it |
//!
//! Nothing is said before two gaps between advances and some seconds (a first unit is cold), under a lease, while it is
//! stopped, at a gap, and after the last unit; a starved worker is held to what it would do with the time that it was not
//! given. A follower need be shown an observation only where something in it changed (a new reading of the process is a
//! change) or [`RateFollower::due`] is reached; one more changes nothing.

mod follower;
mod history;
mod key;
mod mean;
mod pace;
mod peers;
mod shared;
#[cfg(test)]
mod tests;

pub use follower::{RateFollower, Slow, Why};
pub use mean::{eta, mean_since};
pub use shared::{Limits, Rates};
