//! Reads messages as a relay does: the end of the head is found, then the head is parsed.

use mynah_http1::{
    BodyDecoder, BodyError, BodySink, Field, Framing, HeadError, HeadScanner, Limits, RequestHead, RequestKind,
    ResponseHead,
};

/// Finds the head's end, all bytes at once.
pub(crate) fn scan(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    HeadScanner::new().scan(bytes, &Limits::default())
}

/// The bytes of the head; what follows is not its.
fn head(bytes: &[u8]) -> Result<&[u8], HeadError> {
    match scan(bytes)? {
        Some(len) => Ok(&bytes[..len]),
        None => panic!("no whole head: {}", bytes.escape_ascii()),
    }
}

/// Reads a request's head.
pub(crate) fn request<'a>(bytes: &'a [u8], list: &'a mut Vec<Field>) -> Result<RequestHead<'a>, HeadError> {
    RequestHead::parse(head(bytes)?, list, &Limits::default())
}

/// Reads the head of a response to a request of this kind.
pub(crate) fn response<'a>(
    bytes: &'a [u8],
    list: &'a mut Vec<Field>,
    kind: RequestKind,
) -> Result<ResponseHead<'a>, HeadError> {
    ResponseHead::parse(head(bytes)?, list, &Limits::default(), kind)
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// How much of the input belongs to it; after an error, what was consumed depends on the cuts and is left out.
    pub(crate) len: Result<usize, BodyError>,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) ended: bool,
    /// Whether the end of the stream would end it well.
    pub(crate) ends_with_stream: bool,
}

struct Collect<'a> {
    input: &'a [u8],
    data: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl BodySink for Collect<'_> {
    fn data(&mut self, range: std::ops::Range<usize>) {
        self.data.extend_from_slice(&self.input[range]);
    }

    fn trailer(&mut self, name: &[u8], value: &[u8]) {
        self.trailers.push((name.to_vec(), value.to_vec()));
    }
}

/// Decodes a body that arrives in these pieces.
pub(crate) fn body<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Body {
    let mut decoder = BodyDecoder::new(framing);
    let mut sink = Collect {
        input: &[],
        data: Vec::new(),
        trailers: Vec::new(),
    };
    let mut len = Ok(0);
    for piece in pieces {
        sink.input = piece;
        match decoder.decode(piece, &mut sink) {
            Ok(consumed) => {
                len = len.map(|len| len + consumed);
                assert!(
                    consumed == piece.len() || decoder.is_ended(),
                    "a body keeps what it does not need"
                );
            }
            Err(error) => {
                assert_eq!(decoder.decode(b"0\r\n\r\n", &mut ()), Err(error), "errors stay");
                len = Err(error);
                break;
            }
        }
    }
    Body {
        len,
        data: sink.data,
        trailers: sink.trailers,
        ended: decoder.is_ended(),
        ends_with_stream: decoder.finish_eof().is_ok(),
    }
}
