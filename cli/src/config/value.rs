//! A node of a file, or a text, as the value of a key.

use std::fmt;
use std::time::Duration;

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
        (_, Node::Text(text)) => parse(key.kind, text),
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
    parse(key.kind, text).ok_or_else(|| mismatch(key, &quoted(text)))
}

fn mismatch(key: &Key, met: &dyn fmt::Display) -> Mismatch {
    let hint = match key.kind {
        Kind::Duration => duration::FORMS,
        Kind::Count => "write a whole number, such as 4",
        Kind::Factor => "write a number, such as 10 or 2.5",
        Kind::Flag => "write true or false",
        Kind::Choice(_) => "write one of these words",
    };
    Mismatch { why: format!("{} is {met}, expected {}", key.name, key.kind.expected()), hint }
}

fn parse(kind: Kind, text: &str) -> Option<Value> {
    let text = text.trim();
    match kind {
        Kind::Duration => duration::parse(text).map(Value::Duration),
        Kind::Count => text.parse().ok().map(Value::Count),
        Kind::Factor => text.parse().ok().filter(|met: &f64| met.is_finite()).map(Value::Factor),
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(Value::Flag(true)),
            "false" | "no" | "off" | "0" => Some(Value::Flag(false)),
            _ => None,
        },
        Kind::Choice(_) => kind.choose(text),
    }
}

/// A text as an error shows it: escaped, and short.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("'{}{rest}'", shown.escape_debug())
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
