//! The commands, a file each.

pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod inject;
pub(crate) mod inspect;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod run;
mod shared;
pub(crate) mod status;
pub(crate) mod watch;
