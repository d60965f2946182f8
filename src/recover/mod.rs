//! Recovery: a ladder and a budget that are pure, and the acts that they ask for.
//!
//! ```text
//!   up ──hung──► SIGTERM (with SIGCONT) ──grace──► SIGKILL ──d_wait──► unkillable: told, slot set aside
//!    ▲                    │                            │                    │
//!    └── respawn ◄── backoff, budget ◄── exit confirmed, reaped ◄───────────┘
//! ```

mod acts;
mod budget;
mod cap;
mod ladder;
#[allow(dead_code, reason = "the supervisor takes what it needs of it")]
pub(crate) mod tree;

pub(crate) use acts::{Child, Exit};
pub use budget::Budget;
pub use cap::Cap;
pub use ladder::{Act, Ladder};
