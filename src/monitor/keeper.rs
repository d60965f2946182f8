//! Keeps what was learnt over a restart: a file beside the segment, `<segment>.learnt`, replaced as a whole.
//!
//! The scan hands bytes over and never waits; a thread writes them. A file of ours that cannot be read is set aside, not lost.

mod place;

pub(super) use place::Place;

use crate::error::{Error, ErrorKind, Result};
use crate::learn::{Learnt, Unreadable};
use crate::os::file;
use crate::segment::Segment;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How often it is written while something is learnt, in ns of the monitor's clock: what a crash may lose.
const EVERY: u64 = 60_000_000_000;

/// The thread that writes; dropping it writes what was handed over and ends it.
#[derive(Debug)]
pub(super) struct Keeper {
    bytes: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    kept: u64,
    at: u64,
}

/// Where what is learnt of a segment's workers is kept, if no other place is named.
pub fn learnt_path(segment: &Segment) -> PathBuf {
    file::sidecar(segment.path(), "learnt")
}

/// What a monitor has learnt and kept; `None` where there is no such file, or it is empty. It is left as it is.
pub fn read_learnt(path: &Path) -> Result<Option<Learnt>> {
    let what = || format!("cannot read what was learnt, '{}'", path.display());
    let bytes = file::read_own(path, Learnt::MAX_BYTES).map_err(|e| Error::io(what(), &e))?;
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    Learnt::from_bytes(&bytes).map(Some).map_err(|e| {
        let error = Error::new(ErrorKind::System, what(), e.to_string());
        match e {
            Unreadable::Foreign => error.hint("a monitor leaves it alone, and keeps nothing there"),
            _ => error.hint("a monitor that starts sets such a file aside and learns anew"),
        }
    })
}

impl Keeper {
    pub(super) fn spawn(place: Place) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(1);
        let thread = std::thread::Builder::new().name("hangwatch-keep".into()).spawn(move || {
            let mut told = false;
            for bytes in receiver {
                match place.write(&bytes) {
                    Ok(()) => told = false,
                    Err(e) if !told => {
                        told = true;
                        tracing::warn!(
                            "cannot keep what was learnt in '{}': {e}; a restart would forget it",
                            place.path().display()
                        );
                    }
                    Err(_) => {}
                }
            }
        })?;
        Ok(Self { bytes: Some(sender), thread: Some(thread), kept: 0, at: 0 })
    }

    /// Hands over what was learnt, if it is time and there is news. A writer that is busy is asked again when it is time again:
    /// bytes made at every poll for a disk that hangs would be the scan's to pay for.
    pub(super) fn keep(&mut self, learnt: &Learnt, now: u64, at_once: bool) {
        let is_time = at_once || now.saturating_sub(self.at) >= EVERY;
        if !is_time || learnt.revision() == self.kept {
            return;
        }
        let Some(bytes) = &self.bytes else { return };
        let sent = if at_once { bytes.send(learnt.to_bytes()).is_ok() } else { bytes.try_send(learnt.to_bytes()).is_ok() };
        self.at = now;
        if sent {
            self.kept = learnt.revision();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.bytes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
