//! What `hangwatch/_supervisor.py` stands on: the library's fleet, of a command or of children that the interpreter makes.

use super::calls::Calls;
use super::host::{Requests, host};
use super::plan::Plan;
use super::running::Running;
use super::{policy, told};
use crate::error::raised;
use hangwatch::evidence::{Dumper, Settings};
use hangwatch::monitor::{Ending, Fleet, FleetEnd, ReplicaEnd, ReplicaReport, Restart, Stopper};
use hangwatch::policy::quoted;
use hangwatch::{Error, ErrorKind};
use pyo3::prelude::*;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How often whoever waits with the interpreter looks whether a signal came: Ctrl-C is to be prompt.
const LOOK: Duration = Duration::from_millis(50);

/// How a replica's workers are run; each has its keyword in `hangwatch/_supervisor.py`.
#[derive(FromPyObject)]
pub(super) struct How {
    replicas: u32,
    restart: String,
    acts: bool,
    env: Vec<(String, String)>,
    devices: Vec<String>,
    log_dir: Option<PathBuf>,
    reclaim_probe: Vec<OsString>,
}

/// What evidence is kept.
#[derive(FromPyObject)]
pub(super) struct Keeps {
    directory: Option<PathBuf>,
    dump: Vec<Vec<OsString>>,
    faulthandler: Option<i32>,
    gpu_facts: Option<Vec<OsString>>,
}

/// Where, and who is told.
#[derive(FromPyObject)]
pub(super) struct Where {
    segment: Option<PathBuf>,
    slots: Option<u32>,
    slot_size: Option<u32>,
    learnt: Option<PathBuf>,
    jsonl: Option<PathBuf>,
    unlink_at_end: bool,
}

impl How {
    fn fleet(self, fleet: Fleet) -> hangwatch::Result<Fleet> {
        let restart = match self.restart.as_str() {
            "on-failure" => Restart::OnFailure,
            "always" => Restart::Always,
            "never" => Restart::Never,
            other => return Err(wrong("restart", other, "'on-failure', 'always' or 'never'")),
        };
        let mut fleet = fleet.replicas(self.replicas).restart(restart).devices(self.devices).reclaim_probe(self.reclaim_probe);
        if !self.acts {
            fleet = fleet.observe();
        }
        for (name, value) in self.env {
            fleet = fleet.env(name, value);
        }
        Ok(match self.log_dir {
            Some(dir) => fleet.log_dir(dir),
            None => fleet,
        })
    }
}

impl Keeps {
    fn settings(self) -> Settings {
        let default = Settings::default();
        let dumper = |words: Vec<OsString>| match words.as_slice() {
            [one] if one == "py-spy" => Dumper::PySpy,
            [one] if one == "gdb" => Dumper::Gdb,
            _ => Dumper::Command(words),
        };
        Settings {
            directory: self.directory.unwrap_or(default.directory),
            dumpers: self.dump.into_iter().map(dumper).collect(),
            faulthandler: self.faulthandler,
            gpu: self.gpu_facts,
            ..default
        }
    }
}

fn wrong(name: &str, met: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Usage, "cannot run workers", format!("{name} is {}, expected {expected}", quoted(met)))
}

/// `_hangwatch.Supervisor`.
#[pyclass(frozen, weakref, module = "hangwatch._hangwatch")]
#[derive(Debug)]
pub(super) struct Supervisor {
    running: Running,
    stopper: Stopper,
    /// Whether the fleet was asked to stop: the second time it does not wait for the grace.
    asked: AtomicBool,
    ending: Ending,
    requests: Option<Requests>,
    wrong: Vec<String>,
}

/// `_hangwatch.start_supervisor`. Either there is a `command`, or `ended` tells of the interpreter's own children.
#[pyfunction]
#[pyo3(signature = (command, ended, how, keeps, place, policy, calls))]
#[expect(clippy::too_many_arguments, reason = "Python's signature")]
pub(super) fn start_supervisor(
    py: Python<'_>,
    command: Vec<OsString>,
    ended: Option<Py<PyAny>>,
    how: How,
    keeps: Option<Keeps>,
    place: Where,
    policy: Option<&Bound<'_, PyAny>>,
    calls: &Bound<'_, Calls>,
) -> PyResult<Supervisor> {
    let what = "cannot run workers";
    let (host, requests) = ended.map(host).unzip();
    let fleet = host.map_or_else(|| Fleet::new(command), |host| Fleet::hosted(Arc::new(host)));
    let fleet = raised(py, how.fleet(fleet))?;
    let evidence = keeps.map(Keeps::settings);
    let wrong = py.detach(|| evidence.as_ref().map(Settings::preflight)).unwrap_or_default();
    let Where { segment, slots, slot_size, learnt, jsonl, unlink_at_end: unlinks } = place;
    let plan = Plan {
        segment,
        policies: policy::of(py, policy)?,
        slots,
        slot_size,
        learnt,
        jsonl,
        unlinks,
        hands: Some(calls.get().hands()),
        fleet: Some(fleet),
        evidence,
        ..Plan::default()
    };
    let running = plan.start(py, what)?;
    let (stopper, ending) = running.ask(py, what, |hosted| {
        hosted.ask(what, |monitor| monitor.fleet_stopper().zip(monitor.fleet_ending()))?.ok_or_else(|| {
            // A fleet was given, so there is one.
            Error::new(ErrorKind::System, what, "its fleet is not there")
        })
    })?;
    Ok(Supervisor { running, stopper, asked: AtomicBool::new(false), ending, requests, wrong })
}

#[pymethods]
impl Supervisor {
    #[getter]
    fn running(&self, py: Python<'_>) -> bool {
        py.detach(|| self.running.hosted().is_running())
    }

    #[getter]
    fn segment(&self, py: Python<'_>) -> OsString {
        py.detach(|| self.running.hosted().segment().path().as_os_str().to_owned())
    }

    /// What of the evidence's settings will not work here.
    #[getter]
    fn wrong(&self) -> Vec<String> {
        self.wrong.clone()
    }

    fn next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.requests.as_ref().map_or(Ok(None), |requests| requests.next(py))
    }

    #[pyo3(signature = (timeout))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let mut left = timeout.map(|timeout| Duration::try_from_secs_f64(timeout.max(0.0)).unwrap_or(Duration::MAX));
        raised(py, self.running.hosted().check_home("cannot wait for workers"))?;
        loop {
            let look = left.map_or(LOOK, |left| left.min(LOOK));
            if let Some(end) = py.detach(|| self.ending.wait(look)) {
                return raised(py, told::json(&Told::of(&end))).map(Some);
            }
            py.check_signals()?;
            if let Some(left) = &mut left {
                *left = left.saturating_sub(look);
                if left.is_zero() {
                    return Ok(None);
                }
            }
        }
    }

    fn ask_to_stop(&self) {
        // Relaxed: it gives the asking to one of those who ask.
        if self.running.hosted().is_here() && !self.asked.swap(true, Relaxed) {
            self.stopper.stop();
        }
    }

    fn ask_to_hurry(&self) {
        self.ask_to_stop();
        if self.running.hosted().is_here() {
            self.stopper.stop();
        }
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.running.stop(py, "cannot stop a supervisor")
    }

    fn reload(&self, py: Python<'_>, policy: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let what = "cannot reload a supervisor's policy";
        let policies = policy::of(py, policy)?;
        self.running.ask(py, what, |hosted| hosted.reload(what, policies))
    }

    fn status(&self, py: Python<'_>) -> PyResult<String> {
        let what = "cannot tell a supervisor's status";
        self.running.ask(py, what, |hosted| told::health(&hosted.health(what)?, &hosted.segment()))
    }

    fn workers(&self, py: Python<'_>) -> PyResult<String> {
        let judged = |seen: &[_]| told::json(&seen.iter().map(told::Worker::judged).collect::<Vec<_>>());
        self.running.ask(py, "cannot read slots", |hosted| judged(&hosted.sweep("cannot read slots")?))
    }
}

/// A replica's end, as `hangwatch/_supervisor.py`'s dataclass takes it.
#[derive(Serialize)]
struct Told<'a> {
    replica: usize,
    end: &'static str,
    code: Option<i32>,
    signal: Option<i32>,
    why: Option<&'a str>,
    starts: u64,
    hangs: u64,
    lost_jobs: u64,
}

impl<'a> Told<'a> {
    fn of(end: &'a FleetEnd) -> Vec<Self> {
        end.reports.iter().enumerate().map(|(replica, report)| Self::new(replica, report)).collect()
    }

    fn new(replica: usize, report: &'a ReplicaReport) -> Self {
        let (end, code, signal, why) = match &report.end {
            ReplicaEnd::Code(code) => ("exited", Some(*code), None, None),
            ReplicaEnd::Signal(signal) => ("signalled", None, Some(*signal), None),
            ReplicaEnd::GaveUp => ("gave_up", None, None, None),
            ReplicaEnd::Killed => ("killed", None, None, None),
            ReplicaEnd::Stopped => ("stopped", None, None, None),
            ReplicaEnd::Unkillable => ("unkillable", None, None, None),
            ReplicaEnd::Unknown => ("unknown", None, None, None),
            ReplicaEnd::NotStarted(why) => ("not_started", None, None, Some(why.as_str())),
        };
        Self { replica, end, code, signal, why, starts: report.starts, hangs: report.hangs, lost_jobs: report.lost_jobs }
    }
}
