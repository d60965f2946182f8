//! The C side of hangwatch: every function that `include/hangwatch.h` declares, and nothing else. The header is the manual.
//!
//! | module | declares |
//! |---|---|
//! | [`attach`] | where a worker comes from and goes to: attach, lane, detach, and what it says of itself |
//! | [`report`] | the vocabulary: phases, jobs, leases, beats |
//! | [`error`] | `hangwatch_error_t` |
//! | [`handle`] | what a `hangwatch_worker_t` is, and that its first members are where the header's inline functions look |
//! | [`errno`] | that `errno` stays the host's |
//! | [`guard`] | that no panic leaves the library |
#![allow(unsafe_code)]

// Without unwinding a panic could not be kept from ending the host.
#[cfg(not(panic = "unwind"))]
compile_error!("libhangwatch never aborts its host: build it with panic = \"unwind\"");

pub mod attach;
mod errno;
pub mod error;
mod guard;
pub mod handle;
pub mod report;
pub mod text;
