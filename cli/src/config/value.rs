//! A node of a file, or a text, as the value of a key.

use std::fmt;

pub(super) use hangwatch::policy::quoted;
use hangwatch::policy::{Key, Mismatch, Raw, Value};

use super::yaml::Node;

/// A node, if it is no more than a value.
pub(super) fn raw(node: &Node) -> Option<Raw<'_>> {
    match node {
        Node::Bool(met) => Some(Raw::Bool(*met)),
        Node::Int(met) => Some(Raw::Int(*met)),
        Node::Float(met) => Some(Raw::Float(*met)),
        Node::Text(text) => Some(Raw::Text(text)),
        Node::Nothing | Node::List(_) | Node::Mapping(_) => None,
    }
}

/// A node as the value of `key`. Text is read as the environment's is, so quotes make no difference.
pub(super) fn from_node(key: &Key, node: &Node) -> Result<Value, Mismatch> {
    raw(node).and_then(|raw| key.take(raw)).ok_or_else(|| key.mismatch(node))
}

/// A text as the value of `key`.
pub(super) fn from_text(key: &Key, text: &str) -> Result<Value, Mismatch> {
    key.take(Raw::Text(text)).ok_or_else(|| key.mismatch(&quoted(text)))
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("empty"),
            Self::Bool(met) => write!(f, "{met}"),
            Self::Int(met) => write!(f, "{met}"),
            Self::Float(met) => write!(f, "{met}"),
            Self::Text(met) => f.write_str(&quoted(met)),
            Self::List(_) => f.write_str("a list"),
            Self::Mapping(_) => f.write_str("a mapping"),
        }
    }
}
