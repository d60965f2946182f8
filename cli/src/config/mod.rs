//! Where the policy comes from: defaults < profile < file < environment < flags.
//!
//! The library knows no text; here text becomes `Value`s, with the path and line, variable or flag that each came from.
//!
//! | file | holds |
//! |---|---|
//! | `yaml` | a YAML file as entries: key, line, node |
//! | `native` | entries of `hangwatch: 1` |
//! | `bridge` | entries of AI Horde's `bridgeData.yaml` |
//! | `env` | `HANGWATCH_*` |
//! | `value` | a node or a text as a key's value |
//! | `duration` | a text as a duration |
//! | `size` | a text as a number of bytes |
//! | `nearest` | the name that was probably meant |

mod bridge;
pub(crate) mod duration;
pub(crate) mod env;
mod native;
mod nearest;
pub(crate) mod size;
mod value;
mod yaml;

use std::path::Path;

use hangwatch::policy::{Layered, Origin, Origins, PROFILES, Policy, Profile, Value};
use hangwatch::{Error, ErrorKind, Result};

/// Read where no file is named, if it is there.
const DEFAULT_FILE: &str = "/etc/hangwatch/hangwatch.yaml";

/// A policy that holds together.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) origins: Origins,
    /// Sentences about what was taken or ignored though it is probably not meant.
    pub(crate) warnings: Vec<String>,
}

/// What a layer of text says.
#[derive(Debug, Default)]
struct Layer {
    profile: Option<&'static Profile>,
    values: Vec<(&'static str, Value, Origin)>,
    warnings: Vec<String>,
}

/// Reads all layers. A flag is its key, its value, and its name with dashes.
pub(crate) fn load(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: &[(&'static str, Value, &str)],
) -> Result<Loaded> {
    load_or(Path::new(DEFAULT_FILE), path, env, flags)
}

fn load_or(
    default: &Path,
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: &[(&'static str, Value, &str)],
) -> Result<Loaded> {
    let file = match path {
        Some(path) => read_file(path)?,
        // An unreadable default is an error all the same: its policy was meant to hold.
        None if default.exists() => read_file(default)?,
        None => Layer::default(),
    };
    let env = env::read(env)?;
    let mut layered = Layered::new();
    if let Some(profile) = env.profile.or(file.profile) {
        layered.profile(profile)?;
    }
    layered.layer(file.values)?;
    layered.layer(env.values)?;
    layered.layer(flags.iter().map(|(key, value, flag)| (*key, *value, Origin::Flag((*flag).to_string()))))?;
    let (policy, origins) = layered.finish()?;
    Ok(Loaded { policy, origins, warnings: [file.warnings, env.warnings].concat() })
}

fn read_file(path: &Path) -> Result<Layer> {
    let entries = yaml::entries(path, &yaml::text(path)?)?;
    if bridge::is_bridge(&entries) { bridge::read(path, &entries) } else { native::read(path, &entries) }
}

/// An error about a place in a file.
fn wrong(path: &Path, line: Option<u64>, why: impl Into<String>) -> Error {
    let place = Origin::File(path.to_path_buf(), line);
    Error::new(ErrorKind::Usage, format!("cannot read policy '{place}'"), why)
}

/// The profile of that name; else why not, and a hint.
fn profile(name: &str) -> std::result::Result<&'static Profile, (String, String)> {
    Profile::from_name(name).ok_or_else(|| {
        let names = || PROFILES.iter().map(|profile| profile.name);
        let hint = nearest::did_you_mean(name, names())
            .unwrap_or_else(|| format!("the profiles are {}", names().collect::<Vec<_>>().join(", ")));
        (format!("there is no profile {}", value::quoted(name)), hint)
    })
}

#[cfg(test)]
mod tests;
