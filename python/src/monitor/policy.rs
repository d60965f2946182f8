//! A dict as a policy: the keys, sections and values of the configuration file, and its errors.

use crate::error::raised;
use hangwatch::policy::{
    Bridge, Entry, KEYS, Key, Layered, Mismatch, Of, Origin, PROFILE_KEY, PolicySet, Profile, Raw, Scope, VERSION, VERSION_KEY,
    Value, did_you_mean, quoted,
};
use hangwatch::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyMapping, PyString};
use std::fmt;
use std::time::Duration;

/// The file's sections that are no policy.
pub(super) const ELSEWHERE: [&str; 2] = ["hooks", "ping"];
const FORM: &str = "write a dict of keys and values, such as {'inference_step_timeout': '60s'}";
const SECTION_FORM: &str = "write names or patterns and the keys of each, such as {'sdxl*': {'progress_timeout': '15m'}}";

type Values = Vec<(&'static str, Value, Origin)>;
type Items<'py> = Vec<(String, Bound<'py, PyAny>)>;

/// A policy that holds together; the defaults where there is none.
pub(crate) fn of(py: Python<'_>, policy: Option<&Bound<'_, PyAny>>) -> PyResult<PolicySet> {
    let Some(policy) = policy else { return Ok(PolicySet::default()) };
    let Some(items) = items(policy)? else {
        return raised(py, Err(wrong(format!("it is {}, expected a dict", Met::of(policy)?)).hint(FORM)));
    };
    let mut base = Layered::new();
    let (mut values, mut entries) = (Values::new(), Vec::new());
    for (key, value) in &items {
        if key == VERSION_KEY {
            raised(py, check_version(value))?;
        } else if key == PROFILE_KEY {
            raised(py, named_profile(&Met::of(value)?).and_then(|profile| base.profile(profile)))?;
        } else if let Some(of) = [Of::Model, Of::Worker].into_iter().find(|of| of.section() == key) {
            read_section(of, value, &mut entries)?;
        } else {
            values.push(raised(py, read(key, &Met::of(value)?, None))?);
        }
    }
    raised(py, base.layer(values).and_then(|()| PolicySet::new(base, entries)))
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, "cannot use this policy", why)
}

fn origin() -> Origin {
    Origin::Flag("policy".into())
}

/// A mapping's items, in its order; `None` where it is none.
fn items<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Items<'py>>> {
    let Ok(mapping) = value.cast::<PyMapping>() else { return Ok(None) };
    let mut items = Vec::new();
    for item in mapping.items()?.iter() {
        let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
        match key.cast::<PyString>() {
            Ok(key) => items.push((key.to_string_lossy().into_owned(), value)),
            Err(_) => return raised(key.py(), Err(wrong(format!("a key is {}, expected a name", Met::of(&key)?)).hint(FORM))),
        }
    }
    Ok(Some(items))
}

fn read_section(of: Of, section: &Bound<'_, PyAny>, entries: &mut Vec<Entry>) -> PyResult<()> {
    let py = section.py();
    let refuse = |name: &str, met: &Met, expected: &str| {
        raised(py, Err(wrong(format!("{name} is {met}, expected {expected}")).hint(SECTION_FORM)))
    };
    if section.is_none() {
        return Ok(());
    }
    let Some(named) = items(section)? else { return refuse(of.section(), &Met::of(section)?, "names with keys") };
    for (pattern, keys) in named {
        let entry = of.entry(&pattern);
        let keys = match items(&keys)? {
            Some(keys) => keys,
            None if keys.is_none() => Vec::new(),
            None => return refuse(&entry, &Met::of(&keys)?, "keys with values"),
        };
        let mut values = Values::new();
        for (key, value) in &keys {
            values.push(raised(py, read(key, &Met::of(value)?, Some(&entry)))?);
        }
        entries.push(Entry { of, pattern, values });
    }
    Ok(())
}

/// A key of the table with its value; `within` names the entry in which it stands, if it does in one.
fn read(name: &str, met: &Met, within: Option<&str>) -> hangwatch::Result<(&'static str, Value, Origin)> {
    let wrong =
        |why: String, hint: String| wrong(within.map_or_else(|| why.clone(), |within| format!("{within}: {why}"))).hint(hint);
    let Some(key) = Key::from_name(name) else {
        if within.is_none() && ELSEWHERE.contains(&name) {
            let hint = "give on_event=, or let 'hangwatch watch --config FILE' watch";
            return Err(wrong(format!("{name} is of the configuration file alone"), hint.into()));
        }
        // A key of the whole monitor is refused with the others of the set, where its way out is known.
        let keys = || KEYS.iter().filter(|key| within.is_none() || key.scope == Scope::Worker).map(|key| key.name);
        let sections = [PROFILE_KEY, Of::Model.section(), Of::Worker.section()];
        let names = || keys().chain(sections.into_iter().filter(|_| within.is_none()));
        let renamed = Bridge::renamed(name).map(|ours| format!("AI Horde's {name} is {} here", ours.join(" and ")));
        let hint = renamed
            .or_else(|| did_you_mean(name, names()))
            .unwrap_or_else(|| format!("the keys are {}", names().collect::<Vec<_>>().join(", ")));
        return Err(wrong(format!("unknown key {}", quoted(name)), hint));
    };
    let value = met.raw().and_then(|raw| key.take(raw)).ok_or_else(|| {
        let Mismatch { why, hint } = key.mismatch(met);
        wrong(why, hint)
    })?;
    Ok((key.name, value, origin()))
}

fn check_version(value: &Bound<'_, PyAny>) -> hangwatch::Result<()> {
    let met = Met::of(value).unwrap_or(Met::Other("another value".into()));
    if matches!(met, Met::Int(VERSION)) {
        return Ok(());
    }
    Err(wrong(format!("version {met}, this build reads {VERSION}")).hint("leave 'hangwatch' out, or say 1"))
}

fn named_profile(met: &Met) -> hangwatch::Result<&'static Profile> {
    let Met::Text(name) = met else {
        return Err(wrong(format!("profile is {met}, expected a name")).hint("write 'mid-range'"));
    };
    Profile::named(name).map_err(|Mismatch { why, hint }| wrong(why).hint(hint))
}

/// A Python value, as far as a policy has such ones.
#[derive(Debug)]
pub(super) enum Met {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Duration(Duration),
    /// As an error shows it.
    Other(String),
}

impl Met {
    pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(met) = value.cast::<PyBool>() {
            return Ok(Self::Bool(met.is_true()));
        }
        if let Ok(met) = value.cast::<PyString>() {
            return Ok(Self::Text(met.to_string_lossy().into_owned()));
        }
        // A number of another library too.
        if let Ok(met) = value.extract::<i64>() {
            return Ok(Self::Int(met));
        }
        if let Ok(met) = value.extract::<Duration>() {
            return Ok(Self::Duration(met));
        }
        // A timedelta below zero is no duration, and is shown as what it is.
        let seconds = value.extract::<f64>().or_else(|_| value.call_method0("total_seconds")?.extract());
        Ok(match seconds {
            Ok(met) => Self::Float(met),
            Err(_) if value.is_none() => Self::Other("None".into()),
            Err(_) => Self::Other(format!("a {}", value.get_type().name()?.to_string_lossy())),
        })
    }

    pub(super) fn raw(&self) -> Option<Raw<'_>> {
        Some(match self {
            Self::Bool(met) => Raw::Bool(*met),
            Self::Int(met) => Raw::Int((*met).into()),
            Self::Float(met) => Raw::Float(*met),
            Self::Text(met) => Raw::Text(met),
            Self::Duration(met) => Raw::Duration(*met),
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(met) => write!(f, "{met}"),
            Self::Float(met) => write!(f, "{met}"),
            Self::Text(met) => f.write_str(&quoted(met)),
            Self::Duration(met) => write!(f, "{}", Value::Duration(*met)),
            Self::Other(shown) => f.write_str(shown),
        }
    }
}
