//! What YAML means, as JSON: what `kubectl` would send to the API server.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::{Kind, Node};

/// Values that a document may grow to through aliases.
const MAX_VALUES: usize = 1_000_000;

/// The nodes of a document by their anchors.
pub(crate) struct Anchors<'n>(HashMap<usize, &'n Node>);

impl<'n> Anchors<'n> {
    /// Those at and below this node.
    pub(crate) fn of(root: &'n Node) -> Self {
        let mut anchors = HashMap::new();
        root.walk(&mut |node| {
            if node.anchor != 0 {
                anchors.insert(node.anchor, node);
            }
        });
        Self(anchors)
    }

    /// The node that an alias stands for; any other node itself.
    pub(crate) fn follow(&self, node: &'n Node) -> &'n Node {
        match node.kind {
            Kind::Alias(id) => self.0.get(&id).copied().unwrap_or(node),
            _ => node,
        }
    }

    /// What a node means; `null` where a stream of aliases would grow without end.
    pub(crate) fn value(&self, node: &'n Node) -> Value {
        let mut left = MAX_VALUES;
        self.limited(node, &mut left)
    }

    fn limited(&self, node: &'n Node, left: &mut usize) -> Value {
        if *left == 0 {
            return Value::Null;
        }
        *left -= 1;
        match &self.follow(node).kind {
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => plain(text),
            Kind::List { items, .. } => items.iter().map(|item| self.limited(item, left)).collect(),
            Kind::Map { entries, .. } => {
                let mut map = Map::new();
                for entry in entries {
                    let value = self.limited(&entry.value, left);
                    match (entry.key.text(), value) {
                        (Some("<<"), Value::Object(merged)) => merge(&mut map, merged),
                        (Some("<<"), Value::Array(list)) => {
                            for merged in list {
                                if let Value::Object(merged) = merged {
                                    merge(&mut map, merged);
                                }
                            }
                        }
                        (Some(key), value) => {
                            map.insert(key.to_owned(), value);
                        }
                        (None, _) => {}
                    }
                }
                // What is written beside a merge key wins, wherever it stands.
                for entry in entries {
                    if let Some(key) = entry.key.text().filter(|key| *key != "<<") {
                        map.insert(key.to_owned(), self.limited(&entry.value, left));
                    }
                }
                Value::Object(map)
            }
            Kind::Alias(_) => Value::Null,
        }
    }
}

fn merge(map: &mut Map<String, Value>, merged: Map<String, Value>) {
    for (key, value) in merged {
        map.entry(key).or_insert(value);
    }
}

/// A scalar without quotes, as `kubectl` reads it: `0644` is octal.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |prefix: &str, radix| {
        let rest = digits.strip_prefix(prefix)?;
        i64::from_str_radix(rest, radix)
            .ok()
            .filter(|_| !rest.starts_with(['+', '-']))
    };
    let number = radix("0o", 8)
        .or_else(|| radix("0x", 16))
        .or_else(|| radix("0b", 2))
        .or_else(|| (digits.len() > 1).then(|| radix("0", 8)).flatten());
    if let Some(number) = number {
        return Value::from(sign * number);
    }
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Value::String(text.to_owned());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let decimal = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>().ok().filter(|_| decimal).and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    fn value(text: &str) -> Value {
        let documents = parse(text).unwrap();
        let root = documents[0].root.as_ref().unwrap();
        Anchors::of(root).value(root)
    }

    #[test]
    fn scalars_mean_what_kubectl_reads() {
        let text = "[0644, 0o17, 0x1f, 8080, -1, 1.5, '8080', 1.2.3, true, ~, 10m, .5]";
        let expected = json!([420, 15, 31, 8080, -1, 1.5, "8080", "1.2.3", true, null, "10m", 0.5]);
        assert_eq!(value(text), expected);
    }

    #[test]
    fn anchors_and_merge_keys_are_followed_and_what_is_written_beside_wins() {
        let text = "base: &b {a: 1, b: 2}\nx:\n  a: 3\n  <<: *b\ny: *b\n";
        assert_eq!(
            value(text),
            json!({"base": {"a": 1, "b": 2}, "x": {"a": 3, "b": 2}, "y": {"a": 1, "b": 2}})
        );
    }
}
