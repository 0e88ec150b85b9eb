//! A response's head (RFC 9112 §4).

use crate::fields::{ConnectionOptions, Field, Fields};
use crate::syntax::{decimal, is_value};
use crate::{Framing, HeadError, Limits, RequestKind, Version, line_end, plain_line_end};

/// A response's head.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    pub(crate) fields: Fields<'a>,
    version: Version,
    status: u16,
    reason: &'a [u8],
    kind: RequestKind,
}

impl<'a> ResponseHead<'a> {
    /// Parses a whole head that answers a request of this kind. `list` is scratch space.
    pub fn parse(
        bytes: &'a [u8],
        list: &'a mut Vec<Field>,
        limits: &Limits,
        kind: RequestKind,
    ) -> Result<Self, HeadError> {
        let end = line_end(bytes)?;
        let fields = |list| Fields::parse(bytes, end + 2, list, limits);
        Self::of(&bytes[..end], kind, list, fields)
    }

    /// Parses a head that is whole and plain, at the start of `bytes`; see [`RequestHead::read`](crate::RequestHead::read).
    pub fn read(bytes: &'a [u8], list: &'a mut Vec<Field>, limits: &Limits, kind: RequestKind) -> Option<Self> {
        let end = plain_line_end(bytes, limits)?;
        let fields = |list| Fields::read(bytes, end + 2, list, limits).ok_or(HeadError::FieldValue);
        Self::of(&bytes[..end], kind, list, fields).ok()
    }

    fn of(
        line: &'a [u8],
        kind: RequestKind,
        list: &'a mut Vec<Field>,
        fields: impl FnOnce(&'a mut Vec<Field>) -> Result<Fields<'a>, HeadError>,
    ) -> Result<Self, HeadError> {
        let version = Version::parse(line.get(..8).ok_or(HeadError::StartLine)?)?;
        let (digits, reason) = match &line[8..] {
            [b' ', a, b, c] => ([*a, *b, *c], &[][..]),
            [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
            _ => return Err(HeadError::StartLine),
        };
        let status = decimal(&digits).ok_or(HeadError::Status)? as u16;
        if status < 100 {
            return Err(HeadError::Status);
        }
        if !is_value(reason) {
            return Err(HeadError::StartLine);
        }
        let fields = fields(list)?;
        if version == Version::Http10 && fields.chunked {
            return Err(HeadError::TransferEncoding);
        }
        Ok(Self {
            fields,
            version,
            status,
            reason,
            kind,
        })
    }

    /// The head's bytes, as they came.
    pub fn bytes(&self) -> &'a [u8] {
        self.fields.bytes
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &'a [u8] {
        self.reason
    }

    /// Names and values, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.fields.iter()
    }

    /// Whether another response follows: 1xx but 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// How the body ends (RFC 9112 §6.3).
    pub fn body(&self) -> Framing {
        match (self.kind, self.status) {
            (RequestKind::Connect, 200..300) => Framing::Tunnel,
            (RequestKind::Head, _) | (_, ..200 | 204 | 304) => Framing::None,
            _ if self.fields.chunked => Framing::Chunked,
            _ => self.fields.content_length.map_or(Framing::UntilClose, Framing::Length),
        }
    }

    /// What `Connection` says.
    pub fn connection(&self) -> ConnectionOptions {
        self.fields.connection
    }

    /// Whether the connection can be used for another request.
    pub fn persistent(&self) -> bool {
        self.fields.connection.persistent(self.version) && !matches!(self.body(), Framing::UntilClose | Framing::Tunnel)
    }
}
