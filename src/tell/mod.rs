//! Telling: events, and the sinks that take them. Is told, never asks.
//!
//! Sinks run on a thread of their own behind a bounded queue, so that a full disk, a stopped terminal or a slow callback
//! never holds up a scan. What does not fit the queue is counted, and the count is told.

mod event;
mod json;
mod lines;
mod log;
mod teller;
pub mod text;

pub use event::{Event, EventKind, SCHEMA_VERSION};
pub use lines::JsonLines;
pub use log::LogSink;
pub use teller::{Sink, Teller, TellingThread, Told};
