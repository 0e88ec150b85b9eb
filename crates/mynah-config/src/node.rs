//! YAML as a tree that knows where everything stands.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use crate::env;
use crate::error::{ConfigError, Errors, MAX_ERRORS, Origin};
use crate::path::{Path, Segment};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Line and column from 1; none for what came from flags.
    pub(crate) place: Option<(u64, u64)>,
    pub(crate) content: Content,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Nothing, as after `key:`.
    Nothing,
    /// Text as it was written; what it means depends on who asks.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Option<(u64, u64)>,
    pub(crate) name: String,
}

impl Node {
    /// A scalar that stands nowhere.
    pub(crate) fn scalar(text: impl Into<String>) -> Self {
        Self::nowhere(Content::Scalar(text.into()))
    }

    /// A list that stands nowhere.
    pub(crate) fn list(nodes: impl IntoIterator<Item = Self>) -> Self {
        Self::nowhere(Content::List(nodes.into_iter().collect()))
    }

    /// A mapping that stands nowhere.
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let key = |name: K| Key {
            place: None,
            name: name.into(),
        };
        Self::nowhere(Content::Map(entries.into_iter().map(|(k, v)| (key(k), v)).collect()))
    }

    fn nowhere(content: Content) -> Self {
        Self { place: None, content }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The place of the key of this mapping.
    pub(crate) fn place_of_key(&self, name: &str) -> Option<(u64, u64)> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(key, _)| key.name == name)?.0.place,
            _ => None,
        }
    }

    /// The place of the value at `path`, or of the last thing on the way to it.
    pub(crate) fn place_of(&self, path: &Path) -> Option<(u64, u64)> {
        let mut node = self;
        let mut place = self.place;
        for segment in path.segments() {
            let next = match (&node.content, segment) {
                (Content::Map(entries), Segment::Key(name)) => entries.iter().find(|(key, _)| key.name == *name),
                (Content::List(nodes), Segment::Index(index)) => {
                    let Some(next) = nodes.get(*index) else { break };
                    (place, node) = (next.place, next);
                    continue;
                }
                _ => None,
            };
            let Some((key, next)) = next else { break };
            // A value without extent, as after `key:`, is best shown at its key; so are mappings and lists.
            place = match next.content {
                Content::Scalar(_) => next.place,
                _ => key.place,
            };
            node = next;
        }
        place
    }
}

/// Most keys and values of a file; what aliases repeat counts again. Many times what a large configuration has.
const MAX_NODES: usize = 100_000;

/// Reads YAML, and puts environment variables into its keys and values. What is wrong with a value is told beside the tree, so that
/// the rest can be looked at as well.
pub(crate) fn parse(
    text: &str,
    origin: &Origin,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Node, Vec<ConfigError>), Errors> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES },
    };
    let raw: Option<Spanned<Raw>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax_error(&error, origin))?;
    let mut reader = Reader {
        text,
        origin,
        variable,
        errors: Vec::new(),
    };
    let tree = match raw {
        Some(raw) => reader.node(raw),
        None => Node {
            place: Some((1, 1)),
            content: Content::Nothing,
        },
    };
    Ok((tree, reader.errors))
}

fn syntax_error(error: &serde_saphyr::Error, origin: &Origin) -> ConfigError {
    let place = error.location().map(|location| (location.line(), location.column()));
    let rendered = error.without_snippet().to_string();
    let rendered = if rendered.contains("budget breached") {
        format!("too much for a configuration; expected at most {MAX_NODES} keys and values, nested at most 64 deep")
    } else if rendered.contains("multiple YAML documents") {
        "a second document; expected one".to_owned()
    } else {
        rendered
    };
    // The place is told once, in front.
    let message = rendered
        .split(" at line ")
        .next()
        .unwrap_or(&rendered)
        .trim_start_matches("error: ");
    let message = message.lines().next().unwrap_or(message);
    origin.error(place, message)
}

/// What YAML says, before the text of plain scalars is looked up.
enum Raw {
    Nothing,
    Text(String),
    /// A number or boolean: `1.10` and `yes` are read as they were written, by whoever knows what they should be.
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Reader<'a, V> {
    text: &'a str,
    origin: &'a Origin,
    variable: V,
    errors: Vec<ConfigError>,
}

impl<V: Fn(&str) -> Option<String>> Reader<'_, V> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let location = raw.referenced;
        let content = match raw.value {
            Raw::Nothing => Content::Nothing,
            Raw::Text(text) => Content::Scalar(self.put_in(&text, location)),
            Raw::Plain => Content::Scalar(self.written(raw.defined)),
            Raw::List(nodes) => Content::List(nodes.into_iter().map(|node| self.node(node)).collect()),
            Raw::Map(entries) => Content::Map(self.entries(entries)),
        };
        Node {
            place: place(location),
            content,
        }
    }

    fn entries(&mut self, raw: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut lines: HashMap<String, u64> = HashMap::new();
        for (key, value) in raw {
            let here = place(key.referenced);
            let name = self.put_in(&key.value, key.referenced);
            if let Some(line) = lines.get(&name) {
                let message = format!("key '{name}' is given twice, first on line {line}; expected it once");
                self.wrong(here, message);
                continue;
            }
            lines.insert(name.clone(), key.referenced.line());
            let value = self.node(value);
            entries.push((Key { place: here, name }, value));
        }
        entries
    }

    /// The text of a plain scalar.
    fn written(&self, location: Location) -> String {
        let span = location.span();
        let start = span.offset() as usize;
        let bytes = span.byte_offset().zip(span.byte_len());
        let bytes = bytes.and_then(|(at, len)| self.text.get(at as usize..(at + len) as usize));
        if let Some(written) = bytes {
            return written.trim().to_owned();
        }
        self.text
            .chars()
            .skip(start)
            .take(span.len() as usize)
            .collect::<String>()
            .trim()
            .to_owned()
    }

    fn put_in(&mut self, text: &str, location: Location) -> String {
        env::substitute(text, &self.variable).unwrap_or_else(|message| {
            self.wrong(place(location), message);
            String::new()
        })
    }

    fn wrong(&mut self, place: Option<(u64, u64)>, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(self.origin.error(place, message));
        }
    }
}

fn place(location: Location) -> Option<(u64, u64)> {
    Some((location.line(), location.column()))
}
