//! Writes JSON values as YAML: in lines, or in brackets.

use serde_json::Value;

/// Keys that come first, in the order people expect them; the others follow in the order of the map.
const FIRST: [&str; 6] = ["apiVersion", "kind", "metadata", "name", "image", "args"];

/// A value in brackets, on one line.
pub(crate) fn flow(value: &Value) -> String {
    // JSON is YAML, but for characters that YAML wants escaped.
    let escaped = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut out = String::new();
    for c in value.to_string().chars() {
        if escaped(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Lines of a mapping or list; each starts with `indent` spaces and ends with a line feed.
pub(crate) fn block(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => lines(value, indent, &mut out),
        _ => out = format!("{}{}\n", " ".repeat(indent), scalar(value, indent)),
    }
    out
}

/// `key: value` in lines.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write_entry(key, value, indent, &mut out);
    out
}

/// `- value` in lines, the dash at `indent`.
pub(crate) fn item(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write_item(value, indent, &mut out);
    out
}

fn lines(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| rank(key));
            for (key, value) in entries {
                write_entry(key, value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                write_item(item, indent, out);
            }
        }
        _ => out.push_str(&block(value, indent)),
    }
}

fn write_entry(key: &str, value: &Value, indent: usize, out: &mut String) {
    out.push_str(&" ".repeat(indent));
    out.push_str(&text(key));
    out.push(':');
    match value {
        Value::Object(_) if !is_empty(value) => {
            out.push('\n');
            lines(value, indent + 2, out);
        }
        // As kubectl does: a list's dashes stand under its key.
        Value::Array(_) if !is_empty(value) => {
            out.push('\n');
            lines(value, indent, out);
        }
        _ => {
            out.push(' ');
            out.push_str(&scalar(value, indent + 2));
            out.push('\n');
        }
    }
}

fn write_item(value: &Value, indent: usize, out: &mut String) {
    let dash = " ".repeat(indent) + "- ";
    out.push_str(&dash);
    if is_empty(value) || !(value.is_object() || value.is_array()) {
        out.push_str(&scalar(value, indent + 2));
        out.push('\n');
        return;
    }
    let mut inner = String::new();
    lines(value, indent + 2, &mut inner);
    // The first line stands behind the dash.
    out.push_str(&inner[dash.len()..]);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn scalar(value: &Value, indent: usize) -> String {
    match value {
        Value::String(string) if is_literal(string) => {
            let margin = " ".repeat(indent);
            let mut out = String::from(if string.ends_with('\n') { "|" } else { "|-" });
            for line in string.trim_end_matches('\n').split('\n') {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&margin);
                    out.push_str(line);
                }
            }
            out
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Whether a text of several lines reads back as it was from a block scalar without further signs.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| {
            c == '\n' || c == '\t' || !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        })
        && !text
            .split('\n')
            .any(|line| line.ends_with([' ', '\t']) || line.trim().is_empty() && !line.is_empty())
}

/// A text in one line: without quotes where nothing else could be read from it.
fn text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '%' | '+' | '@' | '=' | ',');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    if starts && text.chars().all(plain) && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    flow(&Value::from(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::parse;
    use super::super::value::Anchors;
    use super::*;

    fn read(text: &str) -> Value {
        let documents = parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        let root = documents[0].root.as_ref().unwrap();
        Anchors::of(root).value(root)
    }

    #[test]
    fn what_is_written_looks_as_people_write_it() {
        let value = json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {}}, "data": {"mynah.yaml": "a: 1\n\nb: 2\n"},
            "items": [{"name": "x", "port": "80"}, ["n"], 3]});
        let expected = "kind: ConfigMap\nmetadata:\n  name: a\n  labels: {}\ndata:\n  mynah.yaml: |\n    a: 1\n\n    b: 2\n\
            items:\n- name: x\n  port: \"80\"\n- - \"n\"\n- 3\n";
        assert_eq!(block(&value, 0), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z]{0,6}", "(?s).{0,12}", "[ \n\ta:#-]{0,8}", "[0-9eE.x_+-]{1,6}"];
        let leaf = prop_oneof![
            text.clone().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().filter(|(key, _)| key != "<<").collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back_as_it_was(value in any_value()) {
            let value = json!({ "v": value });
            prop_assert_eq!(&read(&block(&value, 0)), &value);
            prop_assert_eq!(&read(&flow(&value)), &value);
        }
    }
}
