//! What is gathered, where it is kept, and how much of it.

use crate::os::file::euid;
use std::ffi::OsString;
use std::path::PathBuf;

/// The largest bundle. Threads, history and text are cut to fit.
pub(super) const MAX_BUNDLE: u64 = 4 * 1024 * 1024;

/// Bytes that a bundle may have in any case: its summary, its machine and a few threads.
pub(super) const LEAST_BUNDLE: u64 = 64 * 1024;

/// A program that looks into the worker from outside. The worker's pid stands for `{pid}` in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dumper {
    /// `py-spy dump --nonblocking`: the stacks of a Python worker, read without holding it up.
    PySpy,
    /// `gdb` with `thread apply all bt`: the stacks of anything else. Holds the worker up while it reads.
    Gdb,
    /// A command of the operator, program first.
    Command(Vec<OsString>),
}

/// How evidence is gathered and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of all bundles: our own, mode 0700; made if it is absent.
    pub directory: PathBuf,
    /// Bundles to keep; the oldest go first.
    pub max_bundles: usize,
    /// Bytes that all bundles together may hold; one is at most 4 MiB of them.
    pub max_bytes: u64,
    /// Bytes from the end of the worker's log.
    pub log_tail: u64,
    /// Run one after the other, each with an equal part of the time that is left.
    pub dumpers: Vec<Dumper>,
    /// A signal at which the worker writes its own traceback to its log, as Python's `faulthandler.register` makes it. Sent to
    /// a worker that catches it and to no other.
    pub faulthandler: Option<i32>,
    /// A command that prints facts about the GPUs, program first; `{pid}` stands for the worker's pid.
    pub gpu: Option<Vec<OsString>>,
}

impl Default for Settings {
    /// What the kernel tells, and no program of others.
    fn default() -> Self {
        Self {
            directory: directory(),
            max_bundles: 32,
            max_bytes: 64 * 1024 * 1024,
            log_tail: 64 * 1024,
            dumpers: Vec::new(),
            faulthandler: None,
            gpu: None,
        }
    }
}

/// `$XDG_STATE_HOME/hangwatch/evidence`, else `$HOME/.local/state/hangwatch/evidence`, else `/var/tmp/hangwatch-<uid>/evidence`:
/// on a disk, for it is read after the fact.
fn directory() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let ours = state.map_or_else(|| PathBuf::from(format!("/var/tmp/hangwatch-{}", euid())), |state| state.join("hangwatch"));
    ours.join("evidence")
}
