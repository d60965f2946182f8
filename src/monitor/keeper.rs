//! Keeps what was learnt over a restart: a file beside the segment, `<segment>.learnt`, replaced as a whole.
//!
//! The scan hands bytes over and never waits; a thread writes them. A file that cannot be read is set aside, not lost.

use crate::error::{Error, ErrorKind, Result};
use crate::learn::Learnt;
use crate::os::file;
use crate::segment::Segment;
use std::fs;
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

/// What a monitor has learnt and kept; `None` where there is no such file. It is left as it is.
pub fn read_learnt(path: &Path) -> Result<Option<Learnt>> {
    let what = || format!("cannot read what was learnt, '{}'", path.display());
    let Some(bytes) = file::read_own(path, Learnt::MAX_BYTES).map_err(|e| Error::io(what(), &e))? else { return Ok(None) };
    let learnt = Learnt::from_bytes(&bytes).map_err(|e| Error::new(ErrorKind::System, what(), e.to_string()));
    learnt.map(Some).map_err(|e| e.hint("a monitor that starts sets such a file aside and learns anew"))
}

/// What was learnt before; nothing where there is no such file, or it cannot be read. Whether this monitor may keep it there:
/// not over the file of another member of a group, who will go on from it.
pub(super) fn load(path: &Path) -> (Learnt, bool) {
    if let Ok(Some(uid)) = file::other_owner(path) {
        let why = format!("it is of uid {uid}, and believed by that user alone");
        tracing::warn!(
            "what was learnt, '{}', is left alone: {why}; this monitor learns anew and keeps nothing (name another file with --learnt)",
            path.display()
        );
        return (Learnt::new(), false);
    }
    let learnt = read_learnt(path).map(Option::unwrap_or_default).unwrap_or_else(|e| {
        let aside = file::sidecar(path, "bad");
        let kept = match fs::rename(path, &aside) {
            Ok(()) => format!("it is set aside as '{}'", aside.display()),
            Err(e) => format!("it cannot be set aside either: {e}"),
        };
        tracing::warn!("cannot use what was learnt, '{}': {}; {kept}; learning starts anew", path.display(), e.why());
        Learnt::new()
    });
    (learnt, true)
}

impl Keeper {
    pub(super) fn spawn(path: PathBuf) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(1);
        let thread = std::thread::Builder::new().name("hangwatch-keep".into()).spawn(move || {
            let mut told = false;
            for bytes in receiver {
                match file::replace(&path, &bytes, true) {
                    Ok(_) => told = false,
                    Err(e) if !told => {
                        told = true;
                        tracing::warn!("cannot keep what was learnt in '{}': {e}; a restart would forget it", path.display());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_file_that_is_cut_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment.learnt");
        assert_eq!(load(&path), (Learnt::new(), true), "no file is no news");
        let bytes = Learnt::new().to_bytes();
        file::replace(&path, &bytes, true).unwrap();
        assert_eq!(file::read_own(&path, Learnt::MAX_BYTES).unwrap().as_deref(), Some(&bytes[..]));
        file::replace(&path, &bytes[..bytes.len() - 1], true).unwrap();
        assert_eq!(load(&path), (Learnt::new(), true));
        assert!(!path.exists() && dir.path().join("segment.learnt.bad").exists(), "what cannot be read is not lost");
        assert!(!dir.path().join("segment.learnt.new").exists());
    }

    #[test]
    fn a_file_that_others_may_write_teaches_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment.learnt");
        file::replace(&path, &Learnt::new().to_bytes(), true).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o620)).unwrap();
        let why = file::read_own(&path, Learnt::MAX_BYTES).unwrap_err().to_string();
        assert!(why.contains("mode 620"), "{why}");
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        assert!(file::read_own(&dir.path().join("link"), 1).is_err(), "a planted link leads nowhere");
    }
}
