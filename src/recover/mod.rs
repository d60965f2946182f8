//! Recovery: a ladder, a budget and a sense for storms that are pure, and the acts that they ask for.
//!
//! ```text
//!   up ──hung──► stop, please; evidence ──► SIGTERM (with SIGCONT) ──grace──► SIGKILL ──d_wait──► unkillable: told, slot and
//!    ▲                    │                       │                              │                 device set aside
//!    └─ respawn ◄─ backoff, budget ◄─ reclaimed? ◄─ tree swept, reaped ◄─ exit confirmed ◄───────────────┘
//! ```

mod budget;
mod cap;
mod ladder;
mod models;
mod storm;
mod tree;

pub use budget::Budget;
pub use cap::Cap;
pub use ladder::{Act, Ladder, Patience};
pub use models::Models;
pub use storm::{Storm, Turn};
pub(crate) use tree::{Exit, Journal, NotAdopted, Spawn, Tree};
