//! Message heads: parsed into ranges over the bytes as they came.
//!
//! The syntax of fields is `httparse`'s; start lines are read here, because odd but legal targets and reasons (bytes that
//! are not UTF-8) must pass. Everything that two servers could read differently is an error.

use std::ops::Range;

use crate::{Framing, HeadError, Limits, RequestKind, Version};

/// Fields parsed without asking for memory.
const FEW: usize = 64;

/// A field's place in its head. Empty of meaning without the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    name: (u32, u32),
    value: (u32, u32),
    end: u32,
    id: FieldId,
}

/// Fields that mean something to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldId {
    Host,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Upgrade,
    ContentLength,
    TransferEncoding,
    Expect,
    Other,
}

impl FieldId {
    fn of(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("te") => Self::Te,
            4 if is("host") => Self::Host,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            14 if is("content-length") => Self::ContentLength,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            _ => Self::Other,
        }
    }
}

/// What `Connection` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// Options that name fields to be cut.
    pub others: bool,
}

/// The fields of a head and what they say about the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) list: &'a [Field],
    /// Where the fields start.
    start: usize,
    pub(crate) connection: ConnectionOptions,
    content_length: Option<u64>,
    chunked: bool,
    pub(crate) upgrade: bool,
    expect: bool,
    host: Option<(u32, u32)>,
    /// A field other than `Connection` is of the connection and does not belong to the next one.
    pub(crate) cut: bool,
}

impl<'a> Fields<'a> {
    fn parse(bytes: &'a [u8], start: usize, list: &'a mut Vec<Field>, limits: &Limits) -> Result<Self, HeadError> {
        list.clear();
        let mut few = [httparse::EMPTY_HEADER; FEW];
        let parsed = match httparse::parse_headers(&bytes[start..], &mut few) {
            Err(httparse::Error::TooManyHeaders) => {
                let mut many = vec![httparse::EMPTY_HEADER; limits.fields];
                httparse::parse_headers(&bytes[start..], &mut many).map(|status| collect(bytes, start, status, list))
            }
            other => other.map(|status| collect(bytes, start, status, list)),
        };
        match parsed {
            Ok(true) => {}
            Ok(false) => return Err(HeadError::FieldValue),
            Err(error) => return Err(refine(error, bytes, start)),
        }
        if list.len() > limits.fields {
            return Err(HeadError::TooManyFields);
        }
        let mut fields = Self {
            bytes,
            list,
            start,
            connection: ConnectionOptions::default(),
            content_length: None,
            chunked: false,
            upgrade: false,
            expect: false,
            host: None,
            cut: false,
        };
        for field in fields.list {
            fields.note(field)?;
        }
        Ok(fields)
    }

    fn note(&mut self, field: &Field) -> Result<(), HeadError> {
        let value = self.slice(field.value);
        match field.id {
            FieldId::Other | FieldId::KeepAlive => {}
            FieldId::Host => {
                if self.host.is_some() || !value.iter().all(|b| is_host_byte(*b)) {
                    return Err(HeadError::Host);
                }
                self.host = Some(field.value);
            }
            FieldId::Connection => self.note_options(value)?,
            FieldId::ProxyConnection => self.cut = true,
            FieldId::Te => self.cut |= !value.eq_ignore_ascii_case(b"trailers"),
            FieldId::Upgrade => self.upgrade = true,
            FieldId::Expect => self.expect |= value.eq_ignore_ascii_case(b"100-continue"),
            FieldId::ContentLength => {
                let length = decimal(value).ok_or(HeadError::ContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            }
            FieldId::TransferEncoding => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadError::TransferEncoding);
                }
                self.chunked = true;
            }
        }
        if self.chunked && self.content_length.is_some() {
            return Err(HeadError::BothLengths);
        }
        Ok(())
    }

    fn note_options(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for option in options(value) {
            let is = |known: &str| option.eq_ignore_ascii_case(known.as_bytes());
            if is("close") {
                self.connection.close = true;
            } else if is("keep-alive") {
                self.connection.keep_alive = true;
            } else if is("upgrade") {
                self.connection.upgrade = true;
            } else if matches!(
                FieldId::of(option),
                FieldId::Host
                    | FieldId::ContentLength
                    | FieldId::TransferEncoding
                    | FieldId::Expect
                    | FieldId::Connection
            ) {
                return Err(HeadError::ConnectionOption);
            } else if !is("te") {
                self.connection.others = true;
            }
        }
        Ok(())
    }

    pub(crate) fn slice(&self, (start, end): (u32, u32)) -> &'a [u8] {
        &self.bytes[start as usize..end as usize]
    }

    pub(crate) fn name(&self, field: &Field) -> &'a [u8] {
        self.slice(field.name)
    }

    pub(crate) fn value(&self, field: &Field) -> &'a [u8] {
        self.slice(field.value)
    }

    /// The field's whole line, line end included.
    pub(crate) fn line(&self, field: &Field) -> Range<usize> {
        field.name.0 as usize..field.end as usize
    }

    /// The start line, line end included.
    pub(crate) fn start_line(&self) -> Range<usize> {
        0..self.start
    }

    fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let fields = *self;
        fields
            .list
            .iter()
            .map(move |field| (fields.name(field), fields.value(field)))
    }

    /// Whether a field with this name is named by `Connection`.
    pub(crate) fn is_option(&self, name: &[u8]) -> bool {
        self.connection.others
            && self
                .list
                .iter()
                .filter(|field| field.id == FieldId::Connection)
                .any(|field| options(self.value(field)).any(|option| option.eq_ignore_ascii_case(name)))
    }
}

impl Field {
    pub(crate) fn id(&self) -> FieldId {
        self.id
    }
}

/// The options of a `Connection` field.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty())
}

/// Whether parsing was complete.
fn collect(
    bytes: &[u8],
    start: usize,
    status: httparse::Status<(usize, &[httparse::Header<'_>])>,
    list: &mut Vec<Field>,
) -> bool {
    let httparse::Status::Complete((len, headers)) = status else {
        return false;
    };
    let place = |slice: &[u8]| {
        let from = (slice.as_ptr() as usize - bytes.as_ptr() as usize) as u32;
        (from, from + slice.len() as u32)
    };
    let section_end = (start + len - 2) as u32;
    for (i, header) in headers.iter().enumerate() {
        let name = place(header.name.as_bytes());
        // An empty value has no place of its own.
        let value = if header.value.is_empty() {
            (name.1 + 1, name.1 + 1)
        } else {
            place(header.value)
        };
        let end = headers
            .get(i + 1)
            .map_or(section_end, |next| place(next.name.as_bytes()).0);
        list.push(Field {
            name,
            value,
            end,
            id: FieldId::of(header.name.as_bytes()),
        });
    }
    start + len == bytes.len()
}

/// Which rule was broken.
fn refine(error: httparse::Error, bytes: &[u8], start: usize) -> HeadError {
    let fields = &bytes[start..];
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        _ if fields.windows(3).any(|w| w[0] == b'\n' && matches!(w[1], b' ' | b'\t'))
            || matches!(fields.first(), Some(b' ' | b'\t')) =>
        {
            HeadError::FoldedField
        }
        _ if fields.windows(2).any(|w| w[0] == b'\r' && w[1] != b'\n') => HeadError::BareCarriageReturn,
        httparse::Error::HeaderName => HeadError::FieldName,
        _ => HeadError::FieldValue,
    }
}

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
        let line = &bytes[..end];
        let mut parts = line.splitn(3, |b| *b == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(HeadError::StartLine);
        };
        if method.is_empty()
            || !method.iter().all(|b| is_tchar(*b))
            || target.is_empty()
            || !target.iter().all(|b| is_target_byte(*b))
        {
            return Err(HeadError::StartLine);
        }
        let version = Version::parse(version)?;
        let form = Form::of(method, target)?;
        let fields = Fields::parse(bytes, end + 2, list, limits)?;
        if version == Version::Http10 && fields.chunked {
            return Err(HeadError::TransferEncoding);
        }
        if version == Version::Http11 && fields.host.is_none() {
            return Err(HeadError::Host);
        }
        if method == b"CONNECT" && (fields.chunked || fields.content_length.is_some_and(|n| n > 0)) {
            return Err(HeadError::ContentLength);
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
            Form::Origin | Form::Asterisk => self.fields.host.map(|host| self.fields.slice(host)),
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
        persistent(self.version, self.fields.connection)
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
    fn of(method: &[u8], target: &[u8]) -> Result<Self, HeadError> {
        if method == b"CONNECT" {
            return if target.iter().all(|b| is_host_byte(*b)) {
                Ok(Self::Authority)
            } else {
                Err(HeadError::Target)
            };
        }
        if target[0] == b'/' {
            return Ok(Self::Origin);
        }
        if target == b"*" {
            return if method == b"OPTIONS" {
                Ok(Self::Asterisk)
            } else {
                Err(HeadError::Target)
            };
        }
        let colon = target.windows(3).position(|w| w == b"://").ok_or(HeadError::Target)?;
        let scheme = &target[..colon];
        let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let authority = colon + 3;
        let path = target[authority..]
            .iter()
            .position(|b| matches!(b, b'/' | b'?'))
            .map_or(target.len(), |at| authority + at);
        if !valid || path == authority || !target[authority..path].iter().all(|b| is_host_byte(*b) || *b == b'@') {
            return Err(HeadError::Target);
        }
        Ok(Self::Absolute { authority, path })
    }
}

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
        let line = &bytes[..end];
        let version = Version::parse(line.get(..8).ok_or(HeadError::StartLine)?)?;
        let (digits, reason) = match &line[8..] {
            [b' ', a, b, c] => ([*a, *b, *c], &[][..]),
            [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
            _ => return Err(HeadError::StartLine),
        };
        let status = decimal(&digits).ok_or(HeadError::StartLine)? as u16;
        if status < 100 {
            return Err(HeadError::Status);
        }
        if !reason.iter().all(|b| is_field_value(*b)) {
            return Err(HeadError::StartLine);
        }
        let fields = Fields::parse(bytes, end + 2, list, limits)?;
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
        persistent(self.version, self.fields.connection) && self.body() != Framing::UntilClose
    }
}

fn persistent(version: Version, connection: ConnectionOptions) -> bool {
    !connection.close && (version == Version::Http11 || connection.keep_alive)
}

fn line_end(bytes: &[u8]) -> Result<usize, HeadError> {
    let end = memchr::memchr(b'\r', bytes).ok_or(HeadError::StartLine)?;
    if bytes.get(end + 1) == Some(&b'\n') {
        Ok(end)
    } else {
        Err(HeadError::BareCarriageReturn)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A byte of a token (RFC 9110 §5.6.2).
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A byte of a field's value or a reason phrase.
pub(crate) fn is_field_value(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

fn is_target_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0x80..)
}

/// A byte of a host and port (RFC 3986 §3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:%[]".contains(&byte)
}
