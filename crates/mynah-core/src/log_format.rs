//! What a line of an access log says: named fields, in a format of one's own, as JSON, or as nginx's `combined`.

use std::fmt;

/// Something that a line can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogField {
    /// When the line was made, in UTC with milliseconds: `2026-11-25T03:47:41.123Z`.
    Time,
    /// The same as nginx's `$time_local`: `25/Nov/2026:03:47:41 +0000`.
    TimeLocal,
    /// The same in seconds since 1970, with milliseconds.
    TimeUnix,
    /// The client's address.
    Client,
    /// The client's port.
    ClientPort,
    /// The address and port that the client connected to.
    Listener,
    /// The method.
    Method,
    /// The path, without the query.
    Path,
    /// The query, without the question mark.
    Query,
    /// Path and query, or whatever the request line has in their place.
    Target,
    /// Method, target and protocol, as in a request line.
    Request,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`: what the client spoke.
    Protocol,
    /// The host that was asked for.
    Host,
    /// The status of the response.
    Status,
    /// Bytes of the request's body.
    RequestBytes,
    /// Bytes of the response's body.
    ResponseBytes,
    /// Seconds from the head of the request to the end of the response.
    Duration,
    /// Seconds from the head of the request to the head of the response.
    UpstreamTime,
    /// The mirror's name; nothing in production's log.
    Mirror,
    /// How it ended.
    Outcome,
    /// Why it ended like that.
    Reason,
    /// What joins a request's line to those of its copies.
    RequestId,
    /// The place of the request's route among all, from 0.
    Route,
    /// The value of a header field of the request, whose name is in lower case.
    Header(String),
    /// A value that the configuration gives under this name.
    Constant(String),
}

/// The fields that have a name of one word, in the order in which they are told.
const NAMED: [(&str, LogField); 23] = [
    ("time", LogField::Time),
    ("time_local", LogField::TimeLocal),
    ("time_unix", LogField::TimeUnix),
    ("client", LogField::Client),
    ("client_port", LogField::ClientPort),
    ("listener", LogField::Listener),
    ("method", LogField::Method),
    ("path", LogField::Path),
    ("query", LogField::Query),
    ("target", LogField::Target),
    ("request", LogField::Request),
    ("protocol", LogField::Protocol),
    ("host", LogField::Host),
    ("status", LogField::Status),
    ("request_bytes", LogField::RequestBytes),
    ("response_bytes", LogField::ResponseBytes),
    ("duration", LogField::Duration),
    ("upstream_time", LogField::UpstreamTime),
    ("mirror", LogField::Mirror),
    ("outcome", LogField::Outcome),
    ("reason", LogField::Reason),
    ("request_id", LogField::RequestId),
    ("route", LogField::Route),
];

/// What is no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFormatError {
    /// A brace that nothing belongs to.
    #[error("a single '{0}'; expected {{FIELD}}, or {0}{0} for a literal {0}")]
    Brace(char),
    /// A name that none can have.
    #[error("'{0}' is no field; expected {names}, header(NAME), or the name of a constant", names = LogField::names())]
    Field(String),
    /// A format that says nothing.
    #[error("nothing to log; expected combined, json, or a text with at least one {{FIELD}}")]
    Empty,
    /// A line end within a format.
    #[error("a line end or control byte; expected one line")]
    Control,
}

impl LogField {
    /// Reads a name. One that is not known may be that of a constant.
    pub fn parse(name: &str) -> Result<Self, LogFormatError> {
        if let Some((_, field)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Ok(field.clone());
        }
        let argument = name.strip_prefix("header(").and_then(|rest| rest.strip_suffix(')'));
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        match argument.map(str::trim) {
            Some(header) if !header.is_empty() && header.bytes().all(token) => {
                Ok(Self::Header(header.to_ascii_lowercase()))
            }
            None if is_constant(name) => Ok(Self::Constant(name.to_owned())),
            _ => Err(LogFormatError::Field(name.to_owned())),
        }
    }

    /// Whether this is the name of a field, so that no constant can have it.
    pub fn is_taken(name: &str) -> bool {
        NAMED.iter().any(|(known, _)| *known == name)
    }

    /// The names of one word, for messages.
    pub fn names() -> String {
        NAMED.map(|(name, _)| name).join(", ")
    }

    /// The key in JSON.
    pub fn key(&self) -> String {
        match self {
            Self::Header(name) => format!("header_{}", name.replace('-', "_")),
            Self::Constant(name) => name.clone(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for LogField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header({name})"),
            Self::Constant(name) => f.write_str(name),
            _ => {
                let name = NAMED.iter().find(|(_, field)| field == self).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// Whether a constant may have this name.
pub fn is_constant(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    /// As it stands.
    Literal(String),
    /// The value of a field.
    Field(LogField),
}

/// What lines look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// nginx's `combined`.
    Combined,
    /// One JSON object a line.
    Json,
    /// A format of one's own.
    Text(Vec<LogPart>),
}

/// nginx's `combined`. The user is never told: it is part of a credential.
const COMBINED: &str =
    r#"{client} - - [{time_local}] "{request}" {status} {response_bytes} "{header(referer)}" "{header(user-agent)}""#;

/// What a JSON line has unless told otherwise. Query and header values are not among it.
pub const JSON_FIELDS: [LogField; 16] = [
    LogField::Time,
    LogField::Client,
    LogField::Listener,
    LogField::Method,
    LogField::Host,
    LogField::Path,
    LogField::Protocol,
    LogField::Status,
    LogField::RequestBytes,
    LogField::ResponseBytes,
    LogField::Duration,
    LogField::UpstreamTime,
    LogField::Mirror,
    LogField::Outcome,
    LogField::Reason,
    LogField::RequestId,
];

impl LogFormat {
    /// Reads `combined`, `json`, or a text with `{FIELD}` in it.
    pub fn parse(text: &str) -> Result<Self, LogFormatError> {
        match text {
            "combined" => Ok(Self::Combined),
            "json" => Ok(Self::Json),
            _ => parts(text).map(Self::Text),
        }
    }

    /// The parts of a line that is text; none for JSON.
    pub fn parts(&self) -> Option<Vec<LogPart>> {
        match self {
            Self::Json => None,
            Self::Combined => parts(COMBINED).ok(),
            Self::Text(parts) => Some(parts.clone()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Combined => f.write_str("combined"),
            Self::Json => f.write_str("json"),
            Self::Text(parts) => parts.iter().try_for_each(|part| match part {
                LogPart::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
                LogPart::Field(field) => write!(f, "{{{field}}}"),
            }),
        }
    }
}

fn parts(text: &str) -> Result<Vec<LogPart>, LogFormatError> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(LogFormatError::Control);
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
        let behind = &rest[at + 1..];
        if let Some(behind) = behind.strip_prefix(brace) {
            literal.push(brace);
            rest = behind;
            continue;
        }
        let end = behind.find('}').filter(|_| brace == '{');
        let end = end.ok_or(LogFormatError::Brace(brace))?;
        if !literal.is_empty() {
            parts.push(LogPart::Literal(std::mem::take(&mut literal)));
        }
        parts.push(LogPart::Field(LogField::parse(&behind[..end])?));
        rest = &behind[end + 1..];
    }
    literal.push_str(rest);
    if parts.is_empty() {
        return Err(LogFormatError::Empty);
    }
    if !literal.is_empty() {
        parts.push(LogPart::Literal(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_format_is_read_into_fields_and_what_stands_between() {
        let format = LogFormat::parse("{{{client}}} {header(X-A)}:{pod}").unwrap();
        let literal = |text: &str| LogPart::Literal(text.to_owned());
        assert_eq!(
            format.parts().unwrap(),
            [
                literal("{"),
                LogPart::Field(LogField::Client),
                literal("} "),
                LogPart::Field(LogField::Header("x-a".into())),
                literal(":"),
                LogPart::Field(LogField::Constant("pod".into())),
            ]
        );
    }

    #[test]
    fn every_field_is_read_by_the_name_that_it_is_told_by() {
        for (name, field) in NAMED {
            assert_eq!(LogField::parse(name), Ok(field.clone()));
            assert_eq!((field.to_string().as_str(), field.key().as_str()), (name, name));
        }
        assert_eq!(LogField::Header("user-agent".into()).key(), "header_user_agent");
    }

    #[test]
    fn what_is_no_format_is_told() {
        for (text, message) in [
            ("", "nothing to log"),
            ("conbined", "nothing to log"),
            ("{client", "a single '{'"),
            ("{client} }", "a single '}'"),
            ("{}", "'' is no field"),
            ("{header()}", "'header()' is no field"),
            ("{header(a b)}", "is no field"),
            ("{po d}", "'po d' is no field; expected time, "),
            ("{client}\n", "a line end or control byte"),
        ] {
            let error = LogFormat::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(text in "[a-z{}() ]{0,20}|[{]{2}[{]client[}][}]{2} [{]time[}]") {
            if let Ok(format) = LogFormat::parse(&text) {
                prop_assert_eq!(LogFormat::parse(&format.to_string()), Ok(format));
            }
        }
    }
}
