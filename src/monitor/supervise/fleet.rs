//! What is to be run, and how it ended.

use super::host::Spawner;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::{ENV_SLOTS, Segment};
use crate::worker;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// What shows a process one device alone: to CUDA, and to HIP, which reads its own name first.
const VISIBLE_DEVICES: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// A service manager's words to this process, which are none to its workers: one that took them for its own would speak for it.
const NOT_INHERITED: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

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

/// The workers to spawn: one command, or children of the host's own making; some replicas.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) command: Vec<OsString>,
    spawner: Option<Arc<dyn Spawner>>,
    pub(super) replicas: u32,
    pub(super) restart: Restart,
    pub(super) acts: bool,
    variables: Vec<(String, String)>,
    devices: Vec<String>,
    log_dir: Option<PathBuf>,
    reclaim_probe: Vec<OsString>,
}

impl Fleet {
    /// One replica of `command`, whose first word is the program. `{i}` in a word stands for the replica's number.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            spawner: None,
            replicas: 1,
            restart: Restart::default(),
            acts: true,
            variables: Vec::new(),
            devices: Vec::new(),
            log_dir: None,
            reclaim_probe: Vec::new(),
        }
    }

    /// One replica, which the host starts itself. Where this process is killed nobody takes it over: the next fleet of the segment
    /// ends it before it takes its place.
    pub fn hosted(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner: Some(spawner), ..Self::new([""; 0]) }
    }

    /// Who starts the workers, where they are of the host's own making.
    pub(super) fn host(&self) -> Option<&Arc<dyn Spawner>> {
        self.spawner.as_ref()
    }

    /// No replica at all.
    pub(super) fn nobody() -> Self {
        Self { replicas: 0, ..Self::new([""; 0]) }
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

    /// Spawned and respawned, but never signalled because they hang: it is said what would be done.
    #[must_use]
    pub fn observe(self) -> Self {
        Self { acts: false, ..self }
    }

    /// With this variable in every worker's environment; `{i}` in the value stands for the replica's number. It wins over one
    /// that [`Fleet::devices`] sets; `HANGWATCH_SEGMENT` and `HANGWATCH_SLOT` are the supervisor's.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Replica i gets device i modulo their number: alone visible to CUDA and HIP, and numbered as the driver's tools number it.
    #[must_use]
    pub fn devices(self, devices: Vec<String>) -> Self {
        Self { devices, ..self }
    }

    /// Standard output and error of replica i are appended to `worker-<i>.log` in this folder, which exists. They go there
    /// directly and through no pipe, so that no worker depends on this process.
    #[must_use]
    pub fn log_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { log_dir: Some(dir.into()), ..self }
    }

    /// Before a respawn this command must have succeeded: it says that the device is free. `{device}` and `{pid}` in a word
    /// stand for the device and for the process that held it.
    #[must_use]
    pub fn reclaim_probe(self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { reclaim_probe: command.into_iter().map(Into::into).collect(), ..self }
    }

    /// The log of replica `i`.
    pub fn log(&self, i: u32) -> Option<PathBuf> {
        self.log_dir.as_ref().map(|dir| dir.join(format!("worker-{i}.log")))
    }

    /// The log of replica `i`, opened to append lines to; it is made where it is absent.
    pub fn open_log(&self, i: u32) -> io::Result<Option<File>> {
        let Some(path) = self.log(i) else { return Ok(None) };
        // Read too: opening a FIFO only to write would wait for its other end.
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY);
        let mut file = options.open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        // The next process does not go on in the line that the last one left open.
        let mut last = [b'\n'];
        if metadata.len() > 0 && file.read_at(&mut last, metadata.len() - 1).is_ok() && last != *b"\n" {
            file.write_all(b"\n")?;
        }
        Ok(Some(file))
    }

    /// The command of replica `i`.
    pub(super) fn argv(&self, i: u32) -> Vec<OsString> {
        let number = i.to_string();
        self.command.iter().map(|word| replace(word, "{i}", &number)).collect()
    }

    /// The device of replica `i`, as it was named; its number where none was.
    pub(super) fn device(&self, i: u32) -> String {
        match self.place(i) {
            Some(place) => self.devices[place].clone(),
            None => i.to_string(),
        }
    }

    fn place(&self, i: u32) -> Option<usize> {
        (i as usize).checked_rem(self.devices.len())
    }

    /// What replica `i` finds in its environment, a later one over an earlier one of its name.
    pub(super) fn variables(&self, i: u32) -> Vec<(String, String)> {
        let device = self.device(i);
        // A worker reports a number: the place in the list is one where the name is none.
        let number = if device.parse::<u32>().is_ok() { device.clone() } else { self.place(i).unwrap_or_default().to_string() };
        let mut variables = vec![(worker::ENV_DEVICE.to_owned(), number)];
        if self.place(i).is_some() {
            variables.extend(VISIBLE_DEVICES.map(|name| (name.to_owned(), device.clone())));
            // Else CUDA counts the fastest first, and a number means another device to it than to everything else.
            variables.push(("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned()));
        }
        variables.extend(self.variables.iter().map(|(name, value)| (name.clone(), value.replace("{i}", &i.to_string()))));
        variables
    }

    /// What no worker inherits.
    pub(super) fn not_inherited(&self) -> &'static [&'static str] {
        &NOT_INHERITED
    }

    /// The reclaim probe for replica `i`, whose process was `pid`; `None` where there is none.
    pub(super) fn reclaim(&self, i: u32, pid: u32) -> Option<Vec<OsString>> {
        let (device, pid) = (self.device(i), pid.to_string());
        let words = self.reclaim_probe.iter().map(|word| replace(&replace(word, "{pid}", &pid), "{device}", &device));
        Some(words.collect()).filter(|words: &Vec<_>| !words.is_empty())
    }

    /// Whether it can be run in this segment.
    pub(super) fn check(&self, segment: &Segment) -> Result<()> {
        if self.command.is_empty() && self.spawner.is_none() {
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", "no command was given"));
        }
        if self.replicas == 0 {
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", "0 replicas, expected 1 or more"));
        }
        if self.replicas > segment.len() {
            let why = format!("{} replicas, the segment has {} slots", self.replicas, segment.len());
            let hint = format!("run fewer, or in a segment that was made with more slots ({ENV_SLOTS})");
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", why).hint(hint));
        }
        if let Some((name, _)) = self.variables.iter().find(|(name, value)| !is_variable(name, value)) {
            let why = format!("'{}' is no name of a variable, or its value holds a NUL", name.escape_default());
            return Err(Error::new(ErrorKind::Usage, "cannot run workers", why));
        }
        Ok(())
    }
}

fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

fn replace(word: &OsStr, mark: &str, by: &str) -> OsString {
    let (mut rest, mut out) = (word.as_bytes(), Vec::new());
    while let Some(at) = rest.windows(mark.len()).position(|w| w == mark.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by.as_bytes());
        rest = &rest[at + mark.len()..];
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
    /// By itself, and nobody tells how: a former supervisor had spawned it.
    Unknown,
    /// It could not be started, and why.
    NotStarted(String),
}

/// How all of them ended, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetEnd {
    /// One a replica.
    pub replicas: Vec<ReplicaEnd>,
    /// What each replica went through.
    pub reports: Vec<ReplicaReport>,
    /// What was lost by model, of those that lost anything.
    pub models: Vec<ModelReport>,
}

/// What one replica went through from the start of the supervisor to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// How it ended.
    pub end: ReplicaEnd,
    /// Processes that were spawned or adopted for it.
    pub starts: u64,
    /// Of these, those that were ended because they hung.
    pub hangs: u64,
    /// Jobs that were open in processes that are gone.
    pub lost_jobs: u64,
}

/// What was lost with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReport {
    /// Its name, as jobs gave it.
    pub model: String,
    /// Hangs while it was worked with.
    pub hangs: u64,
    /// Its jobs that were lost.
    pub lost_jobs: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replicas_number_replaces_every_mark_in_every_word() {
        let fleet = Fleet::new(["./w", "--id={i}", "{i}{i}", "{j}"]);
        assert_eq!(fleet.argv(12), ["./w", "--id=12", "1212", "{j}"]);
    }

    #[test]
    fn replicas_share_the_devices_in_turn_and_see_their_own_alone() {
        let fleet = Fleet::new(["./w"]).devices(vec!["3".into(), "GPU-8f6d04d4".into()]);
        assert_eq!([fleet.device(0), fleet.device(1), fleet.device(2)], ["3", "GPU-8f6d04d4", "3"]);
        let of = |i, name: &str| fleet.variables(i).into_iter().find(|(n, _)| n == name).map(|(_, value)| value);
        for name in VISIBLE_DEVICES {
            assert_eq!((of(0, name).as_deref(), of(1, name).as_deref()), (Some("3"), Some("GPU-8f6d04d4")));
        }
        assert_eq!(of(2, worker::ENV_DEVICE).as_deref(), Some("3"), "a device that is a number is reported by it");
        assert_eq!(of(1, worker::ENV_DEVICE).as_deref(), Some("1"), "another one by its place, since a worker reports a number");
    }

    #[test]
    fn without_devices_a_replicas_number_is_its_device_and_nothing_is_hidden_from_it() {
        assert_eq!(Fleet::new(["./w"]).variables(7), [(worker::ENV_DEVICE.to_owned(), "7".to_owned())]);
    }

    #[test]
    fn a_variable_that_is_named_wins_and_has_the_replicas_number() {
        let fleet = Fleet::new(["./w"]).devices(vec!["0".into()]).env("PORT", "80{i}{i}").env("CUDA_VISIBLE_DEVICES", "5");
        let variables: std::collections::BTreeMap<_, _> = fleet.variables(3).into_iter().collect();
        assert_eq!((variables["PORT"].as_str(), variables["CUDA_VISIBLE_DEVICES"].as_str()), ("8033", "5"));
    }

    #[test]
    fn a_name_that_no_environment_can_hold_is_none() {
        assert!(is_variable("A", "") && is_variable("A", "b=c"));
        assert!(!is_variable("", "b") && !is_variable("A=B", "c") && !is_variable("A\0", "b") && !is_variable("A", "\0"));
    }

    #[test]
    fn a_reclaim_probe_is_told_the_device_and_the_process_that_held_it() {
        let fleet = Fleet::new(["./w"]).devices(vec!["MIG-1".into()]).reclaim_probe(["free", "--on={device}", "{pid}{i}"]);
        assert_eq!(fleet.reclaim(4, 4711).expect("a probe"), ["free", "--on=MIG-1", "4711{i}"]);
        assert_eq!(Fleet::new(["./w"]).reclaim(4, 4711), None);
    }

    #[test]
    fn the_next_process_begins_a_line_of_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let fleet = Fleet::new(["./w"]).log_dir(dir.path());
        for text in ["left open", "ended\n", "the last"] {
            fleet.open_log(0).expect("opened").expect("a log").write_all(text.as_bytes()).expect("room");
        }
        let text = std::fs::read_to_string(fleet.log(0).expect("a log")).expect("UTF-8");
        assert_eq!(text, "left open\nended\nthe last");
    }

    #[test]
    fn a_log_is_made_for_its_owner_alone_and_followed_by_no_link() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let fleet = Fleet::new(["./w"]).log_dir(dir.path());
        let file = fleet.open_log(0).expect("made").expect("there is a folder for it");
        assert_eq!(file.metadata().expect("its mode").permissions().mode() & 0o777, 0o600);
        std::os::unix::fs::symlink("worker-0.log", dir.path().join("worker-1.log")).expect("a link");
        assert_eq!(fleet.open_log(1).expect_err("a link").raw_os_error(), Some(libc::ELOOP));
        std::fs::create_dir(dir.path().join("worker-2.log")).expect("a folder");
        assert!(fleet.open_log(2).is_err(), "a folder is no log");
        assert!(Fleet::new(["./w"]).open_log(0).expect("nothing to open").is_none());
    }
}
