//! The commands, a file each.

pub(crate) mod conformance;
mod control;
pub(crate) mod demo;
mod ending;
mod evidence;
pub(crate) mod explain;
pub(crate) mod inject;
pub(crate) mod inspect;
mod outward;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod run;
mod shared;
mod standby;
pub(crate) mod status;
pub(crate) mod watch;
mod workers;
