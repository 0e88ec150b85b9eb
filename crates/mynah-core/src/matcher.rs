//! What a route matches.

use std::fmt;
use std::net::IpAddr;

use regex::bytes::Regex;

/// The one description of a request, whatever protocol it came by.
pub trait RequestView {
    /// The method, as it came.
    fn method(&self) -> &[u8];
    /// Path and query as they came; `*` or empty for targets that have none.
    fn path_and_query(&self) -> &[u8];
    /// Host and port that the request is for.
    fn host(&self) -> Option<&[u8]>;
    /// Values of every field of this name, which is in lower case, in their order.
    fn header<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]>;
    /// The client's address.
    fn client_ip(&self) -> IpAddr;
}

/// A regular expression, equal to others by its text.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        Regex::new(text).map(Self)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// The condition of a route: everything that is given must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteMatch {
    /// The host.
    pub host: Option<HostMatch>,
    /// The path, without the query.
    pub path: PathMatch,
    /// Any of these methods; every method when empty.
    pub methods: Vec<String>,
    /// Fields; names in lower case. One field of that name must match.
    pub headers: Vec<(String, ValueMatch)>,
    /// Query parameters, as they came. One parameter of that name must match.
    pub query: Vec<(String, ValueMatch)>,
}

/// A condition on the host, without its port and regardless of case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMatch {
    /// This one.
    Exact(String),
    /// Every host under this domain: `*.example.com` without the star and the dot.
    Suffix(String),
}

/// A condition on the path as it came: nothing is decoded or normalised.
#[derive(Debug, Clone, PartialEq)]
pub enum PathMatch {
    /// Every path.
    Any,
    /// Paths that start with this.
    Prefix(String),
    /// This path.
    Exact(String),
    /// Paths in which this is found.
    Regex(Pattern),
}

/// A condition on a field or parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueMatch {
    /// It is this.
    Exact(String),
    /// This is found in it.
    Regex(Pattern),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
}

impl RouteMatch {
    /// A condition that every request meets.
    pub fn any() -> Self {
        Self {
            host: None,
            path: PathMatch::Any,
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
        }
    }

    /// Whether the request meets every condition.
    pub fn matches(&self, request: &impl RequestView) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|m| m.as_bytes() == request.method()))
            && self.path_matches(request)
            && self
                .host
                .as_ref()
                .is_none_or(|host| request.host().is_some_and(|h| host.matches(h)))
            && self
                .headers
                .iter()
                .all(|(name, value)| value.matches(request.header(name)))
            && self
                .query
                .iter()
                .all(|(name, value)| value.matches(parameter(query(request.path_and_query()), name)))
    }

    fn path_matches(&self, request: &impl RequestView) -> bool {
        match &self.path {
            PathMatch::Any => true,
            PathMatch::Prefix(prefix) => path(request.path_and_query()).starts_with(prefix.as_bytes()),
            PathMatch::Exact(exact) => path(request.path_and_query()) == exact.as_bytes(),
            PathMatch::Regex(pattern) => pattern.is_match(path(request.path_and_query())),
        }
    }

    /// How much of the path a prefix or exact match takes; what a URL's path replaces.
    pub fn matched_prefix_len(&self) -> usize {
        match &self.path {
            PathMatch::Prefix(path) | PathMatch::Exact(path) => path.len(),
            PathMatch::Any | PathMatch::Regex(_) => 0,
        }
    }
}

impl HostMatch {
    fn matches(&self, host: &[u8]) -> bool {
        let host = without_port(host);
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact.as_bytes()),
            Self::Suffix(domain) => host
                .len()
                .checked_sub(domain.len() + 1)
                .is_some_and(|dot| host[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(domain.as_bytes())),
        }
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        // Not the colon within an IPv6 address.
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}

impl ValueMatch {
    fn matches<'a>(&self, mut values: impl Iterator<Item = &'a [u8]>) -> bool {
        match self {
            Self::Exact(exact) => values.any(|value| value == exact.as_bytes()),
            Self::Regex(pattern) => values.any(|value| pattern.is_match(value)),
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
        }
    }
}

/// The part before the query. Where an absolute form has nothing there it means the root.
fn path(path_and_query: &[u8]) -> &[u8] {
    match memchr::memchr(b'?', path_and_query) {
        Some(0) => b"/",
        Some(at) => &path_and_query[..at],
        None => path_and_query,
    }
}

fn query(path_and_query: &[u8]) -> &[u8] {
    memchr::memchr(b'?', path_and_query).map_or(&[], |at| &path_and_query[at + 1..])
}

/// Values of every parameter of this name.
fn parameter<'a>(query: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    query
        .split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .filter_map(move |pair| {
            let (key, value) = match memchr::memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            (key == name.as_bytes()).then_some(value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request {
        host: &'static str,
        target: &'static str,
        headers: &'static [(&'static str, &'static str)],
    }

    impl RequestView for Request {
        fn method(&self) -> &[u8] {
            b"GET"
        }
        fn path_and_query(&self) -> &[u8] {
            self.target.as_bytes()
        }
        fn host(&self) -> Option<&[u8]> {
            Some(self.host.as_bytes())
        }
        fn header<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
            self.headers
                .iter()
                .filter(move |(n, _)| *n == name)
                .map(|(_, v)| v.as_bytes())
        }
        fn client_ip(&self) -> IpAddr {
            [127, 0, 0, 1].into()
        }
    }

    const REQUEST: Request = Request {
        host: "Shop.Example.com:8080",
        target: "/api/v1/items?page=2&debug&x=a=b",
        headers: &[("x-env", "canary"), ("x-env", "blue")],
    };

    fn route(change: impl FnOnce(&mut RouteMatch)) -> bool {
        let mut route = RouteMatch::any();
        change(&mut route);
        route.matches(&REQUEST)
    }

    #[test]
    fn everything_matches_a_route_without_conditions() {
        assert!(route(|_| {}));
    }

    #[test]
    fn hosts_match_without_port_and_case() {
        assert!(route(|r| r.host = Some(HostMatch::Exact("shop.example.com".into()))));
        assert!(route(|r| r.host = Some(HostMatch::Suffix("example.com".into()))));
        assert!(!route(|r| r.host = Some(HostMatch::Suffix("xample.com".into()))));
        assert!(!route(|r| r.host = Some(HostMatch::Suffix("shop.example.com".into()))));
        assert_eq!(without_port(b"[::1]:80"), b"[::1]");
        assert_eq!(without_port(b"[::1]"), b"[::1]");
    }

    #[test]
    fn paths_match_as_they_came() {
        assert!(route(|r| r.path = PathMatch::Prefix("/api/".into())));
        assert!(!route(|r| r.path = PathMatch::Prefix("/API/".into())));
        assert!(!route(|r| r.path = PathMatch::Exact("/api/v1/items?page=2".into())));
        assert!(route(|r| r.path = PathMatch::Exact("/api/v1/items".into())));
        assert!(route(
            |r| r.path = PathMatch::Regex(Pattern::new("^/api/v[0-9]+/").unwrap())
        ));
        assert!(!route(|r| r.path = PathMatch::Regex(Pattern::new("page").unwrap())));
    }

    #[test]
    fn an_absolute_form_with_a_query_and_no_path_is_under_the_root() {
        let request = Request {
            target: "?a=1",
            ..REQUEST
        };
        let under_root = RouteMatch {
            path: PathMatch::Prefix("/".into()),
            ..RouteMatch::any()
        };
        assert!(under_root.matches(&request));
    }

    #[test]
    fn any_field_of_the_name_may_match() {
        let header = |value| move |r: &mut RouteMatch| r.headers = vec![("x-env".into(), value)];
        assert!(route(header(ValueMatch::Exact("blue".into()))));
        assert!(route(header(ValueMatch::Regex(Pattern::new("^can").unwrap()))));
        assert!(route(header(ValueMatch::Present)));
        assert!(!route(header(ValueMatch::Absent)));
        assert!(!route(header(ValueMatch::Exact("green".into()))));
    }

    #[test]
    fn query_parameters_match_by_whole_name() {
        let query = |name: &str, value| {
            let name = name.to_owned();
            move |r: &mut RouteMatch| r.query = vec![(name, value)]
        };
        assert!(route(query("page", ValueMatch::Exact("2".into()))));
        assert!(route(query("debug", ValueMatch::Exact(String::new()))));
        assert!(route(query("x", ValueMatch::Exact("a=b".into()))));
        assert!(!route(query("pag", ValueMatch::Present)));
        assert!(route(query("pag", ValueMatch::Absent)));
    }

    #[test]
    fn methods_are_a_choice() {
        assert!(route(|r| r.methods = vec!["POST".into(), "GET".into()]));
        assert!(!route(|r| r.methods = vec!["POST".into()]));
    }
}
