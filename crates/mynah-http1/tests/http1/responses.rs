//! Which response heads are read, and which are refused.

use mynah_http1::{HeadError, RequestKind, Version};

use crate::read::response;

fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nContent-Length: 2\r\n\r\n").into_bytes()
}

fn fields(fields: impl AsRef<[u8]>) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", fields.as_ref(), b"\r\n"].concat()
}

fn legal() -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = [
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 200 ",
        "HTTP/1.1 200",
        "HTTP/1.1 200  two spaces",
        "HTTP/1.1 200 tab\there",
        "HTTP/1.1 200 é",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 101 Switching Protocols",
        "HTTP/1.1 103 Early Hints",
        "HTTP/1.1 199 x",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 599 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1 999 x",
        "HTTP/1.1 200 HTTP/1.1 404 OK",
    ]
    .iter()
    .map(|text| line(text))
    .collect();
    cases.extend(
        [
            "",
            "Content-Length: 0\r\n",
            "Content-Length: 00\r\n",
            "Transfer-Encoding: Chunked\r\n",
            "Set-Cookie: a\r\nSet-Cookie: b\r\n",
            "Host: a\r\nHost: not a host\r\n",
            "X:\r\nY:\r\n",
            "Connection: close\r\n",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
            "Connection: upgrade\r\nUpgrade: h2c\r\n",
            "Connection: x\r\nX: 1\r\n",
            "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
            "Location: http://a/b\r\n",
            "TE: gzip\r\n",
            "Expect: x\r\n",
        ]
        .iter()
        .map(fields),
    );
    cases.push(b"HTTP/1.1 200 \xff\x80\r\n\r\n".to_vec());
    cases.push(fields(b"X: \xff\r\n"));
    cases
}

fn illegal() -> Vec<(HeadError, Vec<u8>)> {
    let lines = [
        (HeadError::StartLine, ""),
        (HeadError::StartLine, "HTTP/1.1"),
        (HeadError::StartLine, "HTTP/1.1 "),
        (HeadError::StartLine, "HTTP/1.1 20"),
        (HeadError::Status, "HTTP/1.1 20  OK"),
        (HeadError::StartLine, "HTTP/1.1 20 OK"),
        (HeadError::StartLine, "HTTP/1.1 2000 OK"),
        (HeadError::StartLine, "HTTP/1.1 200OK"),
        (HeadError::StartLine, "HTTP/1.1 200\tOK"),
        (HeadError::StartLine, "HTTP/1.1\t200 OK"),
        (HeadError::StartLine, "HTTP/1.1  200 OK"),
        (HeadError::StartLine, "HTTP/1.10 200 OK"),
        (HeadError::StartLine, "http/1.1 200 OK"),
        (HeadError::StartLine, " HTTP/1.1 200 OK"),
        (HeadError::StartLine, "ICY 200 OK"),
        (HeadError::StartLine, "GET / HTTP/1.1"),
        (HeadError::StartLine, "HTTP/1.1 200 O\0K"),
        (HeadError::StartLine, "HTTP/1.1 200 O\x01K"),
        (HeadError::StartLine, "HTTP/1.1 200 O\x7fK"),
        (HeadError::Status, "HTTP/1.1 abc OK"),
        (HeadError::Status, "HTTP/1.1 +20 OK"),
        (HeadError::Status, "HTTP/1.1 2 0 OK"),
        (HeadError::Status, "HTTP/1.1 000 OK"),
        (HeadError::Status, "HTTP/1.1 099 OK"),
        (HeadError::Version, "HTTP/2.0 200 OK"),
        (HeadError::Version, "HTTP/0.9 200 OK"),
        (HeadError::BareCarriageReturn, "HTTP/1.1 200 O\rK"),
        (HeadError::BareLineFeed, "HTTP/1.1 200 O\nK"),
    ];
    let parts: [(HeadError, &[u8]); 22] = [
        (HeadError::BareLineFeed, b"X: 1\nContent-Length: 5\r\n"),
        (HeadError::BareCarriageReturn, b"X: 1\rContent-Length: 5\r\n"),
        (HeadError::BareCarriageReturn, b"X: 1\r\r\n"),
        (HeadError::FoldedField, b"X: 1\r\n 2\r\n"),
        (HeadError::FoldedField, b"Transfer-Encoding:\r\n\tchunked\r\n"),
        (HeadError::FieldName, b"Content-Length : 5\r\n"),
        (HeadError::FieldName, b"X\r\n"),
        (HeadError::FieldName, b": 1\r\n"),
        (HeadError::FieldName, b"X\xff: 1\r\n"),
        (HeadError::FieldValue, b"X: \0\r\n"),
        (HeadError::FieldValue, b"X: \x08\r\n"),
        (HeadError::ConnectionOption, b"Connection: content-length\r\n"),
        (HeadError::ContentLength, b"Content-Length: +5\r\n"),
        (HeadError::ContentLength, b"Content-Length:\r\n"),
        (HeadError::ContentLength, b"Content-Length: 5, 5\r\n"),
        (HeadError::ContentLength, b"Content-Length: 99999999999999999999\r\n"),
        (
            HeadError::SeveralContentLengths,
            b"Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
        (
            HeadError::BothLengths,
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            HeadError::BothLengths,
            b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ),
        (HeadError::TransferEncoding, b"Transfer-Encoding: gzip, chunked\r\n"),
        (HeadError::TransferEncoding, b"Transfer-Encoding: identity\r\n"),
        (
            HeadError::TransferEncoding,
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
    ];
    let mut cases: Vec<_> = lines.iter().map(|(error, text)| (*error, line(text))).collect();
    cases.extend(parts.map(|(error, part)| (error, fields(part))));
    cases.push((
        HeadError::TransferEncoding,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    ));
    cases
}

#[test]
fn legal_responses_are_read() {
    let cases = legal();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for bytes in cases {
        if let Err(error) = response(&bytes, &mut Vec::new(), RequestKind::Other) {
            panic!("{error}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn illegal_responses_are_refused_for_what_is_wrong_with_them() {
    let cases = illegal();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for (error, bytes) in cases {
        for kind in [RequestKind::Head, RequestKind::Connect, RequestKind::Other] {
            match response(&bytes, &mut Vec::new(), kind) {
                Ok(_) => panic!("read, not refused as {error}: {}", bytes.escape_ascii()),
                Err(found) => assert_eq!(found, error, "{}", bytes.escape_ascii()),
            }
        }
    }
}

#[test]
fn every_part_of_a_response_is_found_where_it_is() {
    let bytes = b"HTTP/1.0 418 I'm a teapot\r\nServer: x\r\nX:\r\n\r\nbody";
    let mut list = Vec::new();
    let head = response(bytes, &mut list, RequestKind::Other).unwrap();
    assert_eq!(head.bytes(), &bytes[..bytes.len() - 4]);
    assert_eq!(head.version(), Version::Http10);
    assert_eq!(head.status(), 418);
    assert_eq!(head.reason(), b"I'm a teapot");
    let expected: [(&[u8], &[u8]); 2] = [(b"Server", b"x"), (b"X", b"")];
    assert_eq!(head.fields().collect::<Vec<_>>(), expected);
}

#[test]
fn a_missing_reason_is_an_empty_one() {
    for text in ["HTTP/1.1 200", "HTTP/1.1 200 "] {
        let mut list = Vec::new();
        let bytes = line(text);
        assert_eq!(response(&bytes, &mut list, RequestKind::Other).unwrap().reason(), b"");
    }
}

#[test]
fn only_switching_protocols_is_the_last_of_the_1xx_responses() {
    for (status, interim) in [
        (100, true),
        (101, false),
        (102, true),
        (103, true),
        (199, true),
        (200, false),
    ] {
        let bytes = format!("HTTP/1.1 {status} x\r\n\r\n").into_bytes();
        let mut list = Vec::new();
        let head = response(&bytes, &mut list, RequestKind::Other).unwrap();
        assert_eq!(head.is_interim(), interim, "{status}");
    }
}

#[test]
fn a_response_says_whether_its_connection_can_be_used_again() {
    let cases = [
        ("1.1", "Content-Length: 0\r\n", true),
        ("1.1", "Transfer-Encoding: chunked\r\n", true),
        ("1.1", "", false),
        ("1.1", "Connection: close\r\nContent-Length: 0\r\n", false),
        ("1.0", "Content-Length: 0\r\n", false),
        ("1.0", "Content-Length: 0\r\nConnection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\n", false),
    ];
    for (version, fields, persistent) in cases {
        let bytes = format!("HTTP/{version} 200 OK\r\n{fields}\r\n").into_bytes();
        let mut list = Vec::new();
        let head = response(&bytes, &mut list, RequestKind::Other).unwrap();
        assert_eq!(head.persistent(), persistent, "{version} {fields}");
    }
}
