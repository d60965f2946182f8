//! Events as JSON Lines: a file that is appended to, or standard output.

use super::event::Event;
use super::teller::Sink;
use crate::error::{Error, Result};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// Writes each event as a JSON object on a line of its own, at once.
pub struct JsonLines {
    to: Box<dyn Write + Send>,
    name: String,
    failing: bool,
}

impl std::fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLines").field("name", &self.name).finish_non_exhaustive()
    }
}

impl JsonLines {
    /// Appends to the file, which is made where it is absent.
    pub fn append(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|e| Error::io(format!("cannot write events to '{name}'"), &e))?;
        Ok(Self { to: Box::new(file), name, failing: false })
    }

    /// To standard output.
    pub fn stdout() -> Self {
        Self { to: Box::new(io::stdout()), name: "-".into(), failing: false }
    }
}

impl Sink for JsonLines {
    fn tell(&mut self, event: &Event) {
        let Some(mut line) = event.to_json() else { return };
        line.push('\n');
        // One write a line: a kill leaves whole lines.
        match self.to.write_all(line.as_bytes()).and_then(|()| self.to.flush()) {
            Ok(()) => self.failing = false,
            Err(e) => {
                // Said once until it works again; a reader that has gone away is none of our business.
                if !self.failing && e.kind() != io::ErrorKind::BrokenPipe {
                    tracing::error!("cannot write events to '{}': {e}", self.name);
                }
                self.failing = true;
            }
        }
    }
}
