//! The file format of our own: `hangwatch: 1`, `profile: NAME`, and the keys of the policy table, flat.

use std::path::Path;

use hangwatch::Result;
use hangwatch::policy::{KEYS, Key, Origin};

use super::yaml::{Entry, Node};
use super::{Layer, bridge, nearest, profile, value, wrong};

/// The key of the version, and the version that this build reads.
pub(super) const VERSION_KEY: &str = "hangwatch";
const VERSION: i128 = 1;
/// Not a row of the table: it stands for several values.
pub(super) const PROFILE_KEY: &str = "profile";

/// What the entries say.
pub(super) fn read(path: &Path, entries: &[Entry]) -> Result<Layer> {
    let mut layer = Layer::default();
    check_version(path, entries)?;
    for entry in entries.iter().filter(|entry| entry.key != VERSION_KEY) {
        let wrong = |why: String, hint: &str| wrong(path, Some(entry.line), why).hint(hint);
        if entry.key == PROFILE_KEY {
            let Node::Text(name) = &entry.node else {
                return Err(wrong(format!("profile is {}, expected a name", entry.node), "write 'profile: mid-range'"));
            };
            layer.profile = Some(profile(name).map_err(|(why, hint)| wrong(why, &hint))?);
            continue;
        }
        let Some(key) = Key::from_name(&entry.key) else {
            return Err(wrong(format!("unknown key {}", value::quoted(&entry.key)), &unknown(&entry.key)));
        };
        let value = value::from_node(key, &entry.node).map_err(|mismatch| wrong(mismatch.why, mismatch.hint))?;
        layer.values.push((key.name, value, Origin::File(path.to_path_buf(), Some(entry.line))));
    }
    Ok(layer)
}

fn check_version(path: &Path, entries: &[Entry]) -> Result<()> {
    let Some(entry) = entries.iter().find(|entry| entry.key == VERSION_KEY) else {
        return Err(wrong(path, None, "it has no 'hangwatch:' version, expected 'hangwatch: 1'")
            .hint("put 'hangwatch: 1' on its first line")
            .hint("an AI Horde bridgeData.yaml is read as it is, without keys of hangwatch's own"));
    };
    if entry.node != Node::Int(VERSION) {
        return Err(wrong(path, Some(entry.line), format!("version {}, this build reads {VERSION}", entry.node))
            .hint("compare 'hangwatch --version' with what the file was written for, or write 'hangwatch: 1'"));
    }
    Ok(())
}

fn unknown(met: &str) -> String {
    if let Some(ours) = bridge::ours(met) {
        return format!("AI Horde's {met} is {} here", ours.join(" and "));
    }
    let names = || KEYS.iter().map(|key| key.name).chain([VERSION_KEY, PROFILE_KEY]);
    nearest::did_you_mean(met, names()).unwrap_or_else(|| format!("the keys are {}", names().collect::<Vec<_>>().join(", ")))
}
