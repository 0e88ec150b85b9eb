//! Mirrors.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mynah_core::{AdaptiveSpec, Ratio, TRACE_LINK, TRACEPARENT, TRACESTATE};

use super::Check;
use crate::file;
use crate::model::{Breaker, HeaderEdits, Mirror, Trace};
use crate::path::Path;
use crate::value::is_token;

/// Longest name of a mirror.
const NAME: usize = 63;

/// Shortest interval of an adaptive mirror.
const INTERVAL: Duration = Duration::from_millis(10);

/// Fields that say how a message is framed, or that have a key of their own.
const RESERVED: [(&str, &str); 10] = [
    ("connection", "it belongs to the connection"),
    ("content-length", "it frames the message"),
    ("host", "expected the mirror's key 'host'"),
    ("keep-alive", "it belongs to the connection"),
    ("mynah-copy", "it marks copies"),
    ("proxy-connection", "it belongs to the connection"),
    ("te", "it belongs to the connection"),
    ("trailer", "it frames the message"),
    ("transfer-encoding", "it frames the message"),
    ("upgrade", "it belongs to the connection"),
];

impl Check<'_> {
    pub(super) fn mirror(&mut self, name: &str, mirror: &file::Mirror, path: &Path) -> Mirror {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > NAME || !name.bytes().all(valid) {
            self.wrong(
                path,
                format!("'{name}' is no name for a mirror; expected at most {NAME} letters, digits, '-', '_' and '.'"),
            );
        }
        for (key, size) in [("window", mirror.window.0)] {
            if size.bytes() < 1024 {
                self.wrong(&path.key(key), format!("{size} is not valid; expected at least 1KiB"));
            }
        }
        let url = mirror.url.0.clone();
        Mirror {
            name: name.to_owned(),
            ratio: mirror.ratio.0,
            by: mirror.by.0.clone(),
            methods: self.methods(&mirror.methods, &path.key("methods")),
            protocol: mirror.protocol,
            tls: self.client_tls(mirror.tls.as_ref(), &url, path),
            host: mirror.host.0.clone(),
            headers: self.header_edits(&mirror.headers, &path.key("headers")),
            credentials: mirror.credentials,
            mask_query: mirror.mask_query.clone(),
            requests_per_second: mirror.requests_per_second,
            max_in_flight: mirror.max_in_flight as usize,
            max_connections: mirror.max_connections as usize,
            window: mirror.window.0,
            connect_timeout: self.positive(mirror.connect_timeout.0, &path.key("connect_timeout")),
            timeout: self.positive(mirror.timeout.0, &path.key("timeout")),
            max_response: mirror.max_response.0,
            idle_timeout: self.positive(mirror.idle_timeout.0, &path.key("idle_timeout")),
            adaptive: mirror
                .adaptive
                .as_ref()
                .map(|adaptive| self.adaptive(adaptive, &path.key("adaptive")))
                .filter(|_| mirror.adaptive.as_ref().is_some_and(|adaptive| adaptive.enabled)),
            breaker: Breaker {
                failures: mirror.breaker.failures,
                open_for: self.positive(mirror.breaker.open_for.0, &path.key("breaker").key("open_for")),
            },
            resolve_interval: self.positive(mirror.resolve_interval.0, &path.key("resolve_interval")),
            copy_probes: mirror.copy_probes,
            trace: self.trace(mirror, path),
            access_log: self.mirror_log(mirror, &path.key("access_log")),
            url,
        }
    }

    /// A field of the trace context is either the mirror's `trace` to change, or `headers`.
    fn trace(&mut self, mirror: &file::Mirror, path: &Path) -> Trace {
        let traced = |name: &str| {
            [TRACEPARENT, TRACESTATE, TRACE_LINK]
                .iter()
                .any(|field| name.eq_ignore_ascii_case(field))
        };
        if mirror.trace != Trace::Keep {
            for (key, fields) in [("set", &mirror.headers.set), ("add", &mirror.headers.add)] {
                for name in fields.keys().filter(|name| traced(name)) {
                    self.wrong(
                        &path.key("headers").key(key).key(name),
                        "trace changes this field already; expected trace: keep, or no such field",
                    );
                }
            }
        }
        mirror.trace
    }

    fn adaptive(&mut self, adaptive: &file::Adaptive, path: &Path) -> AdaptiveSpec {
        let mut share = |key: &str, ratio: Ratio, least: u32, most: u32| {
            if !(least..=most).contains(&ratio.units()) {
                let bound = |units| Ratio::from_units(units).unwrap_or(Ratio::ONE);
                let (least, most) = (bound(least), bound(most));
                self.wrong(
                    &path.key(key),
                    format!("{ratio} is not valid; expected {least} to {most}"),
                );
            }
            f64::from(ratio.units()) / f64::from(Ratio::ONE.units())
        };
        let one = Ratio::ONE.units();
        let (error_rate, floor) = (
            share("error_rate", adaptive.error_rate.0, 0, one),
            share("floor", adaptive.floor.0, 1, one),
        );
        let (raise, lower) = (
            share("raise", adaptive.raise.0, 1, one),
            share("lower", adaptive.lower.0, 1, one / 10 * 9),
        );
        if adaptive.interval.0 < INTERVAL {
            self.wrong(&path.key("interval"), "too short; expected a duration of at least 10ms");
        }
        AdaptiveSpec {
            error_rate,
            latency_factor: adaptive.latency_factor,
            latency: adaptive
                .latency
                .as_ref()
                .map(|latency| self.positive(latency.0, &path.key("latency"))),
            floor,
            interval: adaptive.interval.0,
            raise,
            lower,
        }
    }

    /// Methods are case-sensitive, so a misspelt one would silently match nothing.
    pub(super) fn methods(&mut self, methods: &[String], path: &Path) -> Vec<String> {
        for (i, method) in methods.iter().enumerate() {
            let message = if !is_token(method) {
                "expected a method such as GET".to_owned()
            } else if method.bytes().any(|b| b.is_ascii_lowercase()) {
                format!("methods are case-sensitive; expected {}", method.to_ascii_uppercase())
            } else {
                continue;
            };
            self.wrong(&path.index(i), format!("'{method}' is not valid; {message}"));
        }
        methods.to_vec()
    }

    fn header_edits(&mut self, edits: &file::HeaderEdits, path: &Path) -> HeaderEdits {
        let (set, add) = (path.key("set"), path.key("add"));
        for (i, name) in edits.remove.iter().enumerate() {
            self.field_name(&name.0.0, &path.key("remove").index(i));
        }
        HeaderEdits {
            set: self.fields(&edits.set, &set),
            add: self.fields(&edits.add, &add),
            remove: edits.remove.iter().map(|name| name.0.0.clone()).collect(),
        }
    }

    fn fields(&mut self, fields: &BTreeMap<String, String>, path: &Path) -> Vec<(String, String)> {
        let mut read = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in fields {
            let here = path.key(name);
            self.field_name(name, &here);
            if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) || value.trim() != value {
                self.wrong(
                    &here,
                    "expected a value without line ends, control bytes and spaces around it",
                );
            }
            let name = name.to_ascii_lowercase();
            if !seen.insert(name.clone()) {
                self.wrong(&here, "this field is given twice, in different case; expected it once");
            }
            read.push((name, value.clone()));
        }
        read
    }

    pub(super) fn field_name(&mut self, name: &str, path: &Path) {
        if !is_token(name) {
            self.wrong(
                path,
                format!("'{name}' is not valid; expected the name of a header field"),
            );
        }
        if let Some((_, why)) = RESERVED
            .iter()
            .find(|(reserved, _)| name.eq_ignore_ascii_case(reserved))
        {
            self.wrong(path, format!("'{name}' cannot be changed: {why}"));
        }
    }
}
