//! A request's head (RFC 9112 §3).
//!
//! Start lines are read here and not by `httparse`, because odd but legal targets (bytes that are not UTF-8) must pass.

use std::ops::Range;

use memchr::memchr;

use crate::fields::{ConnectionOptions, Field, Fields};
use crate::syntax::{is_host, is_target, is_token, port};
use crate::{Framing, HeadError, Limits, Version, line_end, plain_line_end};

/// A request's head.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    pub(crate) fields: Fields<'a>,
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
    form: Form,
}

/// The form of a target (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Origin,
    /// With the places of authority and path within the target.
    Absolute {
        authority: usize,
        path: usize,
    },
    Authority,
    Asterisk,
}

impl<'a> RequestHead<'a> {
    /// Parses a whole head, as [`HeadScanner`](crate::HeadScanner) found it. `list` is scratch space.
    pub fn parse(bytes: &'a [u8], list: &'a mut Vec<Field>, limits: &Limits) -> Result<Self, HeadError> {
        let end = line_end(bytes)?;
        let fields = |list| Fields::parse(bytes, end + 2, list, limits);
        Self::of(&bytes[..end], list, fields)
    }

    /// Parses a head that is whole and plain, at the start of `bytes`. None when it is not, or when there is anything to say
    /// about it: then [`HeadScanner`](crate::HeadScanner) looks for its end and [`RequestHead::parse`] decides. This spares the
    /// common head from being looked at twice, and changes nothing else.
    pub fn read(bytes: &'a [u8], list: &'a mut Vec<Field>, limits: &Limits) -> Option<Self> {
        let end = plain_line_end(bytes, limits)?;
        let fields = |list| Fields::read(bytes, end + 2, list, limits).ok_or(HeadError::FieldValue);
        Self::of(&bytes[..end], list, fields).ok()
    }

    fn of(
        line: &'a [u8],
        list: &'a mut Vec<Field>,
        fields: impl FnOnce(&'a mut Vec<Field>) -> Result<Fields<'a>, HeadError>,
    ) -> Result<Self, HeadError> {
        let (method, rest) = split(line).ok_or(HeadError::StartLine)?;
        let (target, version) = split(rest).ok_or(HeadError::StartLine)?;
        if !is_token(method) {
            return Err(HeadError::Method);
        }
        if !is_target(target) {
            return Err(HeadError::Target);
        }
        let version = Version::parse(version)?;
        let form = Form::of(method, target).ok_or(HeadError::Target)?;
        let fields = fields(list)?;
        if version == Version::Http10 && fields.chunked {
            return Err(HeadError::TransferEncoding);
        }
        fields.check_host(version)?;
        if method == b"CONNECT" && (fields.chunked || fields.content_length.is_some_and(|n| n > 0)) {
            return Err(HeadError::ConnectBody);
        }
        Ok(Self {
            fields,
            method,
            target,
            version,
            form,
        })
    }

    /// The head's bytes, as they came.
    pub fn bytes(&self) -> &'a [u8] {
        self.fields.bytes
    }

    /// The method.
    pub fn method(&self) -> &'a [u8] {
        self.method
    }

    /// The target, in whatever form.
    pub fn target(&self) -> &'a [u8] {
        self.target
    }

    /// Its place in the head.
    pub(crate) fn target_place(&self) -> Range<usize> {
        let start = self.method.len() + 1;
        start..start + self.target.len()
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Names and values, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.fields.iter()
    }

    /// Path and query; none for `*` and the target of CONNECT. Empty for an absolute form without a path.
    pub fn path_and_query(&self) -> Option<&'a [u8]> {
        self.path_place().map(|place| &self.target[place])
    }

    /// Place of path and query within the target.
    pub(crate) fn path_place(&self) -> Option<Range<usize>> {
        match self.form {
            Form::Origin => Some(0..self.target.len()),
            Form::Absolute { path, .. } => Some(path..self.target.len()),
            Form::Authority | Form::Asterisk => None,
        }
    }

    /// Host and port that the request is for: those of the target, if it has them, else the `Host` field's.
    pub fn host(&self) -> Option<&'a [u8]> {
        match self.form {
            Form::Absolute { authority, path } => Some(&self.target[authority..path]),
            Form::Authority => Some(self.target),
            Form::Origin | Form::Asterisk => self.fields.host(),
        }
    }

    /// How the body ends.
    pub fn body(&self) -> Framing {
        match self.fields.content_length {
            _ if self.fields.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::None,
        }
    }

    /// What `Connection` says.
    pub fn connection(&self) -> ConnectionOptions {
        self.fields.connection
    }

    /// Whether the client may send another request on the connection.
    pub fn persistent(&self) -> bool {
        self.fields.connection.persistent(self.version)
    }

    /// Whether the client waits for `100 Continue`.
    pub fn expects_continue(&self) -> bool {
        self.fields.expect && self.version == Version::Http11
    }

    /// Whether the client asks for another protocol.
    pub fn upgrade(&self) -> bool {
        self.fields.upgrade && self.fields.connection.upgrade && self.version == Version::Http11
    }
}

impl Form {
    fn of(method: &[u8], target: &[u8]) -> Option<Self> {
        if method == b"CONNECT" {
            // Without a port there is nothing to connect to (RFC 9110 §9.3.6).
            return port(target).filter(|port| !port.is_empty()).map(|_| Self::Authority);
        }
        match target {
            [b'/', ..] => Some(Self::Origin),
            b"*" => (method == b"OPTIONS").then_some(Self::Asterisk),
            _ => Self::absolute(target),
        }
    }

    /// With a user before the host, it is not the host it seems to be: an error (RFC 9110 §4.2.4).
    fn absolute(target: &[u8]) -> Option<Self> {
        let colon = memchr(b':', target)?;
        let scheme = &target[..colon];
        let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !valid || !target[colon..].starts_with(b"://") {
            return None;
        }
        let authority = colon + 3;
        let path = target[authority..]
            .iter()
            .position(|b| matches!(b, b'/' | b'?'))
            .map_or(target.len(), |at| authority + at);
        (path > authority && is_host(&target[authority..path])).then_some(Self::Absolute { authority, path })
    }
}

/// What is before and behind the first space.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b' ', line).map(|at| (&line[..at], &line[at + 1..]))
}
