//! Malformed response heads.

use crate::harness::{Case, case};

fn line(name: &str, line: impl AsRef<[u8]>) -> Case {
    case(name, [line.as_ref(), b"\r\nContent-Length: 2\r\n\r\nok"].concat(), 502)
}

fn fields(name: &str, fields: impl AsRef<[u8]>) -> Case {
    case(
        name,
        [b"HTTP/1.1 200 OK\r\n", fields.as_ref(), b"\r\n0\r\n\r\n"].concat(),
        502,
    )
}

pub(crate) fn cases() -> Vec<Case> {
    [status_lines(), lines(), framing(), limits()].concat()
}

fn status_lines() -> Vec<Case> {
    vec![
        line("a status of two digits", "HTTP/1.1 20 OK"),
        line("a status of four digits", "HTTP/1.1 2000 OK"),
        line("a status of letters", "HTTP/1.1 abc OK"),
        line("a status with a sign", "HTTP/1.1 +20 OK"),
        line("status 099", "HTTP/1.1 099 Low"),
        line("status 000", "HTTP/1.1 000 None"),
        line("no status", "HTTP/1.1"),
        line("no status but a space", "HTTP/1.1 "),
        line("two spaces before the status", "HTTP/1.1  200 OK"),
        line("a tab before the status", "HTTP/1.1\t200 OK"),
        line("a tab behind the status", "HTTP/1.1 200\tOK"),
        line("a status and a reason without a space", "HTTP/1.1 200OK"),
        line("a reason with a zero byte", "HTTP/1.1 200 O\0K"),
        line("a reason with a control byte", "HTTP/1.1 200 O\x01K"),
        line("a reason with a carriage return", "HTTP/1.1 200 O\rK"),
        line("an answer in HTTP/2.0", "HTTP/2.0 200 OK"),
        line("an answer in HTTP/0.9", "HTTP/0.9 200 OK"),
        line("an answer in lower case", "http/1.1 200 OK"),
        line("an answer of two digits", "HTTP/1.10 200 OK"),
        line("an answer of a radio station", "ICY 200 OK"),
        line("an answer behind a space", " HTTP/1.1 200 OK"),
        line("an answer behind an empty line", "\r\nHTTP/1.1 200 OK"),
        line("an answer behind a line feed", "\nHTTP/1.1 200 OK"),
        line("a request for an answer", "GET / HTTP/1.1"),
        case("text in place of an answer", "hello, this is no HTTP\r\n\r\n", 502),
        case("bytes in place of an answer", b"\0\x01\x02\xff\n\r\n", 502),
        case("TLS in place of an answer", b"\x15\x03\x01\x00\x02\x02\x46\n", 502),
        case(
            "HTTP/2 in place of an answer",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\n\r\n",
            502,
        ),
        case(
            "a switch that nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes",
            502,
        ),
        case(
            "a malformed interim response",
            "HTTP/1.1 100 Continue\nX: 1\r\n\r\n",
            502,
        ),
    ]
}

fn lines() -> Vec<Case> {
    vec![
        case(
            "an answer with line feeds only",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            502,
        ),
        fields(
            "an answer with a line feed behind a field",
            "X: 1\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a carriage return in a value",
            "X: 1\rContent-Length: 5\r\n",
        ),
        fields("an answer with two carriage returns", "X: 1\r\r\nContent-Length: 5\r\n"),
        fields("an answer with a folded field", "X: 1\r\n 2\r\nContent-Length: 5\r\n"),
        fields("an answer with a folded coding", "Transfer-Encoding:\r\n chunked\r\n"),
        fields("an answer with a space before the colon", "Content-Length : 5\r\n"),
        fields("an answer with a field without a colon", "X\r\nContent-Length: 5\r\n"),
        fields("an answer with an empty name", ": 1\r\nContent-Length: 5\r\n"),
        fields(
            "an answer with a name with a space",
            "Content Length: 5\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a name that is not ASCII",
            b"X\xff: 1\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a zero byte in a name",
            "X\0: 1\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a zero byte in a value",
            "X: \0\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a control byte in a value",
            "X: \x08\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer whose connection names the length",
            "Connection: content-length\r\nContent-Length: 5\r\n",
        ),
    ]
}

fn framing() -> Vec<Case> {
    let length = |name: &str, value: &str| fields(name, format!("Content-Length: {value}\r\n"));
    let coding = |name: &str, value: &str| fields(name, format!("Transfer-Encoding: {value}\r\n"));
    vec![
        length("an answer with a signed length", "+5"),
        length("an answer with a negative length", "-5"),
        length("an answer with a hexadecimal length", "0x5"),
        length("an answer with an empty length", ""),
        length("an answer with a list of lengths", "5, 5"),
        length("an answer with a length past 64 bits", "99999999999999999999"),
        length("an answer with a length with a space", "5 5"),
        fields(
            "an answer with two lengths",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
        ),
        fields(
            "an answer with the same length twice",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
        fields(
            "an answer with a length and a coding",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ),
        fields(
            "an answer with a coding and a length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ),
        coding("an answer in gzip", "gzip"),
        coding("an answer in gzip and chunks", "gzip, chunked"),
        coding("an answer in chunks and gzip", "chunked, gzip"),
        coding("an answer in chunks twice", "chunked, chunked"),
        coding("an answer in identity", "identity"),
        coding("an answer in chunks and a comma", "chunked,"),
        coding("an answer in nearly chunks", "xchunked"),
        fields(
            "an answer with two codings",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        case(
            "an answer in chunks in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            502,
        ),
    ]
}

fn limits() -> Vec<Case> {
    let numbered: String = (0..600).map(|i| format!("X-{i}: 1\r\n")).collect();
    vec![
        fields("an answer of 600 fields", numbered),
        fields(
            "an answer with a field of 300 KiB",
            format!("X: {}\r\n", "v".repeat(300 * 1024)),
        ),
        line(
            "an answer with a reason of 300 KiB",
            format!("HTTP/1.1 200 {}", "r".repeat(300 * 1024)),
        ),
    ]
}
