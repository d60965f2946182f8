//! Learnt thresholds: how long a silence may be before it is worth a suspicion, learnt from the silences that ended by
//! themselves. Pure: observations and ticks in, suspicions out.
//!
//! ```text
//!  sign of progress        sign                     sign                 no sign …
//!        ├── gap ───────────┤─────── gap ────────────┤───── silence ───────►
//!        │  learnt: histogram of its key             │  compared with T: suspect at T, may act at T + max(T, floor)
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `key` | what gaps are told apart by: model, phase, size bucket, part |
//! | `histogram` | gaps by length, four bins an octave |
//! | `scheme` | the formula: floors, ceilings, factor |
//! | `entry` | one key's gaps, its outliers, its threshold |
//! | `store` | all keys of one monitor, bounded, and their summaries |
//! | `follower` | one slot's: what is being timed now |
//! | `timer` | one gap, from its opening to its end |
//! | `shapes` | which input shapes a worker has met since it loaded |
//! | `bytes` | the keys as bytes and back |

mod bytes;
mod entry;
mod follower;
mod histogram;
mod key;
mod scheme;
mod shapes;
mod store;
mod timer;

pub use bytes::Unreadable;
pub use follower::{Follower, Suspicion};
pub use key::{Key, Part};
pub use store::{Learnt, MAX_KEYS, Row};

#[cfg(test)]
mod tests;
