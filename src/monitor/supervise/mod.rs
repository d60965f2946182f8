//! The supervisor: one thread that spawns workers, reaps them, and replaces those that a scan finds hung.
//!
//! The kill unit is the spawned tree, through the pidfd that the spawn gave. The pid in a slot is for display, and to find
//! the slots of a tree: never a reason to signal.

mod case;
mod children;
mod ending;
mod evidence;
mod fleet;
mod host;
mod ledger;
mod mail;
mod reclaim;
mod replica;
mod slots;
mod supervisor;
mod thread;
mod turn;
mod wards;
mod world;

pub use ending::Ending;
pub use fleet::{Fleet, FleetEnd, ModelReport, ReplicaEnd, ReplicaReport, Restart};
pub use host::{Spawner, Start};
pub use thread::Stopper;
pub(super) use thread::{Asker, Running, Setup};
pub(super) use turn::OBSERVES;
