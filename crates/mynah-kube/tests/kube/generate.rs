//! Manifests of many shapes, written in many styles.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// How a stream is written.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// Spaces for each step.
    indent: usize,
    /// Whether dashes stand under their key.
    flush: bool,
    /// Depth from which values stand in brackets.
    flow_from: usize,
    /// Every so many lines a comment, or none.
    comments: usize,
    crlf: bool,
    last_line_end: bool,
    leading_marker: bool,
    list: bool,
    reverse_keys: bool,
    quotes: bool,
}

pub(crate) fn any_style() -> impl Strategy<Value = Style> {
    let layout = (
        2_usize..5,
        any::<bool>(),
        prop_oneof![Just(99_usize), 0_usize..12],
        0_usize..5,
    );
    let signs = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    (layout, signs).prop_map(|((indent, flush, flow_from, comments), (a, b, c, d, e, f))| Style {
        indent,
        flush,
        flow_from,
        comments,
        crlf: a && b,
        last_line_end: b,
        leading_marker: c,
        list: d && e,
        reverse_keys: e,
        quotes: f,
    })
}

/// Services, a workload and something else, in any order.
pub(crate) fn any_manifests() -> impl Strategy<Value = Vec<Value>> {
    let optional = |value: Value| prop_oneof![Just(None), Just(Some(value))];
    let probe = |port: Value| {
        prop_oneof![
            Just(None),
            Just(Some(json!({"httpGet": {"path": "/", "port": port}}))),
            Just(Some(json!({"tcpSocket": {"port": 8080}, "periodSeconds": 3}))),
            Just(Some(json!({"exec": {"command": ["sh", "-c", "test -e 8080\ntrue\n"]}}))),
        ]
    };
    let container = (
        probe(json!("http")),
        probe(json!(8080)),
        probe(json!("8080")),
        optional(json!([{"name": "PORT", "value": "8080"}, {"name": "NOTE", "value": "a: b # c"}])),
        optional(json!(["--port", "8080"])),
        optional(json!([])),
    );
    let pod = (
        optional(json!([{"name": "init", "image": "busybox"}])),
        prop_oneof![
            Just(None),
            Just(Some(json!([]))),
            Just(Some(Value::Null)),
            Just(Some(json!([{"name": "tmp", "emptyDir": {}}])))
        ],
        optional(json!({"runAsNonRoot": true})),
        prop_oneof![Just(None), Just(Some(json!(10)))],
        any::<bool>(),
    );
    let top = (
        prop_oneof![Just("Deployment"), Just("StatefulSet"), Just("DaemonSet")],
        prop_oneof![
            Just(None),
            Just(Some(json!({}))),
            Just(Some(Value::Null)),
            Just(Some(json!({"note": "line\nline\n"})))
        ],
        optional(json!("shop")),
        prop_oneof![Just(json!(8080)), Just(json!("http"))],
        0_usize..3,
    );
    (container, pod, top).prop_map(|((live, ready, start, env, args, mounts), (init, volumes, security, grace, second), (kind, annotations, namespace, target, order))| {
        let mut app = json!({"name": "app", "image": "example/app:1", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]});
        put(&mut app, [("livenessProbe", live), ("readinessProbe", ready), ("startupProbe", start), ("env", env), ("args", args), ("volumeMounts", mounts)]);
        let mut containers = vec![app];
        if second {
            containers.insert(usize::from(order == 0), json!({"name": "helper", "image": "busybox", "command": ["sleep", "1d"]}));
        }
        let mut pod = json!({ "containers": containers });
        put(&mut pod, [("initContainers", init), ("volumes", volumes), ("securityContext", security), ("terminationGracePeriodSeconds", grace)]);
        let mut metadata = json!({"name": "generated"});
        put(&mut metadata, [("annotations", annotations), ("namespace", namespace.clone())]);
        let workload = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "generated"}},
            "template": {"metadata": {"labels": {"app": "generated", "tier": "1"}}, "spec": pod}}});
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "generated"},
            "spec": {"selector": {"app": "generated"}, "ports": [{"port": 80, "targetPort": target}]}});
        put(&mut service["metadata"], [("namespace", namespace)]);
        let mut objects = vec![service, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"f": "a\n\n  b\n"}})];
        objects.insert(order, workload);
        objects
    })
}

fn put<const N: usize>(object: &mut Value, entries: [(&str, Option<Value>); N]) {
    for (key, value) in entries {
        if let Some(value) = value {
            object[key] = value;
        }
    }
}

impl Style {
    /// Writes objects as a stream, or as a `List`.
    pub(crate) fn write(&self, objects: &[Value]) -> String {
        let mut lines = Vec::new();
        if self.list {
            self.lines(
                &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
                0,
                0,
                &mut lines,
            );
        } else {
            for (i, object) in objects.iter().enumerate() {
                if i > 0 || self.leading_marker {
                    lines.push("---".to_owned());
                }
                self.lines(object, 0, 0, &mut lines);
            }
        }
        let mut text = String::new();
        let newline = if self.crlf { "\r\n" } else { "\n" };
        for (i, line) in lines.iter().enumerate() {
            // No comment inside a block scalar, whose text it would be.
            let inside = !line.contains(": ") && !line.ends_with(':') && !line.trim_start().starts_with('-');
            if self.comments > 0 && i % (self.comments * 3) == 1 && !inside {
                text.push_str(&format!("# line {i}{newline}"));
            }
            text.push_str(line);
            if self.comments > 0 && i % (self.comments * 4) == 2 && !inside && !line.ends_with('|') {
                text.push_str("  # note");
            }
            text.push_str(newline);
        }
        if !self.last_line_end
            && !lines
                .last()
                .is_some_and(|line| line.starts_with(' ') && !line.contains(": "))
        {
            text.truncate(text.trim_end().len());
        }
        text
    }

    fn lines(&self, value: &Value, column: usize, depth: usize, lines: &mut Vec<String>) {
        let margin = " ".repeat(column);
        match value {
            Value::Object(map) if !map.is_empty() && depth < self.flow_from => {
                for (key, value) in self.ordered(map) {
                    let key = if self.quotes && key.contains('e') {
                        format!("\"{key}\"")
                    } else {
                        key.clone()
                    };
                    if is_block(value) && depth + 1 < self.flow_from {
                        lines.push(format!("{margin}{key}:"));
                        let step = if value.is_array() && self.flush { 0 } else { self.indent };
                        self.lines(value, column + step, depth + 1, lines);
                    } else {
                        match value
                            .as_str()
                            .filter(|text| text.contains('\n') && depth < self.flow_from)
                        {
                            Some(text) => {
                                lines.push(format!("{margin}{key}: |"));
                                let inner = " ".repeat(column + self.indent);
                                let written = |line: &str| {
                                    if line.is_empty() {
                                        String::new()
                                    } else {
                                        format!("{inner}{line}")
                                    }
                                };
                                lines.extend(text.trim_end().split('\n').map(written));
                            }
                            None => lines.push(format!("{margin}{key}: {}", self.flow(value))),
                        }
                    }
                }
            }
            Value::Array(items) if !items.is_empty() && depth < self.flow_from => {
                for item in items {
                    let mut inner = Vec::new();
                    if is_block(item) && depth + 1 < self.flow_from {
                        self.lines(item, column + self.indent, depth + 1, &mut inner);
                        let dash = format!("{margin}-{}", " ".repeat(self.indent - 1));
                        inner[0].replace_range(..column + self.indent, &dash);
                        lines.append(&mut inner);
                    } else {
                        lines.push(format!("{margin}- {}", self.flow(item)));
                    }
                }
            }
            other => lines.push(format!("{margin}{}", self.flow(other))),
        }
    }

    fn ordered<'v>(&self, map: &'v Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        if self.reverse_keys {
            entries.reverse();
        }
        entries
    }

    /// In brackets, as people write it.
    fn flow(&self, value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let entries: Vec<_> = self
                    .ordered(map)
                    .iter()
                    .map(|(key, value)| format!("{key}: {}", self.flow(value)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.flow(item)).collect();
                if self.quotes {
                    format!("[ {} ]", items.join(" , "))
                } else {
                    format!("[{}]", items.join(", "))
                }
            }
            Value::Null if self.quotes => "~".to_owned(),
            other => other.to_string(),
        }
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}
