//! Where the policy comes from: defaults < profile < file < environment < flags, and the file's entries of models and workers.
//!
//! The library knows no text; here text becomes `Value`s, with the path and line, variable or flag that each came from.
//!
//! | file | holds |
//! |---|---|
//! | `yaml` | a YAML file as entries: key, line, node |
//! | `native` | entries of `hangwatch: 1` |
//! | `hooks` | the sections `hooks` and `ping` |
//! | `bridge` | entries of AI Horde's `bridgeData.yaml` |
//! | `env` | `HANGWATCH_*` |
//! | `value` | a node or a text as a key's value |
//! | `duration` | a text as a duration |
//! | `size` | a text as a number of bytes |

mod bridge;
pub(crate) mod duration;
pub(crate) mod env;
mod hooks;
mod native;
pub(crate) mod size;
mod value;
mod yaml;

use crate::hooks::Spec;
use crate::ping::Ping;
use std::path::{Path, PathBuf};

use hangwatch::policy::{Entry, Layered, Origin, PolicySet, Profile, Value};
use hangwatch::{Error, ErrorKind, Result};

/// Read where no file is named, if it is there.
const DEFAULT_FILE: &str = "/etc/hangwatch/hangwatch.yaml";

/// Policies that hold together.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) policies: PolicySet,
    /// Sentences about what was taken or ignored though it is probably not meant.
    pub(crate) warnings: Vec<String>,
    /// The file's own; flags may add to them.
    pub(crate) hooks: Vec<Spec>,
    pub(crate) ping: Option<Ping>,
    sources: Sources,
}

impl Loaded {
    /// The same sources, read again: a file may have changed, come or gone. Where they do not hold together any more, that is
    /// the error, and what is loaded stays as it is.
    pub(crate) fn reload(&self) -> Result<Self> {
        self.sources.clone().load()
    }

    /// Says what is odd, and at level `debug` every value of the base.
    pub(crate) fn log(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for (key, value, origin) in self.policies.explain("", "") {
            tracing::debug!("{} = {value} ({origin})", key.name);
        }
    }
}

/// A flag's key, its value, and its name with dashes.
pub(crate) type Flag<'a> = (&'static str, Value, &'a str);

/// All that a policy is read from.
#[derive(Debug, Clone)]
struct Sources {
    /// Read where no other is named, if it is there.
    default: PathBuf,
    named: Option<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<(&'static str, Value, String)>,
}

/// What a layer of text says.
#[derive(Debug, Default)]
struct Layer {
    profile: Option<&'static Profile>,
    values: Vec<(&'static str, Value, Origin)>,
    entries: Vec<Entry>,
    hooks: Vec<Spec>,
    ping: Option<Ping>,
    warnings: Vec<String>,
}

/// Reads all layers.
pub(crate) fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>, flags: &[Flag<'_>]) -> Result<Loaded> {
    load_or(Path::new(DEFAULT_FILE), path, env, flags)
}

fn load_or(
    default: &Path,
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: &[Flag<'_>],
) -> Result<Loaded> {
    let flags = flags.iter().map(|(key, value, flag)| (*key, *value, (*flag).to_string())).collect();
    Sources { default: default.into(), named: path.map(Path::to_path_buf), env: env.collect(), flags }.load()
}

impl Sources {
    fn load(self) -> Result<Loaded> {
        let file = match &self.named {
            Some(path) => read_file(path)?,
            // An unreadable default is an error all the same: its policy was meant to hold.
            None if self.default.exists() => read_file(&self.default)?,
            None => Layer::default(),
        };
        let env = env::read(self.env.iter().cloned())?;
        let mut base = Layered::new();
        if let Some(profile) = env.profile.or(file.profile) {
            base.profile(profile)?;
        }
        base.layer(file.values)?;
        base.layer(env.values)?;
        base.layer(self.flags.iter().map(|(key, value, flag)| (*key, *value, Origin::Flag(flag.clone()))))?;
        let policies = PolicySet::new(base, file.entries)?;
        let warnings = [file.warnings, env.warnings].concat();
        Ok(Loaded { policies, warnings, hooks: file.hooks, ping: file.ping, sources: self })
    }
}

fn read_file(path: &Path) -> Result<Layer> {
    let entries = yaml::entries(path, &yaml::text(path)?, native::SECTIONS)?;
    if bridge::is_bridge(&entries) { bridge::read(path, &entries) } else { native::read(path, &entries) }
}

/// An error about a place in a file.
fn wrong(path: &Path, line: Option<u64>, why: impl Into<String>) -> Error {
    let place = Origin::File(path.to_path_buf(), line);
    Error::new(ErrorKind::Usage, format!("cannot read policy '{place}'"), why)
}

#[cfg(test)]
mod tests;
