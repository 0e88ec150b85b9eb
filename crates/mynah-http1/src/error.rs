//! What is refused, and with which status.

/// Why a message head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A line that ends without carriage return.
    #[error("line feed without carriage return")]
    BareLineFeed,
    /// A carriage return within a line.
    #[error("carriage return without line feed")]
    BareCarriageReturn,
    /// The request line is longer than the limit.
    #[error("request line too long")]
    RequestLineTooLong,
    /// The head is longer than the limit.
    #[error("head too long")]
    HeadTooLong,
    /// More fields than the limit.
    #[error("too many fields")]
    TooManyFields,
    /// The request or status line is malformed.
    #[error("malformed start line")]
    StartLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("HTTP version not supported")]
    Version,
    /// A status outside 100 to 599.
    #[error("invalid status")]
    Status,
    /// A field name that is empty or no token, space before the colon included.
    #[error("invalid field name")]
    FieldName,
    /// A control byte in a field's value.
    #[error("invalid field value")]
    FieldValue,
    /// A field that goes on on the next line.
    #[error("folded field")]
    FoldedField,
    /// A length that is no number, or several.
    #[error("invalid content length")]
    ContentLength,
    /// A transfer coding other than a final single `chunked`, or one in HTTP/1.0.
    #[error("transfer coding not supported")]
    TransferEncoding,
    /// Both a length and a transfer coding.
    #[error("both content length and transfer coding")]
    BothLengths,
    /// No host in HTTP/1.1, several, or one that cannot be.
    #[error("missing or invalid host")]
    Host,
    /// `Connection` names a field that is not of the connection.
    #[error("connection option names an end-to-end field")]
    ConnectionOption,
    /// A target that does not go with its method.
    #[error("invalid target")]
    Target,
}

impl HeadError {
    /// The status that a client gets.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestLineTooLong => 414,
            Self::HeadTooLong | Self::TooManyFields => 431,
            Self::Version => 505,
            // RFC 9112 §6.1: a transfer coding that is not understood.
            Self::TransferEncoding => 501,
            _ => 400,
        }
    }
}

/// Why a message body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk size that is not plain hexadecimal, or too large.
    #[error("invalid chunk size")]
    ChunkSize,
    /// A control byte in a chunk extension.
    #[error("invalid chunk extension")]
    ChunkExtension,
    /// More bytes of chunk extensions than may be.
    #[error("chunk extensions too long")]
    ChunkExtensionsTooLong,
    /// A chunk that does not end where its size says.
    #[error("chunk data without end of line")]
    ChunkEnd,
    /// A trailer that is malformed, or that must not be one.
    #[error("invalid trailer")]
    Trailer,
    /// A trailer section longer than may be.
    #[error("trailers too long")]
    TrailersTooLong,
}

/// The stream ended within a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message cut short")]
pub struct Truncated;
