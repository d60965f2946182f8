//! What is to be run, and how it ended.

use super::thread::Running;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use crate::segment::Segment;
use crate::tell::Told;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

/// Whether a worker that ends by itself is started again. One that was killed because it hung is, but for `Never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// If it failed; exit code 0 is done.
    #[default]
    OnFailure,
    /// However it ended.
    Always,
    /// No.
    Never,
}

/// The workers to spawn: one command, some replicas.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) command: Vec<OsString>,
    pub(super) replicas: u32,
    pub(super) restart: Restart,
}

impl Fleet {
    /// One replica of `command`, whose first word is the program. `{i}` in a word stands for the replica's number.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), replicas: 1, restart: Restart::default() }
    }

    /// This many replicas.
    #[must_use]
    pub fn replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// With this restart rule.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// The command of replica `i`.
    pub(super) fn argv(&self, i: u32) -> Vec<OsString> {
        self.command.iter().map(|word| replace(word, i)).collect()
    }

    pub(in crate::monitor) fn start(self, segment: Arc<Segment>, policy: Policy, told: Told) -> Result<Running> {
        if self.command.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", "no command was given"));
        }
        if self.replicas == 0 || self.replicas > segment.len() {
            let why = format!("{} replicas, the segment has {} slots", self.replicas, segment.len());
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", why).hint("ask for more slots with --slots"));
        }
        Running::start(self, segment, policy, told)
    }
}

fn replace(word: &OsStr, i: u32) -> OsString {
    let (mut rest, mut out) = (word.as_bytes(), Vec::new());
    while let Some(at) = rest.windows(3).position(|w| w == b"{i}") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(i.to_string().as_bytes());
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

/// How one replica ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaEnd {
    /// By itself, with this code.
    Code(i32),
    /// By itself, by this signal.
    Signal(i32),
    /// Its restart budget is spent.
    GaveUp,
    /// It was killed because it hung, and is not to be restarted.
    Killed,
    /// The supervisor was stopped.
    Stopped,
    /// It outlived SIGKILL when the supervisor was stopped.
    Unkillable,
    /// It could not be started, and why.
    NotStarted(String),
}

/// How all of them ended, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetEnd {
    /// One a replica.
    pub replicas: Vec<ReplicaEnd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replicas_number_replaces_every_mark_in_every_word() {
        let fleet = Fleet::new(["./w", "--id={i}", "{i}{i}", "{j}"]);
        assert_eq!(fleet.argv(12), ["./w", "--id=12", "1212", "{j}"]);
    }
}
