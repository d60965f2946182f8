//! Layers, and which of them each value came from: a later layer goes before an earlier one, key by key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::check::Problem;
use super::keys::{KEYS, Key, Policy};
use super::profile::Profile;
use super::set::Of;
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table's row.
    Default,
    /// A profile, by name.
    Profile(&'static str),
    /// A file, and the line in it where that is known.
    File(PathBuf, Option<u64>),
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line, with its dashes.
    Flag(String),
    /// An entry of a model or a worker: its pattern, and where it stands.
    Entry(Of, String, Box<Self>),
}

impl Origin {
    /// The layer's name.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Profile(_) => "profile",
            Self::File(..) => "file",
            Self::Env(_) => "environment",
            Self::Flag(_) => "flag",
            Self::Entry(Of::Model, ..) => "model",
            Self::Entry(Of::Worker, ..) => "worker",
        }
    }
}

/// As a line of an explanation names it; a path one can paste. With `#`, as it stands within parentheses.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
            Self::Entry(of, pattern, at) if f.alternate() => write!(f, "{at}, {}", of.entry(pattern)),
            Self::Entry(of, pattern, at) => write!(f, "{at} ({})", of.entry(pattern)),
        }
    }
}

/// The origin of every field's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// Where the value of a field came from.
    pub fn get(&self, name: &str) -> &Origin {
        self.0.get(name).unwrap_or(&Origin::Default)
    }

    /// Every field in the order of the table, with its value in `policy` and where that came from.
    pub fn explain<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = (&'static Key, Value, &'a Origin)> {
        let fields = KEYS.iter().filter(|key| !key.is_combined());
        fields.filter_map(|key| policy.get(key.name).map(|value| (key, value, self.get(key.name))))
    }
}

/// A policy under construction.
#[derive(Debug, Clone, Default)]
pub struct Layered {
    pub(super) policy: Policy,
    pub(super) origins: Origins,
}

impl Layered {
    /// The lowest layer: every key at its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a profile on top.
    pub fn profile(&mut self, profile: &Profile) -> Result<()> {
        self.layer(profile.values().map(|(key, value)| (key, value, Origin::Profile(profile.name))))
    }

    /// Puts a layer on top. Within a layer a combined key goes first, wherever it stands, so that a key of one field's own
    /// is never undone by it.
    pub fn layer<'a>(&mut self, values: impl IntoIterator<Item = (&'a str, Value, Origin)>) -> Result<()> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|(name, ..)| !Key::from_name(name).is_some_and(Key::is_combined));
        for (name, value, origin) in values {
            self.policy.set(name, value)?;
            for field in Key::from_name(name).map_or(&[][..], |key| key.fields) {
                self.origins.0.insert(field, origin.clone());
            }
        }
        Ok(())
    }

    /// The policy, if it holds together; else what does not, where it came from, and the way out.
    pub fn finish(self) -> Result<(Policy, Origins)> {
        self.check()?;
        Ok((self.policy, self.origins))
    }

    pub(super) fn check(&self) -> Result<()> {
        self.policy.validate().map_err(|problems| refuse(&problems, &self.policy, &self.origins))
    }
}

/// The first problem as the error, the others as lines under it.
fn refuse(problems: &[Problem], policy: &Policy, origins: &Origins) -> Error {
    let Some((first, others)) = problems.split_first() else {
        return Error::new(ErrorKind::Usage, "cannot use this policy", "it does not hold together");
    };
    let what = format!("cannot use {} = {} ({:#})", first.key, first.value, origins.get(first.key));
    let mut error = Error::new(ErrorKind::Usage, what, first.why.clone());
    if let Some((other, value)) = first.other.and_then(|other| policy.get(other).map(|value| (other, value))) {
        error = error.hint(format!("{other} = {value} comes from: {}", origins.get(other)));
    }
    error = error.hint(first.way_out.clone());
    others.iter().fold(error, |error, problem| error.hint(format!("also {problem} ({:#})", origins.get(problem.key))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn secs(value: u64) -> Value {
        Value::Duration(Duration::from_secs(value))
    }

    fn file(line: u64) -> Origin {
        Origin::File("/etc/hangwatch/hangwatch.yaml".into(), Some(line))
    }

    #[test]
    fn the_last_layer_that_names_a_key_gives_its_value_and_its_origin() {
        let mut layered = Layered::new();
        layered.profile(Profile::from_name("mid-range").unwrap()).unwrap();
        layered.layer([("progress_timeout", secs(70), file(3)), ("grace", secs(3), file(4))]).unwrap();
        layered.layer([("grace", secs(4), Origin::Env("HANGWATCH_GRACE".into()))]).unwrap();
        let (policy, origins) = layered.finish().unwrap();
        assert_eq!(policy.heartbeat_timeout, Duration::from_secs(900));
        assert_eq!(origins.get("heartbeat_timeout").to_string(), "profile mid-range");
        assert_eq!(policy.progress_timeout, Duration::from_secs(70));
        assert_eq!(origins.get("progress_timeout").to_string(), "/etc/hangwatch/hangwatch.yaml:3");
        assert_eq!(policy.grace, Duration::from_secs(4));
        assert_eq!(origins.get("grace").to_string(), "HANGWATCH_GRACE");
        assert_eq!(origins.get("backoff").to_string(), "default");
    }

    #[test]
    fn within_a_layer_a_key_of_one_field_goes_before_a_combined_one_in_either_order() {
        let own = ("heartbeat_timeout", secs(5), file(1));
        let combined = ("inference_step_timeout", secs(9), file(2));
        for values in [[own.clone(), combined.clone()], [combined, own]] {
            let mut layered = Layered::new();
            layered.layer(values).unwrap();
            let (policy, origins) = layered.finish().unwrap();
            assert_eq!((policy.heartbeat_timeout.as_secs(), policy.progress_timeout.as_secs()), (5, 9));
            assert_eq!((origins.get("heartbeat_timeout"), origins.get("progress_timeout")), (&file(1), &file(2)));
        }
    }

    #[test]
    fn a_combined_key_of_a_later_layer_goes_before_an_own_one_of_an_earlier() {
        let mut layered = Layered::new();
        layered.layer([("heartbeat_timeout", secs(5), file(1))]).unwrap();
        layered.layer([("inference_step_timeout", secs(9), Origin::Flag("--inference-step-timeout".into()))]).unwrap();
        let (policy, origins) = layered.finish().unwrap();
        assert_eq!(policy.heartbeat_timeout.as_secs(), 9);
        assert_eq!(origins.get("heartbeat_timeout").to_string(), "--inference-step-timeout");
    }

    #[test]
    fn a_policy_that_does_not_hold_names_the_origin_of_each_value() {
        let mut layered = Layered::new();
        layered.layer([("loading_timeout", secs(1), file(4)), ("grace", secs(0), file(5))]).unwrap();
        assert_eq!(
            layered.finish().unwrap_err().to_string(),
            "cannot use loading_timeout = 1s (/etc/hangwatch/hangwatch.yaml:4): a threshold under twice the poll interval of 1s, \
             the least allowed is 2s\n  \
             poll_interval = 1s comes from: default\n  \
             raise loading_timeout to 2s or more, or lower poll_interval to 500ms or less\n  \
             also grace = 0s: it must be more than zero (/etc/hangwatch/hangwatch.yaml:5)"
        );
    }

    #[test]
    fn an_explanation_names_every_field_once() {
        let (policy, origins) = Layered::new().finish().unwrap();
        let names: Vec<_> = origins.explain(&policy).map(|(key, ..)| key.name).collect();
        assert_eq!(names.len(), KEYS.iter().filter(|key| !key.is_combined()).count());
        assert!(origins.explain(&policy).all(|(_, _, origin)| *origin == Origin::Default));
    }
}
