//! The private segment and the processes of one demo. Dropping it ends and removes them, whatever happened.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hangwatch::segment::{Geometry, Segment, path};
use hangwatch::worker::{ENV_DEVICE, ENV_NAME, ENV_SEGMENT, ENV_SLOT};
use hangwatch::{Error, ErrorKind, Result, clock};

use super::rows::Row;

/// Workers end by themselves after so many timeouts, should the demo be killed.
const LASTING: u32 = 100;

#[derive(Debug)]
pub(super) struct Stage {
    segment: Arc<Segment>,
    /// Each with its row's label.
    children: Vec<(&'static str, Child)>,
}

impl Stage {
    /// A segment of its own, with a slot for each row.
    pub(super) fn set(slots: usize) -> Result<Self> {
        let name = format!("demo-{}-{:x}", std::process::id(), clock::monotonic_ns());
        let geometry = Geometry { slots: u32::try_from(slots).unwrap_or(u32::MAX), ..Geometry::default() };
        let segment = Segment::create(&path::directory().join(name), geometry)?;
        Ok(Self { segment: Arc::new(segment), children: Vec::new() })
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Starts a row's worker: this program, as `inject`.
    pub(super) fn enter(&mut self, row: &Row, timeout: Duration) -> Result<()> {
        let what = || format!("cannot start the demo's worker '{}'", row.name);
        let program = std::env::current_exe().map_err(|e| Error::io(what(), &e))?;
        let mut command = Command::new(program);
        command.args(row.arguments(timeout)).arg("--segment").arg(self.segment.path());
        command.arg("--for").arg(format!("{}ms", (timeout * LASTING).as_millis()));
        for inherited in [ENV_SEGMENT, ENV_SLOT, ENV_DEVICE, ENV_NAME] {
            command.env_remove(inherited);
        }
        // What a worker has to complain of is worth reading; the rest is the table's.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.children.push((row.name, command.spawn().map_err(|e| Error::io(what(), &e))?));
        Ok(())
    }

    /// An error if a worker has ended: none of them does so by itself before the demo is over.
    pub(super) fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.children {
            let what = || "cannot go on with the demo".to_owned();
            if let Some(status) = child.try_wait().map_err(|e| Error::io(what(), &e))? {
                return Err(Error::new(ErrorKind::System, what(), format!("its worker '{name}' has ended: {status}")));
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A child that has ended is no error: its handle knows, and signals nobody else.
        for (_, child) in &mut self.children {
            let _ = child.kill();
        }
        for (_, child) in &mut self.children {
            let _ = child.wait();
        }
        let _ = self.segment.unlink();
        for ending in path::SIDECARS {
            let mut beside = self.segment.path().as_os_str().to_owned();
            beside.push(format!(".{ending}"));
            let _ = std::fs::remove_file(beside);
        }
    }
}
