//! The writer under test, and a stage for each case.

use super::stage::{Setup, Stage};
use super::{Halt, Proof};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// What all cases share.
#[derive(Debug)]
pub(crate) struct World {
    /// The writer's command.
    pub(crate) writer: Vec<OsString>,
    /// How long it may take to answer.
    pub(crate) deadline: Duration,
    /// Somebody wants it all to end.
    pub(crate) stop: Arc<AtomicBool>,
}

impl World {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed) // Relaxed: a flag, seen a little later at worst
    }

    /// A stage as it is set up, with a writer that has not been asked anything yet.
    pub(super) fn stage(&self, setup: Setup) -> Result<Stage<'_>, Halt> {
        Stage::set(self, setup)
    }

    /// The stage of most cases: the writer is attached to the slot that was reserved for it.
    pub(super) fn attached(&self) -> Result<Stage<'_>, Halt> {
        let mut stage = self.stage(Setup::default())?;
        stage.attach()?;
        Ok(stage)
    }

    /// The same with a job of 50 steps, of which `done` are done.
    pub(super) fn in_job(&self, done: u64) -> Result<Stage<'_>, Halt> {
        let mut stage = self.attached()?;
        stage.tell("begin_job a1b2 sdxl 50")?;
        stage.tell(&format!("step {done}"))?;
        Ok(stage)
    }

    /// Calls whose answer is `ok`, then a look at the slot before and after the last.
    pub(super) fn look(
        &self,
        stage: &mut Stage<'_>,
        call: &str,
        at: impl FnOnce(&super::seen::Seen, &super::seen::Seen) -> Proof,
    ) -> Proof {
        let before = stage.seen()?;
        stage.tell(call)?;
        at(&stage.seen()?, &before)
    }
}
