//! The monitor and the reader from C: every function that `include/hangwatch_monitor.h` declares, and all of libhangwatch's, so
//! that a host links one of the two. The header is the manual.
//!
//! | module | declares |
//! |---|---|
//! | [`reader`] | what a segment says, monitor or not |
//! | [`policy`] | budgets and all else that a monitor expects of workers |
//! | [`monitor`] | the monitor as threads of the host |
//! | [`snapshot`] | `hangwatch_snapshot_t`: one slot |
//! | [`event`] | `hangwatch_event_t`: what a callback gets |
//! | [`names`] | what numbers are called |
//! | `call` | how a call that can fail says so, and fills the caller's structs |
//! | the others | libhangwatch, by the very same files |
#![allow(unsafe_code)]

// Without unwinding a panic could not be kept from ending the host.
#[cfg(not(panic = "unwind"))]
compile_error!("libhangwatch_monitor never aborts its host: build it with panic = \"unwind\"");

#[path = "../../src/attach.rs"]
pub mod attach;
#[path = "../../src/errno.rs"]
mod errno;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/guard.rs"]
mod guard;
#[path = "../../src/handle.rs"]
pub mod handle;
#[path = "../../src/report.rs"]
pub mod report;
#[path = "../../src/text.rs"]
pub mod text;

mod call;
pub mod event;
pub mod monitor;
pub mod names;
pub mod policy;
pub mod reader;
pub mod snapshot;
