//! The commands, a file each.

pub(crate) mod inspect;
pub(crate) mod run;
mod shared;
pub(crate) mod status;
pub(crate) mod watch;
