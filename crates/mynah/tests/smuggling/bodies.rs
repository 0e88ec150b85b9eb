//! Malformed bodies, of requests and responses alike.

use crate::harness::Case;

/// Chunks: what is well-formed, and what follows.
fn chunks() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let bad = |name: &'static str, valid: &str, rest: &str| (name, valid.as_bytes().to_vec(), rest.as_bytes().to_vec());
    let long = |n: usize| "x".repeat(n);
    vec![
        bad("a chunk size with a prefix", "0", "x3\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size with a space before", "", " 3\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size with a space behind", "3", " \r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size with a tab behind", "3", "\t;a\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size with a sign", "", "+3\r\nabc\r\n0\r\n\r\n"),
        bad("a negative chunk size", "", "-3\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size of other letters", "", "g\r\nabc\r\n0\r\n\r\n"),
        bad(
            "a chunk size with an underscore",
            "1",
            "_0\r\n0123456789abcdef\r\n0\r\n\r\n",
        ),
        bad("a chunk size with a comma", "3", ",0\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size with a zero byte", "3", "\0\r\nabc\r\n0\r\n\r\n"),
        bad("no chunk size", "", "\r\nabc\r\n0\r\n\r\n"),
        bad("only an extension", "", ";a=b\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size of 17 digits", "0000000000000000", "3\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size past 63 bits", "800000000000000", "0\r\nabc\r\n0\r\n\r\n"),
        bad("a chunk size past 64 bits", "FFFFFFFFFFFFFFF", "FF\r\nabc\r\n0\r\n\r\n"),
        bad("a line feed behind a chunk size", "3", "\nabc\r\n0\r\n\r\n"),
        bad("a carriage return behind a chunk size", "3\r", "abc\r\n0\r\n\r\n"),
        bad(
            "two carriage returns behind a chunk size",
            "3\r",
            "\r\nabc\r\n0\r\n\r\n",
        ),
        bad("a line feed in an extension", "3;a=b", "\nabc\r\n0\r\n\r\n"),
        bad("a carriage return in an extension", "3;a\r", "b\r\nabc\r\n0\r\n\r\n"),
        bad("a zero byte in an extension", "3;a", "\0\r\nabc\r\n0\r\n\r\n"),
        bad(
            "a line end in a quoted extension",
            "3;a=\"",
            "\r\n\"\r\nabc\r\n0\r\n\r\n",
        ),
        bad("a chunk that is too long", "3\r\nabc", "d\r\n0\r\n\r\n"),
        bad("a chunk that is too short", "5\r\nabc\r\n", "0\r\n\r\n"),
        bad("a chunk without an end", "3\r\nabc", "0\r\n\r\n"),
        bad("a line feed behind a chunk", "3\r\nabc", "\n0\r\n\r\n"),
        bad("a carriage return behind a chunk", "3\r\nabc\r", "0\r\n\r\n"),
        bad("a line feed behind the last size", "0", "\n\r\n"),
        bad("a line feed at the end", "0\r\n", "\n"),
        bad("a carriage return at the end", "0\r\n\r", "\r\n"),
        bad("a trailer with a space before the colon", "0\r\nX", " : 1\r\n\r\n"),
        bad("a trailer that begins with a space", "0\r\n", " X: 1\r\n\r\n"),
        bad("a folded trailer", "0\r\nX: 1\r\n", " 2\r\n\r\n"),
        bad("a trailer without a colon", "0\r\nX", "\r\n\r\n"),
        bad("an empty trailer name", "0\r\n", ": 1\r\n\r\n"),
        bad("a trailer with a zero byte", "0\r\nX: ", "\0\r\n\r\n"),
        bad("a trailer that ends by a line feed", "0\r\nX: 1", "\n\r\n"),
        bad("a trailer with a carriage return", "0\r\nX: 1\r", "2\r\n\r\n"),
        bad("a length as a trailer", "0\r\nContent-Length", ": 5\r\n\r\n"),
        bad("a coding as a trailer", "0\r\ntransfer-encoding", ": chunked\r\n\r\n"),
        bad("a host as a trailer", "0\r\nHost", ": b\r\n\r\n"),
        (
            "trailers of 100 KiB",
            format!("0\r\nX: {}", long(100 * 1024)).into_bytes(),
            b"\r\n\r\n".to_vec(),
        ),
        (
            "extensions of 100 KiB",
            format!("1;{}", long(100 * 1024)).into_bytes(),
            b"\r\nx\r\n0\r\n\r\n".to_vec(),
        ),
        (
            "chunks that are mostly extensions",
            format!("1;{}\r\nx\r\n", long(64)).repeat(1000).into_bytes(),
            b"0\r\n\r\n".to_vec(),
        ),
    ]
}

fn behind(head: &str) -> Vec<Case> {
    let cases = chunks().into_iter().map(|(name, valid, rest)| Case {
        name: name.to_owned(),
        valid: [head.as_bytes(), &valid].concat(),
        rest,
        status: 400,
    });
    cases.collect()
}

pub(crate) fn request_cases() -> Vec<Case> {
    behind("POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
}

pub(crate) fn response_cases() -> Vec<Case> {
    let mut cases = behind("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let behind = |name: &str, valid: &str, rest: &str| Case {
        name: name.to_owned(),
        valid: valid.into(),
        rest: rest.into(),
        status: 502,
    };
    cases.extend([
        behind("bytes behind a response", answer, "more"),
        behind("a response that nobody asked for", answer, answer),
        behind(
            "bytes behind the last chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "more",
        ),
        behind("a body behind 204", "HTTP/1.1 204 No Content\r\n\r\n", "body"),
        behind(
            "a body behind 304",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
            "body",
        ),
        behind(
            "an interim response behind a response",
            answer,
            "HTTP/1.1 100 Continue\r\n\r\n",
        ),
    ]);
    cases
}
