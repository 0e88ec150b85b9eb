//! Finding the end of a body (RFC 9112 §6 and §7).
//!
//! Whatever [`BodyDecoder::decode`] consumes is a prefix of a valid message: the byte that makes a message invalid is
//! never consumed, so a relay that passes on what was consumed never passes an invalid message on as a whole one.

use std::ops::Range;

use crate::syntax::{is_tchar, is_value_byte};
use crate::{BodyError, Framing, Truncated};

/// Digits of a chunk size.
const SIZE_DIGITS: u8 = 16;
/// A larger chunk does not fit a signed number: there, what servers read begins to differ.
const SIZE_MAX: u64 = i64::MAX as u64;
/// Bytes of all chunk extensions of a message.
const EXTENSIONS_MAX: u32 = 16 * 1024;
/// Bytes of the trailer section, line ends not counted.
const TRAILERS_MAX: usize = 64 * 1024;
/// Trailers.
const TRAILER_FIELDS_MAX: usize = 512;

/// Receives what a body consists of.
pub trait BodySink {
    /// Data, as a range of the bytes that were passed to [`BodyDecoder::decode`].
    fn data(&mut self, range: Range<usize>);

    /// A trailer.
    fn trailer(&mut self, _name: &[u8], _value: &[u8]) {}
}

/// Needs to know nothing.
impl BodySink for () {
    fn data(&mut self, _: Range<usize>) {}
}

/// Follows one body, however its bytes are cut into reads.
#[derive(Debug, Clone)]
pub struct BodyDecoder(State);

#[derive(Debug, Clone)]
enum State {
    Length(u64),
    UntilClose,
    Chunked(Box<Chunked>),
    Ended,
    Failed(BodyError),
}

#[derive(Debug, Clone)]
struct Chunked {
    at: Place,
    /// The size read so far, or what is left of the chunk.
    size: u64,
    digits: u8,
    extensions: u32,
    /// The trailer line under way, and where its colon is.
    line: Vec<u8>,
    colon: Option<usize>,
    /// Bytes and number of trailers.
    trailers: usize,
    fields: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    /// Within a quoted string of an extension; after a backslash or not.
    Quoted(bool),
    SizeEnd,
    Data,
    DataEnd,
    DataEndFeed,
    Trailer,
    TrailerEnd,
}

impl BodyDecoder {
    /// A decoder for a body that ends like that. A tunnel never ends.
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose | Framing::Tunnel => State::UntilClose,
            Framing::Chunked => State::Chunked(Box::new(Chunked {
                at: Place::Size,
                size: 0,
                digits: 0,
                extensions: 0,
                line: Vec::new(),
                colon: None,
                trailers: 0,
                fields: 0,
            })),
        })
    }

    /// Whether the body has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// The stream has ended: well, if that is what ends this body.
    pub fn finish_eof(&mut self) -> Result<(), Truncated> {
        match self.0 {
            State::UntilClose | State::Ended => {
                self.0 = State::Ended;
                Ok(())
            }
            _ => Err(Truncated),
        }
    }

    /// How many bytes of `input` belong to the body: all of them, unless it ends before. Nothing is consumed on errors, and
    /// nothing after one: a body that is invalid stays so.
    pub fn decode(&mut self, input: &[u8], sink: &mut impl BodySink) -> Result<usize, BodyError> {
        match &mut self.0 {
            State::Ended => Ok(0),
            State::Failed(error) => Err(*error),
            State::UntilClose => {
                sink.data(0..input.len());
                Ok(input.len())
            }
            State::Length(left) => {
                let len = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                sink.data(0..len);
                *left -= len as u64;
                if *left == 0 {
                    self.0 = State::Ended;
                }
                Ok(len)
            }
            State::Chunked(chunked) => {
                let decoded = chunked.decode(input, sink);
                match decoded {
                    Ok((_, true)) => self.0 = State::Ended,
                    Ok((_, false)) => {}
                    Err(error) => self.0 = State::Failed(error),
                }
                decoded.map(|(len, _)| len)
            }
        }
    }
}

impl Chunked {
    fn decode(&mut self, input: &[u8], sink: &mut impl BodySink) -> Result<(usize, bool), BodyError> {
        let mut at = 0;
        while at < input.len() {
            if self.at == Place::Data {
                let len = usize::try_from(self.size).map_or(input.len() - at, |left| left.min(input.len() - at));
                sink.data(at..at + len);
                self.size -= len as u64;
                at += len;
                if self.size == 0 {
                    self.at = Place::DataEnd;
                }
                continue;
            }
            let byte = input[at];
            at += 1;
            match self.at {
                Place::Size => self.size_byte(byte)?,
                Place::Extension | Place::Quoted(_) => self.extension_byte(byte)?,
                Place::SizeEnd => {
                    expect(byte, b'\n', BodyError::ChunkSize)?;
                    self.at = if self.size == 0 { Place::Trailer } else { Place::Data };
                    self.digits = 0;
                }
                Place::DataEnd => {
                    expect(byte, b'\r', BodyError::ChunkEnd)?;
                    self.at = Place::DataEndFeed;
                }
                Place::DataEndFeed => {
                    expect(byte, b'\n', BodyError::ChunkEnd)?;
                    self.at = Place::Size;
                }
                Place::Trailer if byte == b'\r' && (self.line.is_empty() || self.colon.is_some()) => {
                    self.at = Place::TrailerEnd;
                }
                Place::Trailer => self.trailer_byte(byte)?,
                Place::TrailerEnd => {
                    expect(byte, b'\n', BodyError::Trailer)?;
                    if self.line.is_empty() {
                        return Ok((at, true));
                    }
                    self.trailer(sink)?;
                    self.at = Place::Trailer;
                }
                Place::Data => unreachable!("data is taken in one piece above"),
            }
        }
        Ok((at, false))
    }

    fn size_byte(&mut self, byte: u8) -> Result<(), BodyError> {
        if let Some(digit) = (byte as char).to_digit(16) {
            if self.digits == 0 {
                self.size = 0;
            }
            if self.digits == SIZE_DIGITS || self.size > SIZE_MAX >> 4 {
                return Err(BodyError::ChunkSize);
            }
            self.digits += 1;
            self.size = self.size << 4 | u64::from(digit);
            return Ok(());
        }
        match byte {
            _ if self.digits == 0 => Err(BodyError::ChunkSize),
            b'\r' => {
                self.at = Place::SizeEnd;
                Ok(())
            }
            b';' => {
                self.at = Place::Extension;
                Ok(())
            }
            _ => Err(BodyError::ChunkSize),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<(), BodyError> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS_MAX {
            return Err(BodyError::ChunkExtensionsTooLong);
        }
        self.at = match (self.at, byte) {
            (Place::Quoted(true), b'\t' | 0x20..=0x7e | 0x80..) => Place::Quoted(false),
            (Place::Quoted(false), b'\\') => Place::Quoted(true),
            (Place::Quoted(false), b'"') => Place::Extension,
            (Place::Quoted(false), b'\t' | 0x20..=0x7e | 0x80..) => Place::Quoted(false),
            (Place::Extension, b'"') => Place::Quoted(false),
            (Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Extension, b'\t' | 0x20..=0x7e) => Place::Extension,
            _ => return Err(BodyError::ChunkExtension),
        };
        Ok(())
    }

    /// Every byte is checked when it comes: a line that could not become a trailer is not passed on.
    fn trailer_byte(&mut self, byte: u8) -> Result<(), BodyError> {
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX || self.fields == TRAILER_FIELDS_MAX {
            return Err(BodyError::TrailersTooLong);
        }
        let valid = match (self.colon, byte) {
            (Some(_), _) => is_value_byte(byte),
            (None, b':') => {
                self.colon = Some(self.line.len());
                !self.line.is_empty() && is_allowed_trailer(&self.line)
            }
            (None, _) => is_tchar(byte),
        };
        if !valid {
            return Err(BodyError::Trailer);
        }
        self.line.push(byte);
        Ok(())
    }

    fn trailer(&mut self, sink: &mut impl BodySink) -> Result<(), BodyError> {
        let colon = self.colon.take().ok_or(BodyError::Trailer)?;
        self.fields += 1;
        sink.trailer(&self.line[..colon], self.line[colon + 1..].trim_ascii());
        self.line.clear();
        Ok(())
    }
}

fn expect(byte: u8, expected: u8, error: BodyError) -> Result<(), BodyError> {
    if byte == expected { Ok(()) } else { Err(error) }
}

/// Fields that frame or route a message must not come behind it (RFC 9110 §6.5.1).
fn is_allowed_trailer(name: &[u8]) -> bool {
    const REFUSED: [&str; 6] = [
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "trailer",
        "te",
    ];
    !REFUSED
        .iter()
        .any(|refused| name.eq_ignore_ascii_case(refused.as_bytes()))
}
