//! `Worker`.

use crate::error::{caught, raised};
use crate::held::Held;
use crate::job::Job;
use crate::section::{Made, Section};
use crate::value::{self, Said};
use hangwatch::layout::phase::{Class, Phase};
use hangwatch::worker::Helper;
use hangwatch::{Attach, Error, ErrorKind, Result, Worker as Core};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A GPU lane's device: the one that its worker named.
const OWN_DEVICE: u32 = u32::MAX;

/// `Worker`: a hold on a slot.
#[pyclass(frozen, weakref, module = "hangwatch")]
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) held: Held,
    /// Apart, since any thread may say `alive`.
    helper: Helper,
    /// Phases that were registered here, by name.
    registered: Mutex<Vec<(String, Phase)>>,
    /// The job that is open; jobs are numbered from 1 on, 0 is none. Relaxed: the thread that works writes and reads it.
    pub(crate) open: AtomicU64,
    last: AtomicU64,
    /// How often a phase was entered by `phase`.
    pub(crate) phases: AtomicU64,
}

impl Worker {
    pub(crate) fn new(worker: Core) -> Self {
        let helper = worker.helper();
        Self {
            held: Held::new(worker),
            helper,
            registered: Mutex::default(),
            open: AtomicU64::new(0),
            last: AtomicU64::new(0),
            phases: AtomicU64::new(0),
        }
    }

    /// For a thread that says `alive`.
    pub(crate) fn helper(&self) -> Helper {
        self.helper.clone()
    }

    fn phase_of(&self, phase: &Bound<'_, PyAny>) -> PyResult<Phase> {
        // A copy: a value's own method may come back here.
        let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        value::phase(phase, &registered)
    }

    /// Begins a job: its number.
    pub(crate) fn begin(&self, py: Python<'_>, said: &Said) -> u64 {
        self.held.with(py, (), |worker| worker.begin_job_with(&said.job()));
        let number = self.last.load(Relaxed) + 1;
        self.last.store(number, Relaxed);
        self.open.store(number, Relaxed);
        number
    }

    pub(crate) fn end(&self, py: Python<'_>, outcome: &str) {
        self.open.store(0, Relaxed);
        self.held.with(py, (), |worker| worker.end_job(value::outcome(outcome)));
    }

    /// A lane's object.
    fn beside(&self, py: Python<'_>, lane: Core) -> PyResult<Py<Self>> {
        let lane = Self::new(lane);
        let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *lane.registered.lock().unwrap_or_else(PoisonError::into_inner) = registered;
        kept(py, lane)
    }
}

fn class_of(name: &str, cls: &str) -> Result<Class> {
    Ok(match cls {
        "work" => Class::Work,
        "idle" => Class::Idle,
        "exit" => Class::Exit,
        other => {
            let what = format!("cannot register phase '{}'", name.escape_default());
            let why = format!("cls is '{}', expected 'work', 'idle' or 'exit'", other.escape_default());
            return Err(Error::new(ErrorKind::Usage, what, why));
        }
    })
}

/// A worker that is given back at the interpreter's end at the latest: `hangwatch/_living.py`.
fn kept(py: Python<'_>, worker: Worker) -> PyResult<Py<Worker>> {
    let worker = Py::new(py, worker)?;
    py.import("hangwatch._living")?.call_method1("keep", (&worker,))?;
    Ok(worker)
}

/// `_hangwatch.attach`.
#[pyfunction]
#[pyo3(signature = (name=None, *, segment=None, device=None, stamps=true))]
pub(crate) fn attach(
    py: Python<'_>,
    name: Option<String>,
    segment: Option<PathBuf>,
    device: Option<u32>,
    stamps: bool,
) -> PyResult<Py<Worker>> {
    let mut attach = Attach::new();
    if let Some(name) = name {
        attach = attach.name(name);
    }
    if let Some(segment) = segment {
        attach = attach.segment(segment.to_string_lossy());
    }
    if let Some(device) = device {
        attach = attach.device(device);
    }
    if !stamps {
        attach = attach.without_stamps();
    }
    // Without the GIL: it opens and may make a file.
    let made = py.detach(|| caught("cannot attach", || attach.attach()));
    kept(py, Worker::new(raised(py, made)?))
}

/// `_hangwatch.detached`.
#[pyfunction]
pub(crate) fn detached() -> Worker {
    Worker::new(Core::detached())
}

#[pymethods]
impl Worker {
    #[getter]
    fn attached(&self, py: Python<'_>) -> bool {
        self.held.with(py, false, |worker| worker.is_attached())
    }

    #[getter]
    fn slot(&self, py: Python<'_>) -> Option<u32> {
        self.held.with(py, None, |worker| worker.slot())
    }

    #[getter]
    fn generation(&self, py: Python<'_>) -> u16 {
        self.held.with(py, 0, |worker| worker.generation())
    }

    #[getter]
    fn device(&self, py: Python<'_>) -> Option<u32> {
        self.held.with(py, None, |worker| worker.device())
    }

    #[getter]
    fn segment(&self, py: Python<'_>) -> Option<OsString> {
        self.held.with(py, None, |worker| worker.segment().map(|segment| segment.path().as_os_str().to_owned()))
    }

    #[getter]
    fn phase_id(&self, py: Python<'_>) -> Option<u16> {
        self.held.with(py, None, |worker| worker.shows().map(|phase| phase.id()))
    }

    #[getter]
    fn in_job(&self) -> bool {
        self.open.load(Relaxed) != 0
    }

    fn alive(&self) {
        self.helper.alive();
    }

    fn begin_pass(&self, py: Python<'_>) {
        self.held.with(py, (), Core::begin_pass);
    }

    fn should_stop(&self, py: Python<'_>) -> bool {
        self.held.with(py, false, |worker| worker.should_stop())
    }

    fn extend(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        let silence = value::seconds(seconds)?;
        self.held.with(seconds.py(), (), |worker| match silence {
            Some(silence) => worker.extend(silence),
            None => worker.beat(),
        });
        Ok(())
    }

    fn note(&self, text: &Bound<'_, PyAny>) -> PyResult<()> {
        let note = value::text(text)?;
        self.held.with(text.py(), (), |worker| worker.note(&note));
        Ok(())
    }

    #[pyo3(signature = (phase, total=None))]
    fn phase(slf: &Bound<'_, Self>, phase: &Bound<'_, PyAny>, total: Option<&Bound<'_, PyAny>>) -> PyResult<Section> {
        let (phase, total) = (slf.get().phase_of(phase)?, value::total(total)?);
        slf.get().held.with(slf.py(), (), |worker| worker.phase_total(phase, total));
        let number = slf.get().phases.load(Relaxed) + 1;
        slf.get().phases.store(number, Relaxed);
        Ok(Section::new(slf, phase, total, Made::ByPhase(number)))
    }

    #[pyo3(signature = (phase, total=None))]
    fn section(slf: &Bound<'_, Self>, phase: &Bound<'_, PyAny>, total: Option<&Bound<'_, PyAny>>) -> PyResult<Section> {
        let (phase, total) = (slf.get().phase_of(phase)?, value::total(total)?);
        Ok(Section::new(slf, phase, total, Made::BySection))
    }

    #[pyo3(signature = (phase, total=None))]
    fn enter(&self, phase: &Bound<'_, PyAny>, total: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (py, phase, total) = (phase.py(), self.phase_of(phase)?, value::total(total)?);
        self.held.with(py, (), |worker| worker.enter(phase, total));
        Ok(())
    }

    fn leave(&self, py: Python<'_>) {
        self.held.with(py, (), Core::leave);
    }

    #[pyo3(signature = (name, cls="work", budget=None))]
    fn register_phase(&self, py: Python<'_>, name: &str, cls: &str, budget: Option<&Bound<'_, PyAny>>) -> PyResult<u16> {
        let class = raised(py, class_of(name, cls))?;
        let budget = budget.map_or(Ok(None), value::seconds)?.unwrap_or(Duration::ZERO);
        let register = |worker: &mut Core| caught("cannot register a phase", || worker.register_phase(name, class, budget));
        let Some(made) = self.held.quick(py, register) else { return Ok(u16::MAX) };
        let phase = raised(py, made)?;
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), phase));
        Ok(phase.id())
    }

    #[pyo3(signature = (id=None, model=None, total=None, *, batch=None, size=None, deadline=None, device=None))]
    #[expect(clippy::too_many_arguments, reason = "Python's signature")]
    fn begin_job(
        &self,
        py: Python<'_>,
        id: Option<&Bound<'_, PyAny>>,
        model: Option<&Bound<'_, PyAny>>,
        total: Option<&Bound<'_, PyAny>>,
        batch: Option<&Bound<'_, PyAny>>,
        size: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
        device: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let said = Said::new([id, model, total, batch, size, deadline, device])?;
        self.begin(py, &said);
        Ok(())
    }

    #[pyo3(signature = (outcome=None))]
    fn end_job(&self, py: Python<'_>, outcome: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let outcome = outcome.map_or_else(|| Ok("ok".to_owned()), value::text)?;
        self.end(py, &outcome);
        Ok(())
    }

    #[pyo3(signature = (id=None, model=None, total=None, *, batch=None, size=None, deadline=None, device=None))]
    #[expect(clippy::too_many_arguments, reason = "Python's signature")]
    fn job(
        slf: &Bound<'_, Self>,
        id: Option<&Bound<'_, PyAny>>,
        model: Option<&Bound<'_, PyAny>>,
        total: Option<&Bound<'_, PyAny>>,
        batch: Option<&Bound<'_, PyAny>>,
        size: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
        device: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Job> {
        Ok(Job::new(slf, Said::new([id, model, total, batch, size, deadline, device])?))
    }

    fn lane(&self, py: Python<'_>, name: &str) -> PyResult<Py<Self>> {
        let made = self.held.quick(py, |worker| caught("cannot make a lane", || worker.lane(name)));
        self.beside(py, raised(py, made.unwrap_or_else(|| Ok(Core::detached())))?)
    }

    #[pyo3(signature = (name, device=None))]
    fn gpu_lane(&self, py: Python<'_>, name: &str, device: Option<u32>) -> PyResult<Py<Self>> {
        let device = device.unwrap_or(OWN_DEVICE);
        let made = self.held.quick(py, |worker| caught("cannot make a GPU lane", || worker.gpu_lane(name, device)));
        self.beside(py, raised(py, made.unwrap_or_else(|| Ok(Core::detached())))?)
    }

    fn detach(&self, py: Python<'_>) {
        self.open.store(0, Relaxed);
        self.held.with(py, (), |worker| *worker = Core::detached());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(&self, py: Python<'_>, _exc_type: &Bound<'_, PyAny>, _exc: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.detach(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match (self.slot(py), self.segment(py)) {
            (Some(slot), Some(segment)) => format!("<hangwatch.Worker in slot {slot} of '{}'>", Path::new(&segment).display()),
            _ => "<hangwatch.Worker, detached>".into(),
        }
    }
}
