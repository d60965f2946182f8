//! Gatherings of real processes.

mod bundles;
mod dumpers;
mod processes;

use super::{Gatherer, Outcome, Settings, Subject};
use crate::judge::Verdict;
use crate::os::pidfd::PidFd;
use crate::tell::{Event, EventKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// More than any gathering of these tests takes: each ends for another reason.
const LONG: Duration = Duration::from_secs(600);

/// A folder for bundles, and settings that keep them there.
struct Scratch {
    dir: TempDir,
    settings: Settings,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let settings = Settings { directory: dir.path().join("evidence"), ..Settings::default() };
        Self { dir, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gathered(&self, subject: Subject, deadline: Duration) -> Outcome {
        gathered(&self.settings, subject, deadline)
    }

    /// Names in the folder of bundles, sorted.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.settings.directory).expect("made by a gathering");
        let mut names: Vec<String> = entries.map(|it| it.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }
}

fn gathered(settings: &Settings, subject: Subject, deadline: Duration) -> Outcome {
    let (tells, told) = channel();
    let tell = move |outcome| tells.send(outcome).expect("the test waits");
    Gatherer::new(settings.clone()).gather(subject, deadline, tell);
    told.recv().expect("every gathering is answered")
}

fn event() -> Event {
    let event = Event::new(EventKind::Opened, "/dev/shm/hangwatch-0/train", SystemTime::UNIX_EPOCH);
    Event { episode: Some(17), slot: Some(3), verdict: Some(Verdict::Stalled), ..event }
}

/// Of nobody: what a gathering knows without a process.
fn nobody() -> Subject {
    Subject { event: event(), pid: 0, tid: 0, fd: None, history: Vec::new(), log: None, verdict: Verdict::Stalled }
}

/// Of this process, with a thread of it.
fn of_process(pid: u32, tid: u32) -> Subject {
    Subject { pid, tid, fd: Some(PidFd::open(pid).expect("it lives")), ..nobody() }
}

fn read(bundle: &Path, file: &str) -> String {
    std::fs::read_to_string(bundle.join(file)).unwrap_or_else(|e| panic!("{}/{file}: {e}", bundle.display()))
}

fn json(bundle: &Path) -> serde_json::Value {
    serde_json::from_str(&read(bundle, "evidence.json")).expect("evidence.json is JSON")
}
