//! AI Horde's `bridgeData.yaml`: seven of its keys are ours, the others are its worker's.

use std::fmt;
use std::time::Duration;

use super::keys::{KEYS, Key};
use super::raw::{Mismatch, Raw};
use super::value::{Kind, Value};
use super::{PROFILE_KEY, VERSION_KEY};

/// A key of the origin's that means something here.
#[derive(Debug)]
pub struct Bridge {
    /// Its name there.
    pub horde: &'static str,
    /// The keys that it sets here.
    pub ours: &'static [&'static str],
    /// What the origin itself takes. Where its versions differ, the widest.
    pub least: u64,
    /// The same.
    pub most: u64,
}

/// All of them.
pub const BRIDGE: &[Bridge] = &[
    // 15 to 30 at first, later to 60.
    Bridge { horde: "inference_step_timeout", ours: &["inference_step_timeout"], least: 15, most: 60 },
    Bridge { horde: "preload_timeout", ours: &["loading_timeout"], least: 15, most: u64::MAX },
    Bridge { horde: "download_timeout", ours: &["downloading_timeout", "downloading_aux_timeout"], least: 0, most: u64::MAX },
    Bridge { horde: "post_process_timeout", ours: &["post_processing_timeout"], least: 15, most: u64::MAX },
    Bridge { horde: "process_timeout", ours: &["process_timeout"], least: 0, most: u64::MAX },
    Bridge { horde: "max_batch", ours: &["max_batch"], least: 1, most: 20 },
    Bridge { horde: "exit_on_unhandled_faults", ours: &["exit_on_unhandled_faults"], least: 0, most: 1 },
];

/// Keys by which such a file is known besides.
const SIGNS: &[&str] = &[
    "api_key",
    "horde_url",
    "worker_name",
    "dreamer_name",
    "scribe_name",
    "alchemist_name",
    "models_to_load",
    "models_to_skip",
    "max_threads",
    "max_power",
    "queue_size",
    "cache_home",
    "safety_on_gpu",
    "high_performance_mode",
    "moderate_performance_mode",
];

impl Bridge {
    /// The row of the origin's key.
    pub fn from_name(horde: &str) -> Option<&'static Self> {
        BRIDGE.iter().find(|row| row.horde == horde)
    }

    /// The keys of ours that a key of the origin's stands for, where it has another name here.
    pub fn renamed(horde: &str) -> Option<&'static [&'static str]> {
        Self::from_name(horde).map(|row| row.ours).filter(|ours| !ours.contains(&horde))
    }

    /// Whether names of the top level are such a file's: a key of the origin's, and none that only we have. A file of ours that
    /// lacks its version shares a few names with the origin's, and must not lose its other keys in silence.
    pub fn is_known_by<'a>(names: impl Iterator<Item = &'a str>) -> bool {
        let is_horde = |name: &str| SIGNS.contains(&name) || Self::from_name(name).is_some();
        let is_ours = |name: &str| [VERSION_KEY, PROFILE_KEY].contains(&name) || KEYS.iter().any(|key| key.name == name);
        let mut any = false;
        for name in names {
            if is_ours(name) && !is_horde(name) {
                return false;
            }
            any |= is_horde(name);
        }
        any
    }

    /// What the value says here: each key with its value. `met` is the value as it is shown.
    pub fn read(&self, raw: Option<Raw<'_>>, met: &dyn fmt::Display) -> Result<Vec<(&'static Key, Value)>, Mismatch> {
        let keys = self.ours.iter().filter_map(|name| Key::from_name(name));
        keys.map(|key| raw.and_then(|raw| value(key, raw)).map(|value| (key, value)).ok_or_else(|| self.mismatch(key, met)))
            .collect()
    }

    /// What is to be said of a value that the origin itself would not take.
    pub fn warning(&self, raw: Option<Raw<'_>>) -> Option<String> {
        let met = raw.and_then(whole).filter(|met| !(self.least..=self.most).contains(met))?;
        let (name, least) = (self.horde, self.least);
        let range = if self.most == u64::MAX { format!("{least} and more") } else { format!("{least} to {}", self.most) };
        Some(format!("{name} is {met}, outside AI Horde's own range of {range}; taken as it is"))
    }

    fn mismatch(&self, key: &Key, met: &dyn fmt::Display) -> Mismatch {
        let (expected, hint) = match key.kind {
            Kind::Duration => (
                "whole seconds",
                "AI Horde counts in whole seconds; for durations such as 2s put 'hangwatch: 1' on the first line",
            ),
            Kind::Flag => ("true or false", "write true or false"),
            Kind::Count | Kind::Factor | Kind::Choice(_) => ("a whole number", "write a whole number, such as 4"),
        };
        Mismatch { why: format!("{} is {met}, expected {expected}", self.horde), hint: hint.into() }
    }
}

fn value(key: &Key, raw: Raw<'_>) -> Option<Value> {
    match key.kind {
        Kind::Duration => whole(raw).map(|met| Value::Duration(Duration::from_secs(met))),
        Kind::Count => whole(raw).map(Value::Count),
        Kind::Flag => match raw {
            Raw::Int(met @ (0 | 1)) => Some(Value::Flag(met == 1)),
            _ => key.take(raw),
        },
        Kind::Factor | Kind::Choice(_) => None,
    }
}

/// A whole number, with the spellings that the origin's own reader takes.
fn whole(raw: Raw<'_>) -> Option<u64> {
    match raw {
        Raw::Int(met) => u64::try_from(met).ok(),
        Raw::Float(met) if met.fract() == 0.0 && (0.0..=1e15).contains(&met) => Some(met as u64),
        Raw::Text(met) => met.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_keys_of_the_table() {
        for name in BRIDGE.iter().flat_map(|row| row.ours) {
            let key = Key::from_name(name).unwrap_or_else(|| panic!("{name} is a key"));
            assert!(!matches!(key.kind, Kind::Factor | Kind::Choice(_)), "the origin has no factors and no choices");
        }
    }

    #[test]
    fn the_documented_rows_are_the_rows() {
        let documented = include_str!("../../docs/policy.md");
        for row in BRIDGE {
            let range = match (row.least, row.most) {
                (0, _) => "any".to_string(),
                (least, u64::MAX) => format!("{least} and more"),
                (least, most) => format!("{least} to {most}"),
            };
            let ours = row.ours.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
            let line = format!("| `{}` | {ours} | {range} |\n", row.horde);
            assert!(documented.contains(&line), "docs/policy.md lacks: {line}");
        }
    }

    #[test]
    fn a_file_of_ours_that_lacks_its_version_is_none_of_the_origins() {
        for (names, is_known) in [
            (&["api_key"][..], true),
            (&["inference_step_timeout", "anything"], true),
            (&["anything"], false),
            (&[], false),
            (&["inference_step_timeout", "loading_timeout"], false),
            (&["hangwatch", "api_key"], false),
            (&["profile", "max_batch"], false),
        ] {
            assert_eq!(Bridge::is_known_by(names.iter().copied()), is_known, "{names:?}");
        }
    }
}
