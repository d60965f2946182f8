//! The operating system: every libc call stands here, behind a safe function. Row 0: knows nothing of slots.
#![allow(unsafe_code)]

pub(crate) mod access;
pub(crate) mod canary;
#[cfg(feature = "monitor")]
pub(crate) mod cgroup_tree;
#[cfg(feature = "monitor")]
pub(crate) mod children;
pub(crate) mod file;
pub(crate) mod identity;
pub(crate) mod liveness;
#[cfg(feature = "monitor")]
pub(crate) mod lock;
pub(crate) mod pidfd;
pub(crate) mod proc;
pub(crate) mod quiet;
pub(crate) mod sigbus;
#[cfg(feature = "monitor")]
pub(crate) mod spawn;
pub(crate) mod time;
#[cfg(feature = "monitor")]
pub(crate) mod wake;

#[cfg(all(test, feature = "monitor"))]
pub(crate) mod tests;

use std::io;

/// The result of a call that returns -1 and sets errno.
fn checked(rc: libc::c_int) -> io::Result<libc::c_int> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}
