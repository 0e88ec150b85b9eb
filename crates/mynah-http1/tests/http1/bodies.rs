//! What belongs to a body, and what makes one invalid.

use mynah_http1::{BodyDecoder, BodyError, Framing};

use crate::read::{Body, body};

/// Decodes at once and byte by byte; both must come to the same.
fn decode(framing: Framing, bytes: &[u8]) -> Body {
    let whole = body(framing, [bytes]);
    let trickled = body(framing, bytes.chunks(1).chain([&b""[..]]));
    assert_eq!(whole, trickled, "{}", bytes.escape_ascii());
    whole
}

fn chunked(bytes: impl AsRef<[u8]>) -> Body {
    decode(Framing::Chunked, bytes.as_ref())
}

#[test]
fn chunks_are_joined_to_what_was_sent() {
    let cases = [
        ("0\r\n\r\n", ""),
        ("000000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("00000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n", "abc"),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        (
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        ("0f\r\n\r\n0\r\n\r\n01234567\r\n0\r\n\r\n", "\r\n0\r\n\r\n01234567"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("3;a\r\nabc\r\n0;b=c\r\n\r\n", "abc"),
        ("3;a=\"b;c\\\"\\\\\"; d = e\t;f\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;\r\nabc\r\n0;;\r\n\r\n", "abc"),
        ("3;a=\"\u{e9}\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("0\r\nX: 1\r\n\r\n", ""),
    ];
    for (wire, data) in cases {
        let found = chunked(wire);
        assert_eq!(found.len, Ok(wire.len()), "{}", wire.escape_debug());
        assert_eq!(found.data, data.as_bytes(), "{}", wire.escape_debug());
        assert!(found.ended && found.ends_with_stream);
    }
}

#[test]
fn what_follows_a_body_is_not_consumed() {
    assert_eq!(chunked("0\r\n\r\nGET / HTTP/1.1\r\n").len, Ok(5));
    assert_eq!(chunked("0\r\nX: 1\r\n\r\n\r\n").len, Ok(11));
    assert_eq!(decode(Framing::Length(3), b"abcdef").len, Ok(3));
    assert_eq!(decode(Framing::Length(0), b"abcdef").len, Ok(0));
    assert_eq!(decode(Framing::None, b"abcdef").len, Ok(0));
}

#[test]
fn bodies_end_by_what_their_framing_says() {
    // Framing, bytes, ended, may end with the stream.
    let cases: [(Framing, &[u8], bool, bool); 15] = [
        (Framing::None, b"", true, true),
        (Framing::Length(0), b"", true, true),
        (Framing::Length(3), b"", false, false),
        (Framing::Length(3), b"ab", false, false),
        (Framing::Length(3), b"abc", true, true),
        (Framing::Length(i64::MAX as u64), b"abc", false, false),
        (Framing::UntilClose, b"", false, true),
        (Framing::UntilClose, b"abc", false, true),
        (Framing::Tunnel, b"abc", false, true),
        (Framing::Chunked, b"", false, false),
        (Framing::Chunked, b"3\r\nabc\r\n", false, false),
        (Framing::Chunked, b"0\r\n", false, false),
        (Framing::Chunked, b"0\r\n\r", false, false),
        (Framing::Chunked, b"0\r\nX: 1\r\n", false, false),
        (Framing::Chunked, b"0\r\n\r\n", true, true),
    ];
    for (framing, bytes, ended, ends_with_stream) in cases {
        let found = decode(framing, bytes);
        assert_eq!(found.len, Ok(bytes.len()));
        assert_eq!(
            (found.ended, found.ends_with_stream),
            (ended, ends_with_stream),
            "{framing:?}"
        );
    }
}

#[test]
fn a_body_that_ended_with_its_stream_has_ended() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose);
    assert_eq!(decoder.decode(b"abc", &mut ()), Ok(3));
    decoder.finish_eof().unwrap();
    assert!(decoder.is_ended());
    assert_eq!(decoder.decode(b"abc", &mut ()), Ok(0));
}

#[test]
fn trailers_are_told_without_the_space_around_them() {
    let found = chunked("1\r\nx\r\n0\r\nX-Sum:1\r\nx-sum: \t a b \t\r\nEmpty:\r\nBytes: \u{e9}\r\n\r\n");
    let expected: [(&[u8], &[u8]); 4] = [
        (b"X-Sum", b"1"),
        (b"x-sum", b"a b"),
        (b"Empty", b""),
        (b"Bytes", b"\xc3\xa9"),
    ];
    let trailers: Vec<_> = found.trailers.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    assert_eq!(trailers, expected);
    assert!(found.ended);
}

#[test]
fn the_byte_that_makes_a_body_invalid_is_the_first_one_that_is_refused() {
    use BodyError::{ChunkEnd, ChunkExtension, ChunkSize, Trailer};
    // What is valid so far, and the byte that is not.
    let cases: [(BodyError, &[u8], u8); 52] = [
        (ChunkSize, b"", b'\r'),
        (ChunkSize, b"", b'\n'),
        (ChunkSize, b"", b' '),
        (ChunkSize, b"", b'+'),
        (ChunkSize, b"", b'-'),
        (ChunkSize, b"", b'g'),
        (ChunkSize, b"", b';'),
        (ChunkSize, b"", 0),
        (ChunkSize, b"", 0xff),
        (ChunkSize, b"0", b'x'),
        (ChunkSize, b"3", b' '),
        (ChunkSize, b"3", b'\t'),
        (ChunkSize, b"3", b'\n'),
        (ChunkSize, b"3", b','),
        (ChunkSize, b"3", b'_'),
        (ChunkSize, b"3", 0),
        (ChunkSize, b"3\r", b'\r'),
        (ChunkSize, b"3\r", b'a'),
        (ChunkSize, b"0000000000000000", b'3'),
        (ChunkSize, b"0000000000000000", b'0'),
        (ChunkSize, b"7FFFFFFFFFFFFFFF", b'F'),
        (ChunkSize, b"800000000000000", b'0'),
        (ChunkSize, b"FFFFFFFFFFFFFFF", b'F'),
        (ChunkSize, b"3;a\r", b'b'),
        (ChunkExtension, b"3;a", b'\n'),
        (ChunkExtension, b"3;a", 0),
        (ChunkExtension, b"3;a", 0x7f),
        (ChunkExtension, b"3;a", 0xe9),
        (ChunkExtension, b"3;a=\"", b'\r'),
        (ChunkExtension, b"3;a=\"", b'\n'),
        (ChunkExtension, b"3;a=\"\\", b'\r'),
        (ChunkExtension, b"3;a=\"\\", 0),
        (ChunkEnd, b"3\r\nabc", b'd'),
        (ChunkEnd, b"3\r\nabc", b'\n'),
        (ChunkEnd, b"3\r\nabc", b'0'),
        (ChunkEnd, b"3\r\nabc\r", b'\r'),
        (ChunkEnd, b"3\r\nabc\r", b'0'),
        (ChunkSize, b"3\r\nabc\r\n", b'\r'),
        (ChunkSize, b"0\r", b'0'),
        (Trailer, b"0\r\n", b'\n'),
        (Trailer, b"0\r\n\r", b'\r'),
        (Trailer, b"0\r\n", b':'),
        (Trailer, b"0\r\n", b' '),
        (Trailer, b"0\r\nX", b' '),
        (Trailer, b"0\r\nX", b'\r'),
        (Trailer, b"0\r\nX: 1", b'\n'),
        (Trailer, b"0\r\nX: 1\r", b'2'),
        (Trailer, b"0\r\nX: 1\r\n", b'\t'),
        (Trailer, b"0\r\nX: ", 0),
        (Trailer, b"0\r\nContent-Length", b':'),
        (Trailer, b"0\r\ntransfer-encoding", b':'),
        (Trailer, b"0\r\nHOST", b':'),
    ];
    for (error, valid, byte) in cases {
        let name = valid.escape_ascii();
        assert_eq!(chunked(valid).len, Ok(valid.len()), "{name}");
        let invalid = chunked([valid, &[byte]].concat());
        assert_eq!(invalid.len, Err(error), "{name} {byte:#x}");
        assert!(!invalid.ended && !invalid.ends_with_stream, "{name}");
        // Nothing that follows makes it valid.
        assert_eq!(
            chunked([valid, &[byte], b"\r\n0\r\n\r\n"].concat()).len,
            Err(error),
            "{name}"
        );
    }
}

#[test]
fn the_largest_chunk_is_the_largest_signed_number() {
    let found = chunked("7fffffffffffffff\r\nabc");
    assert_eq!(found.data, b"abc");
    assert!(!found.ended);
}

#[test]
fn extensions_of_a_whole_body_have_a_limit() {
    const LIMIT: usize = 16 * 1024;
    // The carriage return that ends them counts as theirs.
    let one = |len: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(len - 1));
    assert!(chunked(one(LIMIT)).ended);
    assert_eq!(chunked(one(LIMIT + 1)).len, Err(BodyError::ChunkExtensionsTooLong));
    let many = |count: usize| format!("{}0\r\n\r\n", "1;1234567\r\nx\r\n".repeat(count));
    assert!(chunked(many(LIMIT / 8)).ended);
    assert_eq!(chunked(many(LIMIT / 8 + 1)).len, Err(BodyError::ChunkExtensionsTooLong));
    assert!(chunked(format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(LIMIT))).ended);
}

#[test]
fn trailers_have_limits_of_size_and_number() {
    const LIMIT: usize = 64 * 1024;
    let one = |len: usize| format!("0\r\nX:{}\r\n\r\n", "v".repeat(len - 2));
    assert!(chunked(one(LIMIT)).ended);
    assert_eq!(chunked(one(LIMIT + 1)).len, Err(BodyError::TrailersTooLong));
    let many = |count: usize| format!("0\r\n{}\r\n", "X:\r\n".repeat(count));
    assert_eq!(chunked(many(512)).trailers.len(), 512);
    assert_eq!(chunked(many(513)).len, Err(BodyError::TrailersTooLong));
}
