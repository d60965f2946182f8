//! hangwatch tells a hung inference worker from a slow, stopped or idle one, and replaces it.
//!
//! A worker writes heartbeat, phase and progress as atomics into a slot of a shared segment, with no system call per step;
//! a monitor polls the slots, computes ages by its own clock, judges, and acts. The two sides meet in [`layout`] only.
//!
//! ```no_run
//! let mut worker = hangwatch::attach("sd-0").unwrap_or_else(|e| { eprintln!("{e}"); hangwatch::Worker::detached() });
//! worker.begin_job("a1b2c3d4", "stable_diffusion_xl", hangwatch::Total::Known(50));
//! for done in 1..=50 {
//!     // … one denoising step …
//!     worker.step(done);
//! }
//! worker.end_job(hangwatch::Outcome::Ok);
//! ```
//!
//! Where nobody watches (no segment in the environment), `attach` gives a detached handle on which everything is a no-op.

// Under loom the layout alone is compiled, for its models: most of its users are not there.
#![cfg_attr(loom, allow(dead_code, unreachable_pub))]
// The worker side alone leaves what a monitor needs of the layers below it unused; the full build finds what nobody uses.
#![cfg_attr(not(feature = "monitor"), allow(dead_code))]

mod sync;

pub mod layout;

#[cfg(not(loom))]
pub mod clock;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod os;
#[cfg(not(loom))]
pub mod segment;
#[cfg(not(loom))]
pub mod snapshot;
#[cfg(not(loom))]
pub mod worker;

#[cfg(all(not(loom), feature = "monitor"))]
pub mod engine;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod evidence;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod helper;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod judge;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod learn;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod monitor;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod observe;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod policy;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod rate;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod reader;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod record;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod recover;
#[cfg(all(not(loom), feature = "monitor"))]
pub mod tell;

#[cfg(not(loom))]
pub use error::{Error, ErrorKind, Result};
#[cfg(not(loom))]
pub use layout::phase::Phase;
#[cfg(not(loom))]
pub use worker::{Attach, Job, Outcome, Total, Worker, attach};

/// The README's examples compile.
#[cfg(all(doctest, not(loom)))]
#[doc = include_str!("../README.md")]
struct Readme;
