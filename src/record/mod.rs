//! Traces: what a monitor saw, poll by poll, in a file that only grows. `docs/trace.md` draws the bytes.
//!
//! ```text
//! Writer ─► header │ frame │ frame │ …          a frame a poll: the host, and the slots that changed since the last frame
//! Reader ◄─────────┘                            a cut in the last frame loses that frame; damage is an error with its offset
//! ```
//!
//! Pure: bytes go to any `Write` and come from any `Read`. Files, their names and their bound are the caller's.

mod crc;
mod frame;
mod header;
mod reader;
mod slot;
mod wire;
mod writer;

pub use frame::{Frame, MAX_FRAME};
pub use header::{HEADER_LEN, Header, MAGIC, MAX_SLOTS, VERSION};
pub use reader::{Cut, Reader, TraceError};
pub use writer::{Writer, Written};

#[cfg(test)]
mod tests;
