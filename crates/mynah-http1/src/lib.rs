//! HTTP/1 on the wire, without I/O: bytes in, heads and ends of bodies out.
//!
//! A relay passes on the bytes that came; this crate tells it where messages start and end, what their heads say, and what
//! must not be passed on. [`HeadScanner`] finds the end of a head, [`RequestHead`] and [`ResponseHead`] parse it into
//! ranges, [`BodyDecoder`] finds the end of the body, and [`edit`] writes heads in which something has to change.
//!
//! Strictness: whatever two servers could read differently is refused, never repaired (RFC 9112 §11.2). What is odd but
//! has one reading passes: bytes that are not ASCII in targets and values, statuses that nobody registered, chunk sizes
//! with zeros before them. The result never depends on how the bytes were cut into reads.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod body;
pub mod edit;
mod error;
mod fields;
mod request;
mod response;
mod scan;
mod syntax;

pub use body::{BodyDecoder, BodySink};
pub use error::{BodyError, HeadError, Truncated};
pub use fields::{ConnectionOptions, Field};
pub use request::RequestHead;
pub use response::ResponseHead;
pub use scan::HeadScanner;

/// Bounds of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request line, or of the status line, without its line end.
    pub request_line: usize,
    /// Bytes of the whole head, with the empty line that ends it.
    pub head: usize,
    /// Fields.
    pub fields: usize,
}

/// 64 KiB of request line, 256 KiB of head, 512 fields: as wide as the servers that people run.
impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 64 * 1024,
            head: 256 * 1024,
            fields: 512,
        }
    }
}

/// The version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        match bytes {
            b"HTTP/1.1" => Ok(Self::Http11),
            b"HTTP/1.0" => Ok(Self::Http10),
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                Err(HeadError::Version)
            }
            _ => Err(HeadError::StartLine),
        }
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the chunk of size 0 and the trailers.
    Chunked,
    /// With the connection.
    UntilClose,
    /// Never: the connection is no longer HTTP.
    Tunnel,
}

/// What a response has to know about its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: a 2xx opens a tunnel.
    Connect,
    /// Everything else.
    Other,
}

impl RequestKind {
    /// The kind that a method makes.
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Where the start line ends: at the first carriage return, which a line feed must follow.
fn line_end(bytes: &[u8]) -> Result<usize, HeadError> {
    let end = memchr::memchr(b'\r', bytes).ok_or(HeadError::StartLine)?;
    if bytes.get(end + 1) == Some(&b'\n') {
        Ok(end)
    } else {
        Err(HeadError::BareCarriageReturn)
    }
}

/// Where a start line ends that is whole, has no control in it and is within the limits.
fn plain_line_end(bytes: &[u8], limits: &Limits) -> Option<usize> {
    let end = syntax::value_len(bytes)?;
    (end <= limits.request_line && bytes[end..].starts_with(b"\r\n")).then_some(end)
}
