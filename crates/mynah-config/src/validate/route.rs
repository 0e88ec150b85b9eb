//! Routes.

use std::collections::BTreeMap;

use mynah_core::{PathMatch, RouteMatch, ValueMatch};

use super::Check;
use crate::file::{File, RouteCondition, ValueCondition};
use crate::model::{Route, Upstream};
use crate::path::Path;
use crate::shape::suggestion;
use crate::value::is_token;

impl Check<'_> {
    /// The routes; their own upstreams are added to `upstreams`.
    pub(super) fn routes(&mut self, file: &File, upstreams: &mut Vec<Upstream>, path: &Path) -> Vec<Route> {
        let names: Vec<&str> = file.mirrors.keys().map(String::as_str).collect();
        let Some(routes) = &file.routes else {
            return vec![Route {
                matches: RouteMatch::any(),
                mirrors: (0..names.len()).collect(),
                replace_prefix: None,
                upstream: 0,
            }];
        };
        routes
            .iter()
            .enumerate()
            .map(|(i, route)| {
                let here = path.index(i);
                let matches = self.condition(&route.condition, &here.key("match"));
                let mirrors = match &route.mirrors {
                    Some(wanted) => self.mirrors(wanted, &names, &here.key("mirrors")),
                    None => (0..names.len()).collect(),
                };
                if let Some(replacement) = &route.replace_prefix {
                    self.replacement(replacement, &matches, &here.key("replace_prefix"));
                }
                let upstream = match &route.upstream {
                    Some(upstream) => {
                        let upstream = self.upstream(upstream, &here.key("upstream"));
                        upstreams.push(upstream);
                        upstreams.len() - 1
                    }
                    None => 0,
                };
                Route {
                    matches,
                    mirrors,
                    replace_prefix: route.replace_prefix.clone(),
                    upstream,
                }
            })
            .collect()
    }

    fn mirrors(&mut self, wanted: &[String], names: &[&str], path: &Path) -> Vec<usize> {
        let mut found = Vec::new();
        for (i, name) in wanted.iter().enumerate() {
            match names.iter().position(|known| known == name) {
                Some(index) if found.contains(&index) => {
                    self.wrong(
                        &path.index(i),
                        format!("'{name}' is listed twice; for more copies raise its ratio"),
                    );
                }
                Some(index) => found.push(index),
                None if names.is_empty() => {
                    self.wrong(
                        &path.index(i),
                        format!("no mirror is called '{name}'; there are no mirrors"),
                    );
                }
                None => {
                    let message = format!("no mirror is called '{name}'; expected one of {}", names.join(", "));
                    self.wrong(&path.index(i), message + &suggestion(name, names));
                }
            }
        }
        found
    }

    fn replacement(&mut self, replacement: &str, matches: &RouteMatch, path: &Path) {
        if !is_path(replacement) {
            self.wrong(
                path,
                format!("'{replacement}' is not valid; expected a path that starts with /"),
            );
        }
        if matches.matched_prefix_len() == 0 {
            self.wrong(path, "nothing to replace; expected a match with prefix or path");
        }
    }

    fn condition(&mut self, condition: &RouteCondition, path: &Path) -> RouteMatch {
        let given = [
            ("prefix", condition.prefix.is_some()),
            ("path", condition.path.is_some()),
            ("regex", condition.regex.is_some()),
        ];
        let given: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
        if given.len() > 1 {
            self.wrong(
                path,
                format!(
                    "both {}; expected at most one of prefix, path and regex",
                    given.join(" and ")
                ),
            );
        }
        for (key, value) in [("prefix", &condition.prefix), ("path", &condition.path)] {
            if let Some(value) = value
                && !is_path(value)
            {
                self.wrong(
                    &path.key(key),
                    format!("'{value}' is not valid; expected a path that starts with /, without query"),
                );
            }
        }
        RouteMatch {
            host: condition.host.as_ref().map(|host| host.0.0.clone()),
            path: match condition {
                RouteCondition {
                    prefix: Some(prefix), ..
                } => PathMatch::Prefix(prefix.clone()),
                RouteCondition { path: Some(exact), .. } => PathMatch::Exact(exact.clone()),
                RouteCondition { regex: Some(regex), .. } => PathMatch::Regex(regex.0.clone()),
                _ => PathMatch::Any,
            },
            methods: self.methods(&condition.methods, &path.key("methods")),
            headers: self.header_conditions(&condition.headers, &path.key("headers")),
            query: self.value_conditions(&condition.query, &path.key("query")),
        }
    }

    fn header_conditions(
        &mut self,
        headers: &BTreeMap<String, ValueCondition>,
        path: &Path,
    ) -> Vec<(String, ValueMatch)> {
        for name in headers.keys().filter(|name| !is_token(name)) {
            self.wrong(
                &path.key(name),
                format!("'{name}' is not valid; expected the name of a header field"),
            );
        }
        let mut conditions = self.value_conditions(headers, path);
        conditions.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        conditions
    }

    fn value_conditions(
        &mut self,
        values: &BTreeMap<String, ValueCondition>,
        path: &Path,
    ) -> Vec<(String, ValueMatch)> {
        values
            .iter()
            .map(|(name, condition)| {
                let value = match (&condition.exact, &condition.regex, condition.present) {
                    (Some(exact), None, None) => ValueMatch::Exact(exact.clone()),
                    (None, Some(regex), None) => ValueMatch::Regex(regex.0.clone()),
                    (None, None, Some(true)) => ValueMatch::Present,
                    (None, None, Some(false)) => ValueMatch::Absent,
                    _ => {
                        self.wrong(
                            &path.key(name),
                            "expected a value, or a mapping with one of exact, regex and present",
                        );
                        ValueMatch::Present
                    }
                };
                (name.clone(), value)
            })
            .collect()
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b > b' ' && b != 0x7f && !matches!(b, b'?' | b'#'))
}
