//! The fields of a head: parsed into ranges over the bytes as they came, and what they say about the message.
//!
//! Their syntax is `httparse`'s, but for lines that are as lines usually are, which are read here in one go; what they mean,
//! and which of them two servers could read differently, is decided here.

use std::ops::Range;

use crate::syntax::{decimal, is_host, is_tchar, members, value_len};
use crate::{HeadError, Limits, Version};

/// Fields for which `httparse` has room without asking for memory.
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

impl ConnectionOptions {
    /// Whether the connection outlives this message, if its body does not end it.
    pub(crate) fn persistent(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// The fields of a head and what they say about the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) list: &'a [Field],
    /// Where the fields start.
    start: usize,
    pub(crate) connection: ConnectionOptions,
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) upgrade: bool,
    pub(crate) expect: bool,
    host: Option<(u32, u32)>,
    several_hosts: bool,
    /// A field other than `Connection` is of the connection and does not belong to the next one.
    pub(crate) cut: bool,
}

impl<'a> Fields<'a> {
    /// Parses what follows the start line, which ends at `start`.
    pub(crate) fn parse(
        bytes: &'a [u8],
        start: usize,
        list: &'a mut Vec<Field>,
        limits: &Limits,
    ) -> Result<Self, HeadError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(HeadError::HeadTooLong);
        }
        parse_any(bytes, start, list, limits)?;
        if list.len() > limits.fields {
            return Err(HeadError::TooManyFields);
        }
        Self::of(bytes, start, list)
    }

    /// Parses what follows the start line up to the end of the head, if all of it is there and plain.
    pub(crate) fn read(bytes: &'a [u8], start: usize, list: &'a mut Vec<Field>, limits: &Limits) -> Option<Self> {
        let end = collect_plain(bytes.get(..limits.head.min(bytes.len()))?, start, list)?;
        if list.len() > limits.fields || u32::try_from(end).is_err() {
            return None;
        }
        Self::of(&bytes[..end], start, list).ok()
    }

    fn of(bytes: &'a [u8], start: usize, list: &'a [Field]) -> Result<Self, HeadError> {
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
            several_hosts: false,
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
            FieldId::Host => self.several_hosts |= self.host.replace(field.value).is_some(),
            FieldId::Connection => self.note_options(value)?,
            FieldId::ProxyConnection => self.cut = true,
            FieldId::Te => self.cut |= !value.eq_ignore_ascii_case(b"trailers"),
            FieldId::Upgrade => self.upgrade = true,
            FieldId::Expect => self.expect |= value.eq_ignore_ascii_case(b"100-continue"),
            FieldId::ContentLength => {
                let length = decimal(value).ok_or(HeadError::ContentLength)?;
                if self.content_length.replace(length).is_some() {
                    return Err(HeadError::SeveralContentLengths);
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
        for option in members(value) {
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

    fn slice(&self, (start, end): (u32, u32)) -> &'a [u8] {
        &self.bytes[start as usize..end as usize]
    }

    pub(crate) fn name(&self, field: &Field) -> &'a [u8] {
        self.slice(field.name)
    }

    pub(crate) fn value(&self, field: &Field) -> &'a [u8] {
        self.slice(field.value)
    }

    /// Checks the host of a request. In a response it says nothing.
    pub(crate) fn check_host(&self, version: Version) -> Result<(), HeadError> {
        match self.host() {
            _ if self.several_hosts => Err(HeadError::SeveralHosts),
            Some(host) if !is_host(host) => Err(HeadError::InvalidHost),
            None if version == Version::Http11 => Err(HeadError::MissingHost),
            _ => Ok(()),
        }
    }

    /// The value of `Host`.
    pub(crate) fn host(&self) -> Option<&'a [u8]> {
        self.host.map(|host| self.slice(host))
    }

    /// The field's whole line, line end included.
    pub(crate) fn line(&self, field: &Field) -> Range<usize> {
        field.name.0 as usize..field.end as usize
    }

    /// The start line, line end included.
    pub(crate) fn start_line(&self) -> Range<usize> {
        0..self.start
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
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
                .any(|field| members(self.value(field)).any(|option| option.eq_ignore_ascii_case(name)))
    }
}

impl Field {
    pub(crate) fn id(&self) -> FieldId {
        self.id
    }
}

/// Parses lines about which there is nothing to say: `name: value CRLF` each, then an empty one, behind which the head ends. At
/// the first that is not like that, or not all there, it gives up, and `httparse` decides what it is. A name is looked at
/// once and a value once, its end found on the way: here goes what time of a request is not the kernel's.
fn collect_plain(bytes: &[u8], start: usize, list: &mut Vec<Field>) -> Option<usize> {
    list.clear();
    let mut at = start;
    loop {
        let line = bytes.get(at..)?;
        if line.starts_with(b"\r\n") {
            return Some(at + 2);
        }
        let name = line.iter().position(|b| !is_tchar(*b))?;
        if name == 0 || line[name] != b':' {
            return None;
        }
        let is_space = |b: &u8| matches!(b, b' ' | b'\t');
        let mut value = name + 1 + line[name + 1..].iter().position(|b| !is_space(b))?;
        let mut value_end = value + value_len(&line[value..])?;
        let line_end = value_end + 2;
        if line.get(value_end..line_end)? != b"\r\n" {
            return None;
        }
        if value_end == value {
            // An empty value stands behind the colon.
            value = name + 1;
            value_end = value;
        }
        value_end -= line[value..value_end].iter().rev().take_while(|b| is_space(b)).count();
        list.push(Field {
            name: (at as u32, (at + name) as u32),
            value: ((at + value) as u32, (at + value_end) as u32),
            end: (at + line_end) as u32,
            id: FieldId::of(&line[..name]),
        });
        at += line_end;
    }
}

/// Parses lines of any kind, or says what is wrong with them.
fn parse_any(bytes: &[u8], start: usize, list: &mut Vec<Field>, limits: &Limits) -> Result<(), HeadError> {
    list.clear();
    let mut few = [httparse::EMPTY_HEADER; FEW];
    match httparse::parse_headers(&bytes[start..], &mut few) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; limits.fields];
            let parsed = httparse::parse_headers(&bytes[start..], &mut many);
            collect(bytes, start, parsed, list)
        }
        parsed => collect(bytes, start, parsed, list),
    }
}

/// Turns what was parsed into places. Lines must end by CRLF, and the head where its bytes do.
fn collect(
    bytes: &[u8],
    start: usize,
    parsed: httparse::Result<(usize, &[httparse::Header<'_>])>,
    list: &mut Vec<Field>,
) -> Result<(), HeadError> {
    let (len, headers) = match parsed {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Err(HeadError::FieldValue),
        Err(error) => return Err(refine(error, &bytes[start..])),
    };
    if start + len != bytes.len() {
        return Err(HeadError::FieldValue);
    }
    if !bytes.ends_with(b"\r\n") {
        return Err(HeadError::BareLineFeed);
    }
    let place = |slice: &[u8]| {
        let from = (slice.as_ptr() as usize - bytes.as_ptr() as usize) as u32;
        (from, from + slice.len() as u32)
    };
    let section_end = (bytes.len() - 2) as u32;
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
        // A line feed is there, or the next field would not be.
        if bytes[end as usize - 2] != b'\r' {
            return Err(HeadError::BareLineFeed);
        }
        list.push(Field {
            name,
            value,
            end,
            id: FieldId::of(header.name.as_bytes()),
        });
    }
    Ok(())
}

/// Which rule was broken.
fn refine(error: httparse::Error, fields: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        _ if fields.windows(2).any(|w| w[0] == b'\n' && matches!(w[1], b' ' | b'\t'))
            || matches!(fields.first(), Some(b' ' | b'\t')) =>
        {
            HeadError::FoldedField
        }
        _ if fields.windows(2).any(|w| w[0] == b'\r' && w[1] != b'\n') => HeadError::BareCarriageReturn,
        httparse::Error::HeaderName => HeadError::FieldName,
        _ => HeadError::FieldValue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fields, plain and odd, of which most are legal.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            8 => "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}:[ \t]{0,2}[ -~\t]{0,40}[ \t]{0,2}\r\n",
            1 => "[a-z :]{0,6}:[ -~\u{80}-\u{ff}]{0,20}(\r\n|\n|\r)",
            1 => "(content-length|Host|CONNECTION|transfer-encoding): ?[a-z0-9]{0,9}\r\n",
        ];
        prop::collection::vec(line, 0..8).prop_map(|lines| (lines.concat() + "\r\n").into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn plain_lines_are_what_httparse_says_they_are(head in lines(), at: prop::sample::Index, byte: u8, change: bool) {
            let mut head = head;
            if change {
                let at = at.index(head.len());
                head[at] = byte;
            }
            let (mut plain, mut any) = (Vec::new(), Vec::new());
            if let Some(end) = collect_plain(&head, 0, &mut plain) {
                prop_assert_eq!(parse_any(&head[..end], 0, &mut any, &Limits::default()), Ok(()));
                prop_assert_eq!(plain, any);
            }
        }
    }

    #[test]
    fn usual_lines_are_plain() {
        let head = b"Host: a\r\nAccept:\r\nX-Tab: a\tb \r\nX-Odd: caf\xc3\xa9\r\nX-Long-Value-Of-More-Than-A-Word: 0123456789\r\n\r\n";
        let mut list = Vec::new();
        assert_eq!(collect_plain(head, 0, &mut list), Some(head.len()));
        let values: Vec<&[u8]> = list
            .iter()
            .map(|field| &head[field.value.0 as usize..field.value.1 as usize])
            .collect();
        assert_eq!(values, [b"a".as_slice(), b"", b"a\tb", b"caf\xc3\xa9", b"0123456789"]);
    }
}
