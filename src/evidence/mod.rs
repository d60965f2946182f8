//! Evidence of a hung worker, kept before it is ended: what the kernel says of its threads, and what it waits for in one line.
//!
//! ```text
//! Gatherer::gather ── thread of its own (at most 4 at work, more wait their turn) ──► done(Outcome), by the deadline
//!    │
//!    ├─ two samples of every thread, 250 ms apart ──► cause (pure)
//!    ├─ cgroup, pressure, machine, the slot's history, the tail of the worker's log
//!    ├─ as configured: GPU facts, py-spy, gdb, other dumpers (helpers with a timeout), the worker's own traceback
//!    └─ a folder under a temporary name ──rename──► <time>-<segment>-slot<N>-episode<id>, and the oldest go
//! ```
//!
//! Of /proc only files that answer at once are read here: not even an answer that never comes holds up whoever asked, but the
//! thread would be lost. Nothing is read of a process whose identity is not proven, nor kept if it ended while it was read.

mod cause;
mod dump;
mod folder;
mod gather;
mod gatherer;
mod interpreter;
mod log;
mod name;
mod places;
mod preflight;
mod report;
mod settings;
mod stuck;
mod threads;
mod traceback;

pub use cause::{Cause, CauseKind};
pub use gatherer::Moment;
pub(crate) use gatherer::{Gatherer, Outcome, Subject};
pub use interpreter::{Interpreter, InterpreterState};
pub use settings::{Dumper, Settings};
pub(crate) use stuck::stuck;

#[cfg(test)]
mod tests;
