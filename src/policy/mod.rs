//! What is expected of a worker: budgets, intervals, limits. Plain data; files and flags are read elsewhere.
//!
//! Layers: defaults < profile < file < environment < flags < model < worker. A policy that does not hold together is refused as a whole, and
//! the one in force stays.
//!
//! | file | holds |
//! |---|---|
//! | `keys` | the table: a key's field, kind, default, bound and sentence stand in its one row |
//! | `value` | what a key can hold, and how it is written |
//! | `text` | a text as a key's value |
//! | `choice` | keys that hold one of a few words |
//! | `profile` | named sets of values |
//! | `budget` | how long a phase may last |
//! | `check` | what holds a policy together |
//! | `origin` | layers, and which of them each value came from |
//! | `set` | a policy for each worker, by its model and its label |
//! | `glob` | patterns of names |
//! | `bridge` | the keys of AI Horde's `bridgeData.yaml` |
//! | `raw` | a value of a file or a program, before it is known whose it is |
//! | `nearest` | the name that was probably meant |

mod bridge;
mod budget;
mod check;
mod choice;
mod glob;
mod keys;
mod nearest;
mod origin;
mod profile;
mod raw;
mod set;
mod text;
mod value;

pub use bridge::{BRIDGE, Bridge};
pub use check::Problem;
pub use choice::Adaptive;
pub use keys::{Bound, KEYS, Key, Policy, Scope};
pub use nearest::{did_you_mean, nearest};
pub use origin::{Layered, Origin, Origins};
pub use profile::{PROFILES, Profile};
pub use raw::{Mismatch, Raw};
pub use set::{Entry, Of, PolicySet};
pub use text::{DURATION_FORMS, parse_duration, quoted};
pub use value::{Kind, MAX_COUNT, MAX_DURATION, MAX_FACTOR, Value, ns};

/// The key of the version of the file's format, and the version that this build reads.
pub const VERSION_KEY: &str = "hangwatch";
/// See [`VERSION_KEY`].
pub const VERSION: i64 = 1;
/// Not a row of the table: it stands for several values.
pub const PROFILE_KEY: &str = "profile";
