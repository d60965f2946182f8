//! A node of a file, or a text, as the value of a key.

use std::fmt;
use std::time::Duration;

pub(super) use hangwatch::policy::quoted;
use hangwatch::policy::{Key, Kind, Value};

use super::duration;
use super::yaml::Node;

/// Why it is none, and how it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Mismatch {
    pub(super) why: String,
    pub(super) hint: &'static str,
}

/// A node as the value of `key`. Text is read as the environment's is, so quotes make no difference.
pub(super) fn from_node(key: &Key, node: &Node) -> Result<Value, Mismatch> {
    let value = match (key.kind, node) {
        (_, Node::Text(text)) => key.kind.parse(text),
        (Kind::Duration, Node::Int(met)) => u64::try_from(*met).ok().map(|met| Value::Duration(Duration::from_secs(met))),
        (Kind::Duration, Node::Float(met)) => duration::seconds(*met).map(Value::Duration),
        (Kind::Count, Node::Int(met)) => u64::try_from(*met).ok().map(Value::Count),
        (Kind::Factor, Node::Int(met)) => Some(Value::Factor(*met as f64)),
        (Kind::Factor, Node::Float(met)) => Some(Value::Factor(*met)),
        (Kind::Flag, Node::Bool(met)) => Some(Value::Flag(*met)),
        // An older YAML reads a bare `off` as `false`.
        (Kind::Choice(_), Node::Bool(false)) => key.kind.choose("off"),
        _ => None,
    };
    value.ok_or_else(|| mismatch(key, node))
}

/// A text as the value of `key`.
pub(super) fn from_text(key: &Key, text: &str) -> Result<Value, Mismatch> {
    key.kind.parse(text).ok_or_else(|| mismatch(key, &quoted(text)))
}

fn mismatch(key: &Key, met: &dyn fmt::Display) -> Mismatch {
    Mismatch { why: format!("{} is {met}, expected {}", key.name, key.kind.expected()), hint: key.kind.forms() }
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
