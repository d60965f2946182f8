//! Python's values as the library's. A report raises nothing, so any value is taken: what is no number counts as none, what is
//! no text is shown as `str` shows it.

use hangwatch::layout::phase::Phase;
use hangwatch::{Job, Outcome, Total};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};
use std::time::Duration;

/// The largest count: one more is the slot's word for "none yet".
const MOST: u64 = u64::MAX - 1;

/// `Ok(None)` for an exception that a value's own method raised; one that is none of its (Ctrl-C) goes on.
fn own<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_instance_of::<PyException>(py) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A text, whatever is in it: lone surrogates are replaced.
pub(crate) fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_string_lossy().into_owned());
    }
    if value.is_none() {
        return Ok(String::new());
    }
    Ok(own(value.py(), value.str())?.map_or_else(String::new, |text| text.to_string_lossy().into_owned()))
}

/// A count: below 0 it is 0, past the largest the largest, a fraction is cut; `None` where it is no number.
pub(crate) fn count(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if let Ok(count) = value.extract::<u64>() {
        return Ok(Some(count.min(MOST)));
    }
    if let Some(number) = own(value.py(), value.extract::<f64>())? {
        // Rust's cast saturates, and has 0 for what is no number at all.
        return Ok((!number.is_nan()).then_some((number as u64).min(MOST)));
    }
    // Too large for a float is a number all the same.
    let is_number = own(value.py(), value.call_method0("__index__"))?;
    Ok(match is_number {
        Some(number) if own(value.py(), number.gt(0))?.unwrap_or(false) => Some(MOST),
        Some(_) => Some(0),
        None => None,
    })
}

/// A total: `None` and 0 report no progress, `UNKNOWN` has no end that is known.
pub(crate) fn total(value: Option<&Bound<'_, PyAny>>) -> PyResult<Total> {
    let Some(value) = value else { return Ok(Total::None) };
    match value.extract::<u64>() {
        Ok(word) => Ok(Total::from_word(word)),
        Err(_) => Ok(Total::from_word(count(value)?.unwrap_or(0))),
    }
}

/// A total as Python has it.
pub(crate) fn of_total(total: Total) -> Option<u64> {
    match total {
        Total::None => None,
        Total::Unknown => Some(u64::MAX),
        Total::Known(n) => Some(n),
    }
}

/// Seconds: below 0 they are 0, and there is no end to how many.
pub(crate) fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let number = match value.cast::<PyFloat>() {
        Ok(float) => Some(float.value()),
        Err(_) => own(value.py(), value.extract::<f64>())?,
    };
    let number = match number {
        Some(number) => number,
        // `datetime.timedelta` says its own.
        None => match own(value.py(), value.call_method0("total_seconds").and_then(|it| it.extract::<f64>()))? {
            Some(number) => number,
            None => return Ok(None),
        },
    };
    Ok((!number.is_nan()).then(|| Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX)))
}

/// A phase by its number, or by its name in the table or among `registered`; any other name is a phase that nobody knows, judged
/// as work with the longest budget.
pub(crate) fn phase(value: &Bound<'_, PyAny>, registered: &[(String, Phase)]) -> PyResult<Phase> {
    if let Ok(name) = value.cast::<PyString>() {
        let name = name.to_string_lossy();
        let own = registered.iter().find(|(known, _)| *known == name).map(|(_, phase)| *phase);
        return Ok(Phase::from_name(&name).or(own).unwrap_or(Phase::Unknown(u16::MAX)));
    }
    let id = count(value)?.and_then(|id| u16::try_from(id).ok());
    Ok(Phase::from_id(id.unwrap_or(u16::MAX)))
}

/// How a job ended; any other word is a failure.
pub(crate) fn outcome(word: &str) -> Outcome {
    match word {
        "ok" => Outcome::Ok,
        "cancelled" => Outcome::Cancelled,
        _ => Outcome::Failed,
    }
}

/// What is said of a job, with texts of its own.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) total: Total,
    batch: u64,
    size: u64,
    deadline: Option<Duration>,
    device: Option<u32>,
}

/// The arguments of `begin_job` and of `job`, in their order.
pub(crate) type Arguments<'a, 'py> = [Option<&'a Bound<'py, PyAny>>; 7];

impl Said {
    pub(crate) fn new([id, model, total, batch, size, deadline, device]: Arguments<'_, '_>) -> PyResult<Self> {
        let text = |value: Option<&Bound<'_, PyAny>>| value.map_or_else(|| Ok(String::new()), self::text);
        let number = |value: Option<&Bound<'_, PyAny>>| value.map_or(Ok(None), count);
        Ok(Self {
            id: text(id)?,
            model: text(model)?,
            total: self::total(total)?,
            batch: number(batch)?.unwrap_or(0),
            size: number(size)?.unwrap_or(0),
            deadline: deadline.map_or(Ok(None), seconds)?,
            device: number(device)?.and_then(|device| u32::try_from(device).ok()),
        })
    }

    pub(crate) fn job(&self) -> Job<'_> {
        let job = Job::new(&self.id).model(&self.model).total(self.total).batch(self.batch).size(self.size);
        let job = self.deadline.map_or(job, |deadline| job.deadline(deadline));
        self.device.map_or(job, |device| job.device(device))
    }
}
