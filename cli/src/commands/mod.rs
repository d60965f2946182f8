//! The commands, a file each: the arguments, and `run`, which gives the exit code.

pub(crate) mod demo;
pub(crate) mod inject;
