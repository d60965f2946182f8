//! A YAML file as entries: key, line, node. What the keys mean is not known here.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use hangwatch::{Error, ErrorKind, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::NonFiniteFloatPolicy;

use super::wrong;

/// No policy is larger; what is, is another file.
const MAX_BYTES: u64 = 1 << 20;

/// A key of the top level and what stands under it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// From 1.
    pub(super) line: u64,
    pub(super) node: Node,
}

/// A value. What a list or a mapping holds is skipped but for sections: no other key takes one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Nothing,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// The file's text.
pub(super) fn text(path: &Path) -> Result<String> {
    let unreadable = |error: std::io::Error| {
        let error = Error::io(format!("cannot read policy '{}'", path.display()), &error);
        Error::new(ErrorKind::Usage, error.what(), error.why()).hint("'--config FILE' names another file")
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(path, None, format!("it is larger than {MAX_BYTES} bytes"))
            .hint("a policy is a few lines of YAML; is this the right file?"));
    }
    String::from_utf8(bytes)
        .map_err(|_| wrong(path, None, "it is not UTF-8 text").hint("save it as UTF-8; is this the right file?"))
}

/// Its entries, in their order. Under a key of `sections` lists and mappings are read so many levels deep.
pub(super) fn entries(path: &Path, text: &str, sections: &[(&str, u8)]) -> Result<Vec<Entry>> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // A number that is none is refused by the key it stands under, if that is one of ours.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        Top { sections }.deserialize(deserializer)
    });
    match read.map_err(|error| refuse(path, &error))? {
        Document::Entries(entries) if !entries.is_empty() => Ok(entries),
        Document::Entries(_) => Err(wrong(path, None, "it is empty").hint("put 'hangwatch: 1' on its first line")),
        Document::Other(node) => Err(wrong(path, None, format!("it is {node}, expected keys with values"))
            .hint("write 'key: value' on lines of their own, the first of them 'hangwatch: 1'")),
    }
}

fn refuse(path: &Path, error: &serde_saphyr::Error) -> Error {
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or("a key");
        return wrong(path, line, format!("{} stands twice", super::value::quoted(key))).hint("keep one of the two");
    }
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    // The place stands before the sentence already.
    let sentence = message.split(" at line ").next().unwrap_or(&message).lines().next().unwrap_or_default();
    wrong(path, line, format!("not YAML: {sentence}")).hint("write 'key: value' on lines of their own, indented alike")
}

enum Document {
    Entries(Vec<Entry>),
    Other(Node),
}

struct Top<'a> {
    sections: &'a [(&'a str, u8)],
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Document, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A mapping of the top level gives its entries; all else is told by `Scalar`.
impl<'de> Visitor<'de> for Top<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Document, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let levels = self.sections.iter().find(|(name, _)| *name == key.value).map_or(0, |(_, levels)| *levels);
            let node = map.next_value_seed(Scalar { levels })?;
            entries.push(Entry { line: key.referenced.line(), key: key.value, node });
        }
        Ok(Document::Entries(entries))
    }

    fn visit_unit<E>(self) -> std::result::Result<Document, E> {
        Ok(Document::Entries(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<Document, A::Error> {
        SKIP.visit_seq(seq).map(Document::Other)
    }

    fn visit_bool<E: serde::de::Error>(self, met: bool) -> std::result::Result<Document, E> {
        SKIP.visit_bool(met).map(Document::Other)
    }

    fn visit_i64<E: serde::de::Error>(self, met: i64) -> std::result::Result<Document, E> {
        SKIP.visit_i64(met).map(Document::Other)
    }

    fn visit_u64<E: serde::de::Error>(self, met: u64) -> std::result::Result<Document, E> {
        SKIP.visit_u64(met).map(Document::Other)
    }

    fn visit_f64<E: serde::de::Error>(self, met: f64) -> std::result::Result<Document, E> {
        SKIP.visit_f64(met).map(Document::Other)
    }

    fn visit_str<E: serde::de::Error>(self, met: &str) -> std::result::Result<Document, E> {
        SKIP.visit_str(met).map(Document::Other)
    }
}

const SKIP: Scalar = Scalar { levels: 0 };

/// Reads a value; of lists and mappings only so many levels, the others are skipped.
#[derive(Clone, Copy)]
struct Scalar {
    levels: u8,
}

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, met: bool) -> std::result::Result<Node, E> {
        Ok(Node::Bool(met))
    }

    fn visit_i64<E>(self, met: i64) -> std::result::Result<Node, E> {
        Ok(Node::Int(met.into()))
    }

    fn visit_u64<E>(self, met: u64) -> std::result::Result<Node, E> {
        Ok(Node::Int(met.into()))
    }

    fn visit_i128<E>(self, met: i128) -> std::result::Result<Node, E> {
        Ok(Node::Int(met))
    }

    fn visit_u128<E>(self, met: u128) -> std::result::Result<Node, E> {
        Ok(i128::try_from(met).map_or_else(|_| Node::Text(met.to_string()), Node::Int))
    }

    fn visit_f64<E>(self, met: f64) -> std::result::Result<Node, E> {
        Ok(Node::Float(met))
    }

    fn visit_str<E>(self, met: &str) -> std::result::Result<Node, E> {
        Ok(Node::Text(met.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Node, A::Error> {
        let Some(levels) = self.levels.checked_sub(1) else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Node::List(Vec::new()));
        };
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element_seed(Self { levels })? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Node, A::Error> {
        let Some(levels) = self.levels.checked_sub(1) else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Node::Mapping(Vec::new()));
        };
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let node = map.next_value_seed(Self { levels })?;
            entries.push(Entry { line: key.referenced.line(), key: key.value, node });
        }
        Ok(Node::Mapping(entries))
    }
}
