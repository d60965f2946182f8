//! Recovery: a ladder and a budget that are pure, and the acts that they ask for.
//!
//! ```text
//!   up ──hung──► SIGTERM (with SIGCONT) ──grace──► SIGKILL ──d_wait──► unkillable: told, slot set aside
//!    ▲                    │                            │                    │
//!    └── respawn ◄── backoff, budget ◄── exit confirmed, reaped ◄───────────┘
//! ```

mod acts;
mod budget;
mod ladder;

pub(crate) use acts::Child;
pub use acts::Exit;
pub use budget::Budget;
pub use ladder::{Act, Ladder};
