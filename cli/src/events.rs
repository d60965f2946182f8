//! Events as JSON Lines: a file that is appended to, or standard output.

use hangwatch::tell::{Event, Sink};
use hangwatch::{Error, Result};
use std::fs::OpenOptions;
use std::io::{self, Write};

/// An event as a JSON object; `None` where it cannot be one.
pub(crate) fn object(event: &Event) -> Option<Vec<u8>> {
    event.to_json().map(String::into_bytes)
}

/// Writes an object a line.
pub(crate) struct JsonLines {
    to: Box<dyn Write + Send>,
    name: String,
    failing: bool,
}

impl JsonLines {
    /// To the file `name`, or standard output for `-`.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let to: Box<dyn Write + Send> = if name == "-" {
            Box::new(io::stdout())
        } else {
            let file = OpenOptions::new().create(true).append(true).open(name);
            Box::new(file.map_err(|e| Error::io(format!("cannot write events to '{name}'"), &e))?)
        };
        Ok(Self { to, name: name.into(), failing: false })
    }
}

impl Sink for JsonLines {
    fn tell(&mut self, event: &Event) {
        let Some(mut line) = object(event) else { return };
        line.push(b'\n');
        // One write a line: a kill leaves whole lines.
        match self.to.write_all(&line).and_then(|()| self.to.flush()) {
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
