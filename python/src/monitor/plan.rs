//! What a monitor is to be, and its start.

use super::calls::Hands;
use super::running::Running;
use crate::error::{caught, raised};
use hangwatch::Result;
use hangwatch::evidence::Settings;
use hangwatch::monitor::{Fleet, Hosted, Monitor};
use hangwatch::policy::PolicySet;
use hangwatch::segment::{Geometry, Segment, path, survive_truncation};
use hangwatch::tell::JsonLines;
use pyo3::prelude::*;
use std::path::{Path, PathBuf};

/// What a monitor is to be. Whoever gives it workers of its own sets `fleet`.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// A name, or a path with a slash; else as the environment says.
    pub(crate) segment: Option<PathBuf>,
    pub(crate) policies: PolicySet,
    /// Ends hung workers that others spawned.
    pub(crate) acts_on_others: bool,
    /// Of a segment that is made; else as the environment says.
    pub(crate) slots: Option<u32>,
    pub(crate) slot_size: Option<u32>,
    pub(crate) learnt: Option<PathBuf>,
    /// Where events are appended to, whatever the interpreter does.
    pub(crate) jsonl: Option<PathBuf>,
    pub(crate) unlinks: bool,
    pub(crate) hands: Option<Hands>,
    /// Workers that it spawns and replaces.
    pub(crate) fleet: Option<Fleet>,
    /// Keeps evidence of a hung worker.
    pub(crate) evidence: Option<Settings>,
}

impl Plan {
    /// Starts its threads. `what` is what was being done, for an error.
    pub(crate) fn start(self, py: Python<'_>, what: &str) -> PyResult<Running> {
        // Without the GIL: it makes files, and it spawns.
        let made = py.detach(|| caught(what, || self.started()));
        raised(py, made).map(Running::new)
    }

    fn started(self) -> Result<Hosted> {
        let path = place(self.segment.as_deref())?;
        let usual = Geometry::from_env()?;
        let geometry =
            Geometry { slots: self.slots.unwrap_or(usual.slots), slot_size: self.slot_size.unwrap_or(usual.slot_size) };
        // A segment that somebody cuts short must not end the host by a SIGBUS.
        survive_truncation()?;
        let segment = Segment::open_or_create(&path, geometry)?;
        let mut builder = Monitor::builder(segment.into()).policies(self.policies.clone());
        builder = builder.without_log().without_signals().follow();
        if let Some(learnt) = self.learnt {
            builder = builder.learnt(learnt);
        }
        if self.acts_on_others {
            builder = builder.act_on_others();
        }
        if self.unlinks {
            builder = builder.unlink_at_end();
        }
        if let Some(fleet) = self.fleet {
            builder = builder.fleet(fleet);
        }
        if let Some(evidence) = self.evidence {
            builder = builder.evidence(evidence);
        }
        if let Some(jsonl) = &self.jsonl {
            builder = builder.sink(Box::new(JsonLines::append(jsonl)?));
        }
        if let Some(hands) = self.hands {
            builder = builder.sink_apart(Box::new(hands));
        }
        Ok(Hosted::new(builder.spawn()?, self.policies))
    }
}

/// Where the segment of that name or path is.
pub(super) fn place(segment: Option<&Path>) -> Result<PathBuf> {
    segment.map_or_else(path::usual, |named| path::resolve(&named.to_string_lossy()))
}
