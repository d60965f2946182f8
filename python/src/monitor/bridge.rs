//! AI Horde's `bridgeData.yaml` as a policy dict: `hangwatch/_bridge.py` reads the YAML, the library has the table of the keys.

use super::policy::{ELSEWHERE, Met};
use crate::error::raised;
use hangwatch::policy::{Bridge, Mismatch, Of, Value};
use hangwatch::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// A key of the top level, its line, and its value: what is no more than a value, an empty list or an empty dict.
type Entry<'py> = (String, u64, Bound<'py, PyAny>);

/// `_hangwatch.bridge_policy`.
#[pyfunction]
#[pyo3(signature = (path, entries))]
pub(super) fn bridge_policy<'py>(
    py: Python<'py>,
    path: &str,
    entries: Vec<Entry<'py>>,
) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
    if !is_bridge(&entries) {
        return raised(py, Err(foreign(path)));
    }
    let (policy, mut warnings) = (PyDict::new(py), Vec::new());
    for (name, line, value) in &entries {
        let Some(row) = Bridge::from_name(name) else { continue };
        let met = if value.is_none() { Met::Other("empty".into()) } else { Met::of(value)? };
        let place = format!("{path}:{line}");
        let refuse = |Mismatch { why, hint }: Mismatch| {
            Error::new(ErrorKind::Usage, format!("cannot read policy '{place}'"), why).hint(hint)
        };
        for (key, value) in raised(py, row.read(met.raw(), &met).map_err(refuse))? {
            match value {
                // Whole seconds, as the origin has them.
                Value::Duration(value) => policy.set_item(key.name, value.as_secs())?,
                Value::Count(value) => policy.set_item(key.name, value)?,
                Value::Flag(value) => policy.set_item(key.name, value)?,
                Value::Factor(value) => policy.set_item(key.name, value)?,
                Value::Choice(word) => policy.set_item(key.name, word)?,
            }
        }
        warnings.extend(row.warning(met.raw()).map(|warning| format!("{place}: {warning}")));
    }
    Ok((policy, warnings))
}

/// As the command tells such a file from one of ours.
fn is_bridge(entries: &[Entry<'_>]) -> bool {
    let is_named = |name: &str| [Of::Model, Of::Worker].iter().any(|of| of.section() == name) || ELSEWHERE.contains(&name);
    // The origin's own `models` is a list.
    let is_section = |(name, _, value): &Entry<'_>| {
        value.is_instance_of::<PyDict>() && is_named(name)
            || value.is_instance_of::<PyList>() && ELSEWHERE.contains(&name.as_str())
    };
    Bridge::is_known_by(entries.iter().map(|(name, ..)| name.as_str())) && !entries.iter().any(is_section)
}

fn foreign(path: &str) -> Error {
    let why = "it is no bridgeData.yaml: it has keys that only hangwatch has, or none of AI Horde's";
    Error::new(ErrorKind::Usage, format!("cannot read policy '{path}'"), why)
        .hint("a file with 'hangwatch: 1' is for 'hangwatch watch --config FILE'; its keys as a dict are a policy here")
}
