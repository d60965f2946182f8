//! AI Horde's `bridgeData.yaml`, read as it is: the library has the table of its keys.

use std::path::Path;

use hangwatch::Result;
use hangwatch::policy::{Bridge, Mismatch, Origin};

use super::hooks::HOOKS;
use super::native::SECTIONS;
use super::yaml::{Entry, Node};
use super::{Layer, value, wrong};

/// No version of ours, a key of the origin's, and none that only we have.
pub(super) fn is_bridge(entries: &[Entry]) -> bool {
    let is_named = |entry: &Entry| SECTIONS.iter().any(|(name, _)| *name == entry.key);
    // The origin's own `models` is a list.
    let is_section = |entry: &Entry| match entry.node {
        Node::Mapping(_) => is_named(entry),
        Node::List(_) => entry.key == HOOKS,
        _ => false,
    };
    Bridge::is_known_by(entries.iter().map(|entry| entry.key.as_str())) && !entries.iter().any(is_section)
}

/// What the entries say.
pub(super) fn read(path: &Path, entries: &[Entry]) -> Result<Layer> {
    let mut layer = Layer::default();
    for entry in entries {
        let Some(row) = Bridge::from_name(&entry.key) else { continue };
        let (origin, raw) = (Origin::File(path.to_path_buf(), Some(entry.line)), value::raw(&entry.node));
        let refuse = |mismatch: Mismatch| wrong(path, Some(entry.line), mismatch.why).hint(mismatch.hint);
        for (key, value) in row.read(raw, &entry.node).map_err(refuse)? {
            layer.values.push((key.name, value, origin.clone()));
        }
        layer.warnings.extend(row.warning(raw).map(|warning| format!("{origin}: {warning}")));
    }
    Ok(layer)
}
