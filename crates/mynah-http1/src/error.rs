//! What is refused, and with which status.

/// Why a message head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
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
    /// A method that is no token.
    #[error("invalid method")]
    Method,
    /// A target that has no form of RFC 9112 §3.2, or not that of its method.
    #[error("invalid target")]
    Target,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("HTTP version not supported")]
    Version,
    /// A status that is no number, or below 100.
    #[error("invalid status")]
    Status,
    /// A field name that is empty or no token, a missing colon and a space before it included.
    #[error("invalid field name")]
    FieldName,
    /// A control byte in a field's value.
    #[error("invalid field value")]
    FieldValue,
    /// A field that goes on on the next line.
    #[error("folded field")]
    FoldedField,
    /// A length that is no plain number, or does not fit 63 bits.
    #[error("invalid content length")]
    ContentLength,
    /// Several lengths, equal ones included.
    #[error("several content lengths")]
    SeveralContentLengths,
    /// Both a length and a transfer coding.
    #[error("both content length and transfer coding")]
    BothLengths,
    /// A transfer coding other than a final single `chunked`, or one in HTTP/1.0.
    #[error("transfer coding not supported")]
    TransferEncoding,
    /// A body that is announced by CONNECT.
    #[error("CONNECT with a body")]
    ConnectBody,
    /// No host in HTTP/1.1.
    #[error("missing host")]
    MissingHost,
    /// Several `Host` fields.
    #[error("several hosts")]
    SeveralHosts,
    /// A `Host` that is no host, with or without a port.
    #[error("invalid host")]
    InvalidHost,
    /// `Connection` names a field that the message cannot be read without.
    #[error("connection option names an end-to-end field")]
    ConnectionOption,
}

impl HeadError {
    /// Every condition, in the order of [`HeadError::index`].
    pub const ALL: [Self; 22] = [
        Self::BareLineFeed,
        Self::BareCarriageReturn,
        Self::RequestLineTooLong,
        Self::HeadTooLong,
        Self::TooManyFields,
        Self::StartLine,
        Self::Method,
        Self::Target,
        Self::Version,
        Self::Status,
        Self::FieldName,
        Self::FieldValue,
        Self::FoldedField,
        Self::ContentLength,
        Self::SeveralContentLengths,
        Self::BothLengths,
        Self::TransferEncoding,
        Self::ConnectBody,
        Self::MissingHost,
        Self::SeveralHosts,
        Self::InvalidHost,
        Self::ConnectionOption,
    ];

    /// Its place in [`HeadError::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare_line_feed",
            Self::BareCarriageReturn => "bare_carriage_return",
            Self::RequestLineTooLong => "request_line_too_long",
            Self::HeadTooLong => "head_too_long",
            Self::TooManyFields => "too_many_fields",
            Self::StartLine => "start_line",
            Self::Method => "method",
            Self::Target => "target",
            Self::Version => "version",
            Self::Status => "status",
            Self::FieldName => "field_name",
            Self::FieldValue => "field_value",
            Self::FoldedField => "folded_field",
            Self::ContentLength => "content_length",
            Self::SeveralContentLengths => "several_content_lengths",
            Self::BothLengths => "both_lengths",
            Self::TransferEncoding => "transfer_encoding",
            Self::ConnectBody => "connect_body",
            Self::MissingHost => "missing_host",
            Self::SeveralHosts => "several_hosts",
            Self::InvalidHost => "invalid_host",
            Self::ConnectionOption => "connection_option",
        }
    }

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
pub enum BodyError {
    /// A chunk size that is not plain hexadecimal, has more than 16 digits or does not fit 63 bits.
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
    /// A trailer section with more bytes or fields than may be.
    #[error("trailers too long")]
    TrailersTooLong,
}

impl BodyError {
    /// Every condition, in the order of [`BodyError::index`].
    pub const ALL: [Self; 6] = [
        Self::ChunkSize,
        Self::ChunkExtension,
        Self::ChunkExtensionsTooLong,
        Self::ChunkEnd,
        Self::Trailer,
        Self::TrailersTooLong,
    ];

    /// Its place in [`BodyError::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChunkSize => "chunk_size",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkExtensionsTooLong => "chunk_extensions_too_long",
            Self::ChunkEnd => "chunk_end",
            Self::Trailer => "trailer",
            Self::TrailersTooLong => "trailers_too_long",
        }
    }
}

/// The stream ended within a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message cut short")]
pub struct Truncated;
