//! `routes`

use std::collections::BTreeMap;

use mynah_core::{HostMatch, Pattern};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{SHORT, Upstream};
use crate::value::{Text, Value};

/// What matches, and what happens to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The condition: everything that is given must hold. Without one, everything matches.
    #[serde(default, rename = "match")]
    pub(crate) condition: RouteCondition,
    /// Names of the mirrors that receive copies. Every mirror unless given; `[]` copies nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirrors: Option<Vec<String>>,
    /// Replaces the part of the path that `prefix` or `path` matched, for the upstream and for copies. Where a URL has a path
    /// of its own, that is used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replace_prefix: Option<String>,
    /// Another upstream for what matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Upstream>,
}

/// The condition of a route. At most one of `prefix`, `path` and `regex`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteCondition {
    /// The host without its port, regardless of case: `example.com`, or `*.example.com` for every host under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Text<HostPattern>>,
    /// Paths that start with this, as they came: nothing is decoded or normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    /// This path, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// Paths in which this regular expression is found; `^` and `$` anchor it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regex: Option<Text<Pattern>>,
    /// Any of these methods; every method when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) methods: Vec<String>,
    /// Header fields by name. One field of that name must match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, ValueCondition>,
    /// Query parameters by name, as they came. One parameter of that name must match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) query: BTreeMap<String, ValueCondition>,
}

/// A condition on a header field or query parameter: a value, or a mapping with exactly one key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_exact)]
pub(crate) struct ValueCondition {
    /// It is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exact: Option<String>,
    /// This regular expression is found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regex: Option<Text<Pattern>>,
    /// Whether it is there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<bool>,
}

fn short_for_exact(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "exact".into());
}

/// `example.com` or `*.example.com`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostPattern(pub(crate) HostMatch);

impl Value for HostPattern {
    const KIND: &'static str = "host pattern";

    fn read(text: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let literal = name
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
            literal || !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        };
        let host = match text.strip_prefix("*.") {
            Some(domain) if name(domain) => Some(HostMatch::Suffix(domain.to_owned())),
            None if name(text) => Some(HostMatch::Exact(text.to_owned())),
            _ => None,
        };
        host.map(Self).ok_or_else(|| {
            format!("'{text}' is not valid; expected a host without port, such as example.com or *.example.com")
        })
    }

    fn write(&self) -> String {
        match &self.0 {
            HostMatch::Exact(host) => host.clone(),
            HostMatch::Suffix(domain) => format!("*.{domain}"),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["example.com", "*.example.com"]
    }
}
