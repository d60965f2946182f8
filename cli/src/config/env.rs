//! `HANGWATCH_*`: every key of the policy table in upper case, and `HANGWATCH_PROFILE`.

use hangwatch::policy::{KEYS, Origin, Profile, nearest};
use hangwatch::{Error, ErrorKind, Result};

use super::{Layer, value};

const PREFIX: &str = "HANGWATCH_";
const PROFILE: &str = "PROFILE";

/// Names that are no policy: what a worker is told, where the monitor reads and writes, and what a hook is told.
#[rustfmt::skip]
pub(crate) const RESERVED: &[&str] = &[
    "SEGMENT", "SLOT", "SLOTS", "SLOT_SIZE", "ALLOWED_UIDS", "DEVICE", "QUARANTINED_MODELS", "DIR", "NAME", "LOG", "LOG_DIR",
    "LOG_FORMAT", "CONFIG", "EVIDENCE",
    "EVENT", "EVENT_SLOT", "EVENT_WORKER", "EVENT_VERDICT", "EVENT_JOB", "EVENT_MODEL", "EVENT_EPISODE", "EVENT_SENTENCE",
];

/// The variables of this process that are ours. What is not UTF-8 is replaced, so that it is refused with its name.
pub(crate) fn of_process() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
}

/// What the variables say; others than ours are passed over.
pub(super) fn read(variables: impl Iterator<Item = (String, String)>) -> Result<Layer> {
    let mut layer = Layer::default();
    // The environment has no order; errors and warnings have.
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (variable, text) in variables {
        let name = &variable[PREFIX.len()..];
        if RESERVED.contains(&name) {
            continue;
        }
        let wrong = |why: String, hint: &str| Error::new(ErrorKind::Usage, format!("cannot use {variable}"), why).hint(hint);
        if name == PROFILE {
            layer.profile = Some(Profile::named(&text).map_err(|mismatch| wrong(mismatch.why, &mismatch.hint))?);
        } else if let Some(key) = KEYS.iter().find(|key| key.name.to_uppercase() == name) {
            let value = value::from_text(key, &text).map_err(|mismatch| wrong(mismatch.why, &mismatch.hint))?;
            layer.values.push((key.name, value, Origin::Env(variable)));
        } else {
            layer.warnings.push(unknown(&variable, name));
        }
    }
    Ok(layer)
}

fn unknown(variable: &str, name: &str) -> String {
    let keys: Vec<String> = KEYS.iter().map(|key| key.name.to_uppercase()).collect();
    let names = keys.iter().map(String::as_str).chain([PROFILE]).chain(RESERVED.iter().copied());
    match nearest(name, names) {
        Some(near) => format!("{variable} is ignored: there is no such variable; did you mean '{PREFIX}{near}'?"),
        None => format!("{variable} is ignored: there is no such variable"),
    }
}
