//! AI Horde's `bridgeData.yaml`, read as it is: seven of its keys are ours, the others are its worker's.

use std::path::Path;
use std::time::Duration;

use hangwatch::Result;
use hangwatch::policy::{KEYS, Key, Kind, Origin, Value};

use super::hooks::HOOKS;
use super::native::{PROFILE_KEY, SECTIONS, VERSION_KEY};
use super::yaml::{Entry, Node};
use super::{Layer, value, wrong};

/// A key of the origin's that means something here.
#[derive(Debug)]
struct Row {
    horde: &'static str,
    ours: &'static [&'static str],
    /// What the origin itself takes. Where its versions differ, the widest.
    least: u64,
    most: u64,
}

const ROWS: &[Row] = &[
    // 15 to 30 at first, later to 60.
    Row { horde: "inference_step_timeout", ours: &["inference_step_timeout"], least: 15, most: 60 },
    Row { horde: "preload_timeout", ours: &["loading_timeout"], least: 15, most: u64::MAX },
    Row { horde: "download_timeout", ours: &["downloading_timeout", "downloading_aux_timeout"], least: 0, most: u64::MAX },
    Row { horde: "post_process_timeout", ours: &["post_processing_timeout"], least: 15, most: u64::MAX },
    Row { horde: "process_timeout", ours: &["process_timeout"], least: 0, most: u64::MAX },
    Row { horde: "max_batch", ours: &["max_batch"], least: 1, most: 20 },
    Row { horde: "exit_on_unhandled_faults", ours: &["exit_on_unhandled_faults"], least: 0, most: 1 },
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

/// The keys of ours that a key of the origin's stands for, where it has another name here.
pub(super) fn ours(horde: &str) -> Option<&'static [&'static str]> {
    ROWS.iter().find(|row| row.horde == horde && !row.ours.contains(&horde)).map(|row| row.ours)
}

/// No version of ours, a key of the origin's, and none that only we have: a file of ours that lacks its version shares a few
/// names with the origin's, and must not lose its other keys in silence.
pub(super) fn is_bridge(entries: &[Entry]) -> bool {
    let is_horde = |name: &str| SIGNS.contains(&name) || ROWS.iter().any(|row| row.horde == name);
    let is_ours = |name: &str| [VERSION_KEY, PROFILE_KEY].contains(&name) || KEYS.iter().any(|key| key.name == name);
    let is_named = |entry: &Entry| SECTIONS.iter().any(|(name, _)| *name == entry.key);
    // The origin's own `models` is a list.
    let is_section = |entry: &Entry| match entry.node {
        Node::Mapping(_) => is_named(entry),
        Node::List(_) => entry.key == HOOKS,
        _ => false,
    };
    entries.iter().any(|entry| is_horde(&entry.key))
        && !entries.iter().any(|entry| is_ours(&entry.key) && !is_horde(&entry.key) || is_section(entry))
}

/// What the entries say.
pub(super) fn read(path: &Path, entries: &[Entry]) -> Result<Layer> {
    let mut layer = Layer::default();
    for entry in entries {
        let Some(row) = ROWS.iter().find(|row| row.horde == entry.key) else { continue };
        let origin = Origin::File(path.to_path_buf(), Some(entry.line));
        for name in row.ours {
            let Some(key) = Key::from_name(name) else { continue };
            let value = read_value(key, &entry.node).ok_or_else(|| refuse(path, key, entry))?;
            layer.values.push((key.name, value, origin.clone()));
        }
        if let Some(met) = whole(&entry.node).filter(|met| !(row.least..=row.most).contains(met)) {
            let (name, least) = (row.horde, row.least);
            let range = if row.most == u64::MAX { format!("{least} and more") } else { format!("{least} to {}", row.most) };
            layer.warnings.push(format!("{origin}: {name} is {met}, outside AI Horde's own range of {range}; taken as it is"));
        }
    }
    Ok(layer)
}

fn read_value(key: &Key, node: &Node) -> Option<Value> {
    match key.kind {
        Kind::Duration => whole(node).map(|met| Value::Duration(Duration::from_secs(met))),
        Kind::Count => whole(node).map(Value::Count),
        Kind::Flag => match node {
            Node::Int(met @ (0 | 1)) => Some(Value::Flag(*met == 1)),
            _ => value::from_node(key, node).ok(),
        },
        Kind::Factor | Kind::Choice(_) => None,
    }
}

/// A whole number, with the spellings that the origin's own reader takes.
fn whole(node: &Node) -> Option<u64> {
    match node {
        Node::Int(met) => u64::try_from(*met).ok(),
        Node::Float(met) if met.fract() == 0.0 && (0.0..=1e15).contains(met) => Some(*met as u64),
        Node::Text(met) => met.trim().parse().ok(),
        _ => None,
    }
}

fn refuse(path: &Path, key: &Key, entry: &Entry) -> hangwatch::Error {
    let (expected, hint) = match key.kind {
        Kind::Duration => {
            ("whole seconds", "AI Horde counts in whole seconds; for durations such as 2s put 'hangwatch: 1' on the first line")
        }
        Kind::Flag => ("true or false", "write true or false"),
        Kind::Count | Kind::Factor | Kind::Choice(_) => ("a whole number", "write a whole number, such as 4"),
    };
    wrong(path, Some(entry.line), format!("{} is {}, expected {expected}", entry.key, entry.node)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_keys_of_the_table() {
        for row in ROWS {
            for name in row.ours {
                let key = Key::from_name(name).unwrap_or_else(|| panic!("{name} is a key"));
                assert!(!matches!(key.kind, Kind::Factor | Kind::Choice(_)), "the origin has no factors and no choices");
            }
        }
    }

    #[test]
    fn the_documented_rows_are_the_rows() {
        let documented = include_str!("../../../docs/policy.md");
        for row in ROWS {
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
}
