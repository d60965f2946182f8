//! The file format of our own: `hangwatch: 1`, `profile: NAME`, the keys of the policy table, below `models:` and `workers:` the
//! keys that are for some of them, by name or pattern, and `hooks:` and `ping:`.

use std::path::Path;

use hangwatch::Result;
use hangwatch::policy::{
    self, Bridge, KEYS, Key, Of, Origin, PROFILE_KEY, Profile, Scope, VERSION, VERSION_KEY, Value, did_you_mean,
};

use super::yaml::{Entry, Node};
use super::{Layer, hooks, value, wrong};

/// Not rows of the table, and how deep each is: names and the keys of each, hooks with lists of words or mappings of headers, and
/// the ping with a list of words.
pub(super) const SECTIONS: &[(&str, u8)] = &[("models", 2), ("workers", 2), (hooks::HOOKS, 3), (hooks::PING, 2)];

/// What the section of that name is of.
fn section(name: &str) -> Option<Of> {
    [Of::Model, Of::Worker].into_iter().find(|of| of.section() == name)
}

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
            layer.profile = Some(Profile::named(name).map_err(|mismatch| wrong(mismatch.why, &mismatch.hint))?);
            continue;
        }
        if let Some(of) = section(&entry.key) {
            read_section(path, of, entry, &mut layer.entries)?;
            continue;
        }
        if entry.key == hooks::HOOKS {
            layer.hooks = hooks::read(path, entry)?;
            continue;
        }
        if entry.key == hooks::PING {
            layer.ping = hooks::read_ping(path, entry)?;
            continue;
        }
        let sections = || SECTIONS.iter().map(|(name, _)| *name);
        let names = || KEYS.iter().map(|key| key.name).chain([VERSION_KEY, PROFILE_KEY]).chain(sections());
        layer.values.push(read_value(path, entry, None, names)?);
    }
    Ok(layer)
}

/// Names or patterns, and under each the keys that are for those.
fn read_section(path: &Path, of: Of, section: &Entry, entries: &mut Vec<policy::Entry>) -> Result<()> {
    let hint = "write names or patterns under it and keys under each, such as 'sdxl*: {progress_timeout: 15m}'";
    for named in mapping(&section.node).ok_or_else(|| {
        wrong(path, Some(section.line), format!("{} is {}, expected names with keys", section.key, section.node)).hint(hint)
    })? {
        let entry = of.entry(&named.key);
        let keys = mapping(&named.node).ok_or_else(|| {
            wrong(path, Some(named.line), format!("{entry} is {}, expected keys with values", named.node)).hint(hint)
        })?;
        // A key of the whole monitor is refused with the others of the set, where its way out is known.
        let names = || KEYS.iter().filter(|key| key.scope == Scope::Worker).map(|key| key.name);
        let values = keys.iter().map(|key| read_value(path, key, Some(&entry), names)).collect::<Result<_>>()?;
        entries.push(policy::Entry { of, pattern: named.key.clone(), values });
    }
    Ok(())
}

/// Nothing is a mapping of nothing: an entry that is commented out.
fn mapping(node: &Node) -> Option<&[Entry]> {
    match node {
        Node::Nothing => Some(&[]),
        Node::Mapping(entries) => Some(entries),
        _ => None,
    }
}

/// A key of the table with its value; `within` names the entry in which it stands, if it does in one.
fn read_value<'a, I: Iterator<Item = &'a str>>(
    path: &Path,
    entry: &Entry,
    within: Option<&str>,
    names: impl Fn() -> I,
) -> Result<(&'static str, Value, Origin)> {
    let wrong = |why: String, hint: &str| {
        let why = within.map_or_else(|| why.clone(), |within| format!("{within}: {why}"));
        wrong(path, Some(entry.line), why).hint(hint)
    };
    let key = Key::from_name(&entry.key)
        .ok_or_else(|| wrong(format!("unknown key {}", value::quoted(&entry.key)), &unknown(&entry.key, names)))?;
    let value = value::from_node(key, &entry.node).map_err(|mismatch| wrong(mismatch.why, &mismatch.hint))?;
    Ok((key.name, value, Origin::File(path.to_path_buf(), Some(entry.line))))
}

fn check_version(path: &Path, entries: &[Entry]) -> Result<()> {
    let Some(entry) = entries.iter().find(|entry| entry.key == VERSION_KEY) else {
        return Err(wrong(path, None, "it has no 'hangwatch:' version, expected 'hangwatch: 1'")
            .hint("put 'hangwatch: 1' on its first line")
            .hint("an AI Horde bridgeData.yaml is read as it is, without keys of hangwatch's own"));
    };
    if entry.node != Node::Int(VERSION.into()) {
        return Err(wrong(path, Some(entry.line), format!("version {}, this build reads {VERSION}", entry.node))
            .hint("compare 'hangwatch --version' with what the file was written for, or write 'hangwatch: 1'"));
    }
    Ok(())
}

fn unknown<'a, I: Iterator<Item = &'a str>>(met: &str, names: impl Fn() -> I) -> String {
    if let Some(ours) = Bridge::renamed(met) {
        return format!("AI Horde's {met} is {} here", ours.join(" and "));
    }
    did_you_mean(met, names()).unwrap_or_else(|| format!("the keys are {}", names().collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_are_those_of_the_set() {
        assert_eq!(SECTIONS.iter().filter_map(|(name, _)| section(name)).collect::<Vec<_>>(), [Of::Model, Of::Worker]);
    }
}
