//! The reference that users read, made from the schema.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::file::SHORT;
use crate::shape::{choices, describe, kind, resolve, schema};

const HEAD: &str = "\
# Configuration

<!-- Generated from the configuration's types by `make docs`. Edit the comments there. -->

`mynah run --config FILE` reads one YAML file. `mynah check FILE` says everything that is wrong with it, with line and column;
`mynah check FILE --print` shows it with every default filled in; `mynah schema` prints its JSON Schema for editors.

The least that does something:

```yaml
listeners: [\":80\"]
upstream: http://127.0.0.1:8080
mirrors:
  staging: http://staging.example.internal
```

* Unknown keys are errors; a key without a value is as if it were not there.
* Durations carry a unit (`250ms`, `10s`, `1m 30s`), sizes too (`512B`, `64KiB`, `1MiB`; `kB`, `MB`, `GB` are decimal), and
  ratios a percent sign (`25%`, `0.5%`).
* `${NAME}` in a value is replaced by that environment variable, `${NAME:-default}` by the default when it is unset or empty;
  `$${` is a literal `${`. In a pod, the Downward API provides the names of pod and node this way.
* Where a mapping has a short form, a single value stands for its one necessary key: `upstream: http://127.0.0.1:8080` is
  `upstream: { url: http://127.0.0.1:8080 }`.
";

/// The reference, as Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "", schema());
    text
}

/// One mapping, and those below it.
fn section(text: &mut String, path: &str, schema: &Json) {
    if path.is_empty() {
        text.push_str("\n## Top level\n\n");
    } else {
        let _ = write!(text, "\n## `{path}`\n\n");
        let description = schema["description"].as_str().unwrap_or_default();
        let _ = write!(text, "{}\n\n", one_line(description));
        if let Some(short) = schema[SHORT].as_str() {
            let _ = write!(text, "Short form: the value of `{short}` alone.\n\n");
        }
    }
    text.push_str("| key | value | default | |\n|---|---|---|---|\n");
    let mut below = Vec::new();
    for (key, property) in properties(schema) {
        let target = resolve(property);
        let description = property["description"]
            .as_str()
            .or(target["description"].as_str())
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{key}` | {} | {} | {}{} |",
            value(target),
            default(schema, key, property),
            one_line(description),
            meanings(target),
        );
        let here = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        if let Some((suffix, nested)) = nested(target) {
            below.push((format!("{here}{suffix}"), nested));
        }
    }
    for (path, schema) in below {
        // A route's upstream is described where the upstream is.
        if path != "routes[].upstream" {
            section(text, &path, schema);
        }
    }
}

fn properties(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let mut entries: Vec<_> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.as_str(), v))
        .collect();
    let required = |key: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|keys| keys.iter().any(|k| k == key))
    };
    entries.sort_by_key(|(key, _)| (!required(key), *key));
    entries.into_iter()
}

/// The mapping that a property leads to, if any.
fn nested(target: &Json) -> Option<(&'static str, &Json)> {
    let (suffix, target) = match kind(target) {
        "array" => ("[]", resolve(&target["items"])),
        "object" if target["additionalProperties"].is_object() => (".NAME", resolve(&target["additionalProperties"])),
        _ => ("", target),
    };
    target["properties"].is_object().then_some((suffix, target))
}

fn value(target: &Json) -> String {
    match kind(target) {
        "object" if target["additionalProperties"].is_object() => {
            format!(
                "mapping of names to {}",
                describe(resolve(&target["additionalProperties"]))
            )
        }
        _ if !choices(target).is_empty() => choices(target)
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        _ => describe(target),
    }
}

fn default(schema: &Json, key: &str, property: &Json) -> String {
    if schema["required"]
        .as_array()
        .is_some_and(|keys| keys.iter().any(|k| k == key))
    {
        return "required".to_owned();
    }
    match &property["default"] {
        Json::Null => "none".to_owned(),
        Json::Object(_) => "see below".to_owned(),
        Json::String(text) => format!("`{text}`"),
        Json::Array(list) => format!(
            "`[{}]`",
            list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
        ),
        other => format!("`{other}`"),
    }
}

/// What each word means, where words are explained.
fn meanings(target: &Json) -> String {
    let variants = target["oneOf"].as_array().into_iter().flatten();
    variants
        .filter_map(|variant| Some((variant["const"].as_str()?, variant["description"].as_str()?)))
        .map(|(word, meaning)| format!("<br>`{word}`: {}", one_line(meaning)))
        .collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
