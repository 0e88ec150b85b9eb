//! The tree held against the schema of the [`File`] types.
//!
//! Everything that can be said of one value alone is said here, for all values at once: keys that do not exist, keys that
//! are missing, a list where a mapping should be, text that is no duration. What remains becomes a [`File`].

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use crate::error::{ConfigError, MAX_ERRORS, Origin};
use crate::file::{File, SHORT};
use crate::model::Endpoint;
use crate::node::{Content, Key, Node};
use crate::path::Path;
use crate::value::{self, KIND, Value as _};

static SCHEMA: LazyLock<Json> = LazyLock::new(|| schemars::schema_for!(File).to_value());

/// The schema with short forms spelt out, for editors.
pub(crate) fn public_schema() -> Json {
    let mut schema = SCHEMA.clone();
    spell_out(&mut schema);
    schema["title"] = json!("Mynah configuration");
    schema
}

/// The schema as the types have it.
pub(crate) fn schema() -> &'static Json {
    &SCHEMA
}

/// Replaces our keywords by standard ones.
fn spell_out(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            object.remove(KIND);
            object.values_mut().for_each(spell_out);
            if let Some(short) = object.remove(SHORT) {
                let name = short.as_str().unwrap_or_default();
                let short = object["properties"][name].clone();
                let description = object.remove("description");
                let long = std::mem::take(object);
                object.insert("anyOf".to_owned(), json!([short, long]));
                object.extend(description.map(|text| ("description".to_owned(), text)));
            }
        }
        Json::Array(list) => list.iter_mut().for_each(spell_out),
        _ => {}
    }
}

/// The file that a tree describes. Where something is wrong, something harmless stands in for it.
pub(crate) fn read(tree: &Node, errors: Vec<ConfigError>, origin: &Origin) -> (File, Vec<ConfigError>) {
    let mut walk = Walk { tree, origin, errors };
    let value = match walk.value(tree, &SCHEMA, &Path::root()) {
        Json::Null => stand_in(&SCHEMA),
        value => value,
    };
    let file = serde_json::from_value(value).expect("the walk makes what the schema says, and the schema what is read");
    (file, walk.errors)
}

/// Something harmless of this shape.
fn stand_in(schema: &Json) -> Json {
    let schema = resolve(schema);
    if let Some(choice) = choices(schema).first() {
        return json!(choice);
    }
    match kind(schema) {
        "object" => {
            let required = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str);
            let pairs = required.map(|key| (key.to_owned(), stand_in(&schema["properties"][key])));
            Json::Object(pairs.collect())
        }
        "array" => json!([]),
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        // A place that nothing else is at.
        _ if schema[KIND] == Endpoint::KIND => json!("http://unknown.invalid"),
        _ => schema["examples"].get(0).cloned().unwrap_or_else(|| json!("")),
    }
}

/// Follows references, and takes the part that is not null.
pub(crate) fn resolve(schema: &Json) -> &Json {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        return resolve(&SCHEMA["$defs"][name]);
    }
    let part = schema["anyOf"]
        .as_array()
        .and_then(|parts| parts.iter().find(|part| part["type"] != "null"));
    part.map_or(schema, resolve)
}

/// The type of what `schema` describes, other than null.
pub(crate) fn kind(schema: &Json) -> &str {
    let named = match &schema["type"] {
        Json::Array(types) => types.iter().filter_map(Json::as_str).find(|t| *t != "null"),
        other => other.as_str(),
    };
    named.unwrap_or("string")
}

/// The words that a value must be one of; none when it is free.
pub(crate) fn choices(schema: &Json) -> Vec<&str> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let described = variants.flat_map(|variant| {
        variant["const"].as_str().into_iter().chain(
            variant["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str),
        )
    });
    let plain = schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str);
    described.chain(plain).collect()
}

struct Walk<'a> {
    tree: &'a Node,
    origin: &'a Origin,
    errors: Vec<ConfigError>,
}

impl Walk<'_> {
    fn wrong(&mut self, path: &Path, message: impl Into<String>) -> Json {
        if self.errors.len() >= MAX_ERRORS {
            return Json::Null;
        }
        let error = self.origin.error_at(self.tree, path, message);
        if !self.errors.iter().any(|cause| error.is_within(cause)) {
            self.errors.push(error);
        }
        Json::Null
    }

    fn value(&mut self, node: &Node, schema: &Json, path: &Path) -> Json {
        let schema = resolve(schema);
        if let (Some(short), Content::Scalar(_)) = (schema[SHORT].as_str(), &node.content) {
            // The path stays that of the single value: that is where it stands.
            return match self.value(node, &schema["properties"][short], path) {
                Json::Null => Json::Null,
                value => json!({ short: value }),
            };
        }
        match (kind(schema), &node.content) {
            ("object", Content::Map(_) | Content::Nothing) => self.mapping(node, schema, path),
            ("array", Content::List(nodes)) => nodes
                .iter()
                .enumerate()
                .map(|(i, node)| match self.value(node, &schema["items"], &path.index(i)) {
                    Json::Null => stand_in(&schema["items"]),
                    value => value,
                })
                .collect(),
            ("object" | "array", _) => {
                self.wrong(path, format!("expected {}, found {}", describe(schema), node.kind()))
            }
            (_, Content::Scalar(text)) => self.scalar(text, schema, path),
            (_, _) => self.wrong(path, format!("expected {}, found {}", describe(schema), node.kind())),
        }
    }

    fn mapping(&mut self, node: &Node, schema: &Json, path: &Path) -> Json {
        let entries: &[_] = match &node.content {
            Content::Map(entries) => entries,
            _ => &[],
        };
        let mut object = Map::new();
        for (key, value) in entries {
            let below = path.key(&key.name);
            let known = schema["properties"].get(&key.name);
            let free = schema.get("additionalProperties").filter(|free| free.is_object());
            let Some(schema) = known.or(free) else {
                let message = unknown_key(&key.name, schema);
                if self.errors.len() < MAX_ERRORS {
                    self.errors
                        .push(self.origin.error_at_key(node, &key.name, &below, message));
                }
                continue;
            };
            // `key:` without a value is as if it were not there, unless it is something with a name of its own.
            if value.content == Content::Nothing && known.is_some() {
                continue;
            }
            match self.value(value, schema, &below) {
                Json::Null => {}
                value => {
                    object.insert(key.name.clone(), value);
                }
            }
        }
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            let wanted = &schema["properties"][required];
            let there = |(key, value): &(Key, Node)| key.name == required && value.content != Content::Nothing;
            if !entries.iter().any(there) {
                self.wrong(
                    &path.key(required),
                    format!("missing; expected {}", describe(resolve(wanted))),
                );
            }
            object.entry(required).or_insert_with(|| stand_in(wanted));
        }
        Json::Object(object)
    }

    fn scalar(&mut self, text: &str, schema: &Json, path: &Path) -> Json {
        let choices = choices(schema);
        if !choices.is_empty() {
            if choices.contains(&text) {
                return json!(text);
            }
            let message = format!("'{text}' is not valid; expected {}", alternatives(&choices));
            return self.wrong(path, message + &suggestion(text, &choices));
        }
        match kind(schema) {
            "boolean" => match text {
                "true" => json!(true),
                "false" => json!(false),
                _ => self.wrong(path, format!("'{text}' is not valid; expected true or false")),
            },
            "integer" => match text.parse::<u64>() {
                Ok(number) if in_range(number as f64, schema) => json!(number),
                _ => self.wrong(path, format!("'{text}' is not valid; expected {}", describe(schema))),
            },
            "number" => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && in_range(number, schema) => json!(number),
                _ => self.wrong(path, format!("'{text}' is not valid; expected {}", describe(schema))),
            },
            _ => match value::check(schema[KIND].as_str().unwrap_or_default(), text) {
                Ok(()) => json!(text),
                Err(message) => self.wrong(path, message),
            },
        }
    }
}

fn in_range(number: f64, schema: &Json) -> bool {
    schema["minimum"].as_f64().is_none_or(|min| number >= min)
        && schema["maximum"].as_f64().is_none_or(|max| number <= max)
}

/// What a value should be.
pub(crate) fn describe(schema: &Json) -> String {
    let choices = choices(schema);
    if !choices.is_empty() {
        return alternatives(&choices);
    }
    let range = match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) if min > 0.0 => format!(" of at least {min}"),
        _ => String::new(),
    };
    match kind(schema) {
        "object" => match schema[SHORT].as_str() {
            Some(short) => format!("{}, or a mapping", describe(resolve(&schema["properties"][short]))),
            None => "a mapping".to_owned(),
        },
        "array" => format!("a list; each element is {}", describe(resolve(&schema["items"]))),
        "integer" => format!("a whole number{range}"),
        "number" => format!("a number{range}"),
        "boolean" => "true or false".to_owned(),
        _ => match (schema[KIND].as_str(), schema["examples"][0].as_str()) {
            (Some(kind), Some(example)) => format!("{} {kind} such as {example}", article(kind)),
            _ => "text".to_owned(),
        },
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    }
}

fn unknown_key(name: &str, schema: &Json) -> String {
    let mut keys: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    format!(
        "unknown key; expected one of {}{}",
        keys.join(", "),
        suggestion(name, &keys)
    )
}

fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Similarity from which a word is suggested.
const SIMILAR: f64 = 0.7;

/// `; did you mean 'ratio'?`, when one of the words is near.
pub(crate) fn suggestion(word: &str, words: &[&str]) -> String {
    words
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("; did you mean '{candidate}'?"))
        .unwrap_or_default()
}
