//! Values that are written as text: durations, sizes, ratios, addresses, URLs.

use std::fmt::Display;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use mynah_core::{ByteSize, LogField, LogFormat, Pattern, Ratio};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

use crate::file::HostPattern;
use crate::model::{AdminAddress, Endpoint, HostPolicy, SampleBy};

/// The schema keyword that names a [`Value`]'s kind.
pub(crate) const KIND: &str = "x-kind";

/// Something written as text.
pub(crate) trait Value: Sized + Clone {
    /// Its kind, as the reference calls it.
    const KIND: &'static str;

    /// Reads it; the error says what was expected.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it so that it reads back.
    fn write(&self) -> String;

    /// Examples for the schema.
    fn examples() -> &'static [&'static str];
}

/// A value written as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Value> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.write())
    }
}

impl<'de, T: Value> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(&String::deserialize(deserializer)?)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl<T: Value> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::KIND.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string", "examples": T::examples() });
        schema.insert(KIND.to_owned(), T::KIND.into());
        schema
    }
}

/// How a kind of text is checked, by its name.
pub(crate) fn check(kind: &str, text: &str) -> Result<(), String> {
    type Check = fn(&str) -> Result<(), String>;
    fn of<T: Value>(text: &str) -> Result<(), String> {
        T::read(text).map(drop)
    }
    let checks: [(&str, Check); 13] = [
        (Duration::KIND, of::<Duration>),
        (ByteSize::KIND, of::<ByteSize>),
        (Ratio::KIND, of::<Ratio>),
        (SocketAddr::KIND, of::<SocketAddr>),
        (AdminAddress::KIND, of::<AdminAddress>),
        (Endpoint::KIND, of::<Endpoint>),
        (SampleBy::KIND, of::<SampleBy>),
        (HostPolicy::KIND, of::<HostPolicy>),
        (Pattern::KIND, of::<Pattern>),
        (HostPattern::KIND, of::<HostPattern>),
        (FieldName::KIND, of::<FieldName>),
        (LogFormat::KIND, of::<LogFormat>),
        (LogField::KIND, of::<LogField>),
    ];
    match checks.iter().find(|(name, _)| *name == kind) {
        Some((_, check)) => check(text),
        None => Ok(()),
    }
}

fn expected(text: &str, what: impl Display) -> String {
    format!("'{text}' is not valid; {what}")
}

impl Value for Duration {
    const KIND: &'static str = "duration";

    fn read(text: &str) -> Result<Self, String> {
        text.parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Self::try_from(duration).ok())
            .ok_or_else(|| expected(text, "expected a duration with its unit, such as 250ms, 10s or 1m 30s"))
    }

    fn write(&self) -> String {
        jiff::SignedDuration::try_from(*self).map_or_else(|_| format!("{}s", self.as_secs()), |d| format!("{d:#}"))
    }

    fn examples() -> &'static [&'static str] {
        &["250ms", "10s"]
    }
}

impl Value for ByteSize {
    const KIND: &'static str = "size";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| expected(text, error))
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &["64KiB", "1MiB"]
    }
}

impl Value for Ratio {
    const KIND: &'static str = "ratio";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| expected(text, error))
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &["25%", "0.5%", "200%"]
    }
}

/// `host:port` with a literal address; `:port` is every address.
impl Value for SocketAddr {
    const KIND: &'static str = "address";

    fn read(text: &str) -> Result<Self, String> {
        let address = match text.strip_prefix(':') {
            // With IPV6_V6ONLY off, as the proxy binds it, this takes IPv4 as well.
            Some(port) => port
                .parse()
                .ok()
                .map(|port: u16| Self::from((Ipv6Addr::UNSPECIFIED, port))),
            None => text.parse().ok(),
        };
        address.ok_or_else(|| {
            expected(
                text,
                "expected an address and port such as 0.0.0.0:80 or [::]:80, or :80 for every address",
            )
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &[":80", "127.0.0.1:8080", "[::1]:80"]
    }
}

/// An address as above, or `unix:/path`.
impl Value for AdminAddress {
    const KIND: &'static str = "admin address";

    fn read(text: &str) -> Result<Self, String> {
        let address = match text.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Self::Unix(path.into())),
            None => SocketAddr::read(text).ok().map(Self::Tcp),
        };
        address.ok_or_else(|| {
            expected(
                text,
                "expected an address and port such as 127.0.0.1:9470, or :9470 for every address, or unix:/path for a socket",
            )
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &["127.0.0.1:9470", "unix:/run/mynah/admin.sock"]
    }
}

/// `http[s]://host[:port][/path]`
impl Value for Endpoint {
    const KIND: &'static str = "URL";

    fn read(text: &str) -> Result<Self, String> {
        endpoint(text).ok_or_else(|| {
            expected(
                text,
                "expected a URL such as http://127.0.0.1:8080 or https://test.example.com/path, without user, query or fragment",
            )
        })
    }

    fn write(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path.as_deref().unwrap_or_default();
        if self.host.contains(':') {
            format!("{scheme}://[{}]:{}{path}", self.host, self.port)
        } else {
            format!("{scheme}://{}:{}{path}", self.host, self.port)
        }
    }

    fn examples() -> &'static [&'static str] {
        &["http://127.0.0.1:8080", "https://test.example.com"]
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (tls, rest) = match text.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("http://")?),
    };
    if rest
        .bytes()
        .any(|b| !b.is_ascii_graphic() || matches!(b, b'?' | b'#' | b'@' | b'\\'))
    {
        return None;
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
        None => (rest, None),
    };
    let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
        let (host, after) = literal.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, after)
    } else {
        let at = authority.find(':').unwrap_or(authority.len());
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !authority[..at].bytes().all(name) {
            return None;
        }
        (&authority[..at], &authority[at..])
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().filter(|port| *port > 0)?,
        Some(_) => return None,
        None if port.is_empty() => {
            if tls {
                443
            } else {
                80
            }
        }
        None => return None,
    };
    (!host.is_empty()).then(|| Endpoint {
        tls,
        host: host.to_owned(),
        port,
        path,
    })
}

impl Value for SampleBy {
    const KIND: &'static str = "sampling";

    fn read(text: &str) -> Result<Self, String> {
        let argument = |name: &str| Some(text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?.trim());
        let by = match text {
            "request" => Some(Self::Request),
            "client-ip" => Some(Self::ClientIp),
            _ => argument("header")
                .and_then(|name| FieldName::read(name).ok())
                .map(|name| Self::Header(name.0))
                .or_else(|| {
                    argument("cookie")
                        .filter(|name| is_token(name))
                        .map(|name| Self::Cookie(name.to_owned()))
                }),
        };
        by.ok_or_else(|| expected(text, "expected request, header(NAME), cookie(NAME) or client-ip"))
    }

    fn write(&self) -> String {
        match self {
            Self::Request => "request".to_owned(),
            Self::Header(name) => format!("header({name})"),
            Self::Cookie(name) => format!("cookie({name})"),
            Self::ClientIp => "client-ip".to_owned(),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["request", "header(x-user-id)", "cookie(sid)", "client-ip"]
    }
}

impl Value for HostPolicy {
    const KIND: &'static str = "host";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "preserve" => Ok(Self::Preserve),
            "target" => Ok(Self::Target),
            _ => match endpoint(&format!("http://{text}")) {
                Some(Endpoint { path: None, .. }) => Ok(Self::Literal(text.to_owned())),
                _ => Err(expected(
                    text,
                    "expected preserve, target, or a host such as test.example.com:8080",
                )),
            },
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Preserve => "preserve".to_owned(),
            Self::Target => "target".to_owned(),
            Self::Literal(host) => host.clone(),
        }
    }

    fn examples() -> &'static [&'static str] {
        &["preserve", "target", "test.example.com"]
    }
}

impl Value for Pattern {
    const KIND: &'static str = "regular expression";

    fn read(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| {
            let reason = error.to_string();
            // The library draws the place over several lines; its last one says what is wrong.
            let reason = reason.lines().last().unwrap_or_default();
            expected(
                text,
                format!(
                    "expected a regular expression: {}",
                    reason.trim_start_matches("error: ")
                ),
            )
        })
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }

    fn examples() -> &'static [&'static str] {
        &["^/v[0-9]+/"]
    }
}

/// The name of a header field, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldName(pub(crate) String);

impl Value for FieldName {
    const KIND: &'static str = "header name";

    fn read(text: &str) -> Result<Self, String> {
        if is_token(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(expected(text, "expected the name of a header field"))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }

    fn examples() -> &'static [&'static str] {
        &["x-user-id"]
    }
}

impl Value for LogFormat {
    const KIND: &'static str = "log format";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| expected(text, error))
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &["combined", "json", "{time} {client} \"{method} {path}\" {status}"]
    }
}

impl Value for LogField {
    const KIND: &'static str = "log field";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn examples() -> &'static [&'static str] {
        &["status", "header(user-agent)"]
    }
}

/// A token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
