//! Malformed request heads.

use crate::harness::{Case, case};

/// A request line in place of a good one.
fn line(name: &str, line: impl AsRef<[u8]>, status: u16) -> Case {
    case(name, [line.as_ref(), b"\r\nHost: a\r\n\r\n"].concat(), status)
}

/// Fields beside a good host.
fn fields(name: &str, fields: impl AsRef<[u8]>, status: u16) -> Case {
    let head = [b"POST / HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n"].concat();
    case(
        name,
        [head.as_slice(), b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
        status,
    )
}

fn hosts(name: &str, fields: &str) -> Case {
    case(name, format!("GET / HTTP/1.1\r\n{fields}\r\n"), 400)
}

pub(crate) fn cases() -> Vec<Case> {
    [
        start_lines(),
        targets(),
        line_ends(),
        names_and_values(),
        the_host(),
        lengths(),
        codings(),
        limits(),
    ]
    .concat()
}

fn start_lines() -> Vec<Case> {
    vec![
        line("two spaces before the target", "GET  / HTTP/1.1", 400),
        line("two spaces before the version", "GET /  HTTP/1.1", 400),
        line("a space behind the version", "GET / HTTP/1.1 ", 400),
        line("a tab before the target", "GET\t/ HTTP/1.1", 400),
        line("a tab before the version", "GET /\tHTTP/1.1", 400),
        line("a space before the method", " GET / HTTP/1.1", 400),
        line("no method", "/ HTTP/1.1", 400),
        line("a method with a colon", "GE:T / HTTP/1.1", 400),
        line("a method with a zero byte", "GE\0T / HTTP/1.1", 400),
        line("a method that is not ASCII", "GÉT / HTTP/1.1", 400),
        line("a method in brackets", "(GET) / HTTP/1.1", 400),
        line("no version", "GET /", 400),
        line("an empty version", "GET / ", 400),
        line("a version in lower case", "GET / http/1.1", 400),
        line("a version of two digits", "GET / HTTP/1.10", 400),
        line("a version of no digits", "GET / HTTP/x.y", 400),
        line("a version with a comma", "GET / HTTP/1,1", 400),
        line("a version without a dot", "GET / HTTP/11", 400),
        line("a version with a zero before", "GET / HTTP/01.1", 400),
        line("HTTP/2.0", "GET / HTTP/2.0", 505),
        line("HTTP/0.9, spelt out", "GET / HTTP/0.9", 505),
        line("HTTP/3.0", "GET / HTTP/3.0", 505),
        line("another protocol", "GET / RTSP/1.0", 400),
        line(
            "an empty line in place of a request, twice, and nothing else",
            "\r\n\r\n\0",
            400,
        ),
        case("HTTP/0.9", "GET /\r\n\r\n", 400),
        case("TLS", b"\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03\n\r\n\r\n", 400),
        case("only bytes", b"\0\x01\x02\x03\xff\xfe\n\r\n\r\n", 400),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        line("an empty target", "GET  HTTP/1.1", 400),
        line("a target with a space", "GET /a b HTTP/1.1", 400),
        line("a target with a version and a space", "GET / HTTP/1.1 HTTP/1.1", 400),
        line("a target with a zero byte", "GET /a\0b HTTP/1.1", 400),
        line("a target with a control byte", "GET /a\x01b HTTP/1.1", 400),
        line("a target with a delete byte", "GET /a\x7fb HTTP/1.1", 400),
        line("a target without a slash", "GET a HTTP/1.1", 400),
        line("a target that is only a query", "GET ?a HTTP/1.1", 400),
        line("the whole server, asked by GET", "GET * HTTP/1.1", 400),
        line("an absolute target without a host", "GET http:///a HTTP/1.1", 400),
        line("an absolute target without a scheme", "GET ://a/b HTTP/1.1", 400),
        line("an absolute target with a bad host", "GET http://a<b/c HTTP/1.1", 400),
        // The host is not what it seems (RFC 9110 §4.2.4).
        line(
            "an absolute target with a password",
            "GET http://user:secret@a/b HTTP/1.1",
            400,
        ),
        line("CONNECT to a path", "CONNECT /a HTTP/1.1", 400),
        line("CONNECT to a URL", "CONNECT http://a/ HTTP/1.1", 400),
        case(
            "CONNECT with a body",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\n\r\nbody",
            400,
        ),
        case(
            "CONNECT with chunks",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ]
}

fn line_ends() -> Vec<Case> {
    vec![
        case("line feeds only", "GET / HTTP/1.1\nHost: a\n\n", 400),
        case(
            "a line feed behind the request line",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            400,
        ),
        case(
            "a line feed behind a field",
            "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
            400,
        ),
        case(
            "a line feed at the end of the head",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            400,
        ),
        case(
            "a line feed before the end of the head",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            400,
        ),
        case(
            "a line feed before the request",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        case(
            "carriage returns only",
            "GET / HTTP/1.1\rHost: a\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        case(
            "a carriage return in the request line",
            "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        case("two carriage returns", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
        case(
            "two carriage returns behind a field",
            "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            400,
        ),
        case(
            "two carriage returns at the end",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
            400,
        ),
        fields(
            "a carriage return in a value",
            "X: 1\rTransfer-Encoding: chunked\r\n",
            400,
        ),
        fields("a carriage return in a name", "X\rY: 1\r\n", 400),
        fields(
            "a carriage return before a name",
            "\rTransfer-Encoding: chunked\r\n",
            400,
        ),
        fields(
            "a line feed and a carriage return",
            "X: 1\n\rTransfer-Encoding: chunked\r\n",
            400,
        ),
        fields("a folded field", "X: 1\r\n 2\r\n", 400),
        fields("a field folded by a tab", "X: 1\r\n\t2\r\n", 400),
        fields("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", 400),
        fields("a folded length", "Content-Length: 1\r\n 0\r\n", 400),
        fields("a fold of nothing", "X: 1\r\n \r\n", 400),
        case(
            "a first field that begins with a space",
            "GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
            400,
        ),
    ]
}

fn names_and_values() -> Vec<Case> {
    vec![
        fields("a space before the colon", "X : 1\r\n", 400),
        fields("a tab before the colon", "X\t: 1\r\n", 400),
        fields(
            "a coding with a space before the colon",
            "Transfer-Encoding : chunked\r\n",
            400,
        ),
        fields("a length with a space before the colon", "Content-Length : 5\r\n", 400),
        fields("a field without a colon", "X\r\n", 400),
        fields("an empty name", ": 1\r\n", 400),
        fields("a name with a space", "Content Length: 5\r\n", 400),
        fields("a name with a zero byte", b"Transfer-Encoding\0: chunked\r\n", 400),
        fields("a name with a control byte", b"\x0bTransfer-Encoding: chunked\r\n", 400),
        fields("a name that is not ASCII", b"X\xc3\xa9: 1\r\n", 400),
        fields("a name in brackets", "(X): 1\r\n", 400),
        fields("a name in quotes", "\"X\": 1\r\n", 400),
        fields("a name with a slash", "X/Y: 1\r\n", 400),
        fields("a value with a zero byte", b"X: a\0b\r\n", 400),
        fields("a value with a control byte", b"X: a\x01b\r\n", 400),
        fields("a value with a delete byte", b"X: a\x7fb\r\n", 400),
        fields("a value with an escape", b"X: \x1b[2J\r\n", 400),
        fields(
            "a connection that names the length",
            "Connection: Content-Length\r\nContent-Length: 5\r\n",
            400,
        ),
        fields(
            "a connection that names the coding",
            "Connection: close, transfer-encoding\r\n",
            400,
        ),
        fields("a connection that names the host", "Connection: Host\r\n", 400),
    ]
}

fn the_host() -> Vec<Case> {
    vec![
        hosts("no host", ""),
        hosts("two hosts", "Host: a\r\nHost: b\r\n"),
        hosts("the same host twice", "Host: a\r\nhost: a\r\n"),
        hosts("a host with a space", "Host: a b\r\n"),
        hosts("a host with a slash", "Host: a/b\r\n"),
        hosts("a host with a password", "Host: user@a\r\n"),
        hosts("a list of hosts", "Host: a, b\r\n"),
        hosts("a host with a comma", "Host: a,b\r\n"),
        hosts("a host in brackets", "Host: <a>\r\n"),
        hosts("a host with a zero byte", "Host: a\0b\r\n"),
        hosts("a host that is not ASCII", "Host: é\r\n"),
        case(
            "two hosts in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let length = |name: &str, value: &str| fields(name, format!("Content-Length: {value}\r\n"), 400);
    vec![
        length("a length with a sign", "+5"),
        length("a negative length", "-5"),
        length("a negative length of nothing", "-0"),
        length("a length in hexadecimal", "0x5"),
        length("a length of hexadecimal digits", "5a"),
        length("a length with a space", "5 5"),
        length("a length with an underscore", "1_0"),
        length("a length with a fraction", "5.0"),
        length("a length with an exponent", "5e0"),
        length("a length in quotes", "\"5\""),
        length("an empty length", ""),
        length("a length of a word", "five"),
        length("a length and a comma", "5,"),
        length("a list of one length twice", "5, 5"),
        length("a list of lengths", "5, 6"),
        length("a length with a semicolon", "5;5"),
        length("a length past 64 bits", "18446744073709551616"),
        length("a length of 30 digits", "000000000099999999999999999999"),
        length("a length with a vertical tab", "\x0b5"),
        fields("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        fields(
            "the same length twice",
            "Content-Length: 5\r\nX: 1\r\ncontent-length: 5\r\n",
            400,
        ),
        fields(
            "a length and a coding",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        fields(
            "a coding and a length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            400,
        ),
        fields(
            "a length of nothing and a coding",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        case(
            "two lengths of GET",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
            400,
        ),
        case(
            "a length and a coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ]
}

fn codings() -> Vec<Case> {
    let coding = |name: &str, value: &str| fields(name, format!("Transfer-Encoding: {value}\r\n"), 501);
    vec![
        coding("gzip", "gzip"),
        coding("gzip and chunks", "gzip, chunked"),
        coding("chunks and gzip", "chunked, gzip"),
        coding("chunks of chunks", "chunked, chunked"),
        coding("identity", "identity"),
        coding("chunks and identity", "chunked, identity"),
        coding("a coding and a comma", "chunked,"),
        coding("a comma and a coding", ",chunked"),
        coding("a coding in quotes", "\"chunked\""),
        coding("a coding with a parameter", "chunked;q=1"),
        coding("nearly a coding", "xchunked"),
        coding("half a coding", "chunk"),
        coding("no coding", ""),
        coding("a coding twice without a comma", "chunked chunked"),
        coding("a coding in brackets", "[chunked]"),
        fields(
            "two codings",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            501,
        ),
        fields(
            "two codings, one of them none",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            501,
        ),
        fields(
            "two codings, the other none",
            "Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n",
            501,
        ),
        fields(
            "a coding behind a vertical tab",
            "Transfer-Encoding: \x0bchunked\r\n",
            400,
        ),
        fields("a coding behind a zero byte", "Transfer-Encoding: \0chunked\r\n", 400),
        case(
            "chunks in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            501,
        ),
        fields(
            "a length and no coding",
            "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
            501,
        ),
    ]
}

fn limits() -> Vec<Case> {
    let numbered: String = (0..600).map(|i| format!("X-{i}: 1\r\n")).collect();
    vec![
        line(
            "a request line of 70 KiB",
            format!("GET /{} HTTP/1.1", "t".repeat(70 * 1024)),
            414,
        ),
        line(
            "a method of 70 KiB",
            format!("{} / HTTP/1.1", "M".repeat(70 * 1024)),
            414,
        ),
        case("a request line without end", "G".repeat(80 * 1024), 414),
        fields("600 fields", numbered, 431),
        fields("a field of 300 KiB", format!("X: {}\r\n", "v".repeat(300 * 1024)), 431),
        fields("a name of 300 KiB", format!("{}: v\r\n", "n".repeat(300 * 1024)), 431),
        case(
            "a head without end",
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}",
                format!("X: {}\r\n", "v".repeat(1000)).repeat(400)
            ),
            431,
        ),
    ]
}
