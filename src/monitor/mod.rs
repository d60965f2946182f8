//! The monitor: the loop, and the only module that knows every row below.
//!
//! ```text
//! Monitor ── thread ── Scanner::poll ──► events ──► Teller ── thread ── sinks
//!                        (never waits)      │
//!                                           └─ wanted ──► Supervisor ── thread ── signals, reaps, respawns   (`run` only)
//! ```
//!
//! A poll is glance, read, judge (the pure [`crate::engine`]), write. Nothing in `Scanner::poll` is unbounded: no kill, wait,
//! dump, hook, DNS or fsync, and no lock that another thread holds for long.

mod builder;
mod exits;
mod glance;
mod history;
mod hosted;
mod keeper;
mod look;
mod loss;
mod orphans;
mod probe;
mod proof;
mod pulse;
mod report;
mod sampler;
mod scan;
pub mod status;
mod supervise;
mod sweep;
mod takeover;
mod thread;
mod view;

pub use builder::Builder;
pub use hosted::{Health, Hosted, Seen};
pub use keeper::{learnt_path, read_learnt};
pub use orphans::become_subreaper;
pub use pulse::Pulse;
pub use sampler::Sampler;
pub use scan::{Judged, Poll, Scanner};
pub use supervise::{Ending, Fleet, FleetEnd, ModelReport, ReplicaEnd, ReplicaReport, Restart, Spawner, Start, Stopper};
pub use sweep::check;
pub use thread::{Home, Monitor, Reloader};
pub use view::{Source, View, Viewer};
