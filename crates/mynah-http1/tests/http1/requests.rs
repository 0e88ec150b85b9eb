//! Which request heads are read, and which are refused.

use mynah_http1::{HeadError, Version};

use crate::read::request;

/// A request line with a host behind it.
fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

/// A request with these fields beside its host.
fn fields(fields: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n"].concat()
}

fn host(value: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n").into_bytes()
}

fn legal() -> Vec<Vec<u8>> {
    let mut cases: Vec<Vec<u8>> = [
        "GET / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "POST /form?x=1 HTTP/1.1",
        "DELETE /a/b/c HTTP/1.1",
        "PROPFIND /dav HTTP/1.1",
        "get /lower HTTP/1.1",
        "M-SEARCH /upnp HTTP/1.1",
        "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "OPTIONS /a HTTP/1.1",
        "OPTIONS http://a HTTP/1.1",
        "CONNECT a:443 HTTP/1.1",
        "CONNECT [::1]:443 HTTP/1.1",
        "CONNECT 127.0.0.1:1 HTTP/1.1",
        "connect /not-the-method HTTP/1.1",
        "GET http://a/b?c HTTP/1.1",
        "GET http://a HTTP/1.1",
        "GET http://a?q HTTP/1.1",
        "GET http://a:8080/ HTTP/1.1",
        "GET https://[2001:db8::1]:8443/ HTTP/1.1",
        "GET HTTP://A/ HTTP/1.1",
        "GET coap+tcp://a/ HTTP/1.1",
        "GET //a//b HTTP/1.1",
        "GET /.. HTTP/1.1",
        "GET /%2e%2e/%00%zz% HTTP/1.1",
        "GET /?a=b&c[]=d|e\"<>\\^`{} HTTP/1.1",
        "GET /é/ü?ß HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a;b=c,d:e@f HTTP/1.1",
        "GET /http://b/c HTTP/1.1",
    ]
    .iter()
    .map(|text| line(text))
    .collect();
    cases.extend(
        [
            "",
            "a",
            "a:80",
            "a:",
            "A.Example.COM.",
            "a_b-c.d~e",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "[fe80::1%25eth0]",
            "[v1.a:b]",
            "xn--bcher-kva.example",
            "b%C3%BCcher.example",
        ]
        .iter()
        .map(|value| host(value)),
    );
    cases.extend(
        [
            "",
            "X:\r\n",
            "X: \t \r\n",
            "X:1\r\n",
            "X: \t 1 \t \r\n",
            "X: a\tb\r\n",
            "!#$%&'*+-.^_`|~09azAZ: tchars\r\n",
            "X: 1\r\nx: 2\r\nX: 3\r\n",
            "Content-Length: 0\r\n",
            "Content-Length: 0005\r\n",
            "cOnTeNt-LeNgTh:\t5 \r\n",
            "Content-Length: 9223372036854775807\r\n",
            "Transfer-Encoding: chunked\r\n",
            "TRANSFER-ENCODING: CHUNKED\t\r\n",
            "Transfer_Encoding: x\r\nContent-Length: 1\r\n",
            "Content_Length: x\r\n",
            "Connection: close\r\n",
            "Connection: ,, close ,\t, x-foo\r\nX-Foo: 1\r\n",
            "Connection:\r\n",
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
            "Connection: te\r\nTE: trailers\r\n",
            "Connection: \"\"\r\n",
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            "Expect: something-else\r\n",
            "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
            "Cookie: a=b; c=d\r\nCookie: e=f\r\n",
            "Proxy-Connection: keep-alive\r\n",
        ]
        .iter()
        .map(fields),
    );
    cases.push(fields(b"X: \x80\xff caf\xe9 \xc3\xa9\r\n"));
    cases.push(fields(format!("{}: {}\r\n", "n".repeat(60_000), "v".repeat(120_000))));
    cases.push(b"GET / HTTP/1.0\r\n\r\n".to_vec());
    cases.push(b"GET / HTTP/1.0\r\nHost:\r\n\r\n".to_vec());
    cases.push(b"POST / HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n".to_vec());
    cases.push(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n".to_vec());
    cases.push(b"GET /\xff\x80 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec());
    // What follows a head does not matter to it.
    cases.push(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\n\r\0garbage".to_vec());
    cases
}

fn illegal() -> Vec<(HeadError, Vec<u8>)> {
    [
        illegal_start_lines(),
        illegal_line_ends(),
        illegal_fields(),
        illegal_hosts(),
        illegal_framing(),
    ]
    .concat()
}

fn illegal_start_lines() -> Vec<(HeadError, Vec<u8>)> {
    let lines = [
        (HeadError::StartLine, "GET"),
        (HeadError::StartLine, "GET /"),
        (HeadError::StartLine, "GET / "),
        (HeadError::StartLine, "GET / HTTP/1.1 "),
        (HeadError::StartLine, "GET /  HTTP/1.1"),
        (HeadError::StartLine, "GET /a b HTTP/1.1"),
        (HeadError::StartLine, "GET / HTTP/1.1 HTTP/1.1"),
        (HeadError::StartLine, "GET / http/1.1"),
        (HeadError::StartLine, "GET / HTTP/1.10"),
        (HeadError::StartLine, "GET / HTTP/01.1"),
        (HeadError::StartLine, "GET / HTTP/1,1"),
        (HeadError::StartLine, "GET / HTTP/1"),
        (HeadError::StartLine, "GET / HTTP/x.y"),
        (HeadError::StartLine, "GET / RTSP/1.0"),
        (HeadError::StartLine, "GET\t/\tHTTP/1.1"),
        (HeadError::Target, "GET  HTTP/1.1"),
        (HeadError::Target, "GET  / HTTP/1.1"),
        (HeadError::Method, " GET / HTTP/1.1"),
        (HeadError::Method, "GE:T / HTTP/1.1"),
        (HeadError::Method, "(GET) / HTTP/1.1"),
        (HeadError::Method, "GÉT / HTTP/1.1"),
        (HeadError::Method, "GE\0T / HTTP/1.1"),
        (HeadError::Version, "GET / HTTP/2.0"),
        (HeadError::Version, "GET / HTTP/0.9"),
        (HeadError::Version, "GET / HTTP/1.2"),
        (HeadError::Version, "GET / HTTP/9.9"),
        (HeadError::Target, "GET a HTTP/1.1"),
        (HeadError::Target, "GET ?a HTTP/1.1"),
        (HeadError::Target, "GET a:80 HTTP/1.1"),
        (HeadError::Target, "GET * HTTP/1.1"),
        (HeadError::Target, "OPTIONS ** HTTP/1.1"),
        (HeadError::Target, "GET /\0 HTTP/1.1"),
        (HeadError::Target, "GET /\t HTTP/1.1"),
        (HeadError::Target, "GET /\x7f HTTP/1.1"),
        (HeadError::Target, "GET http:///a HTTP/1.1"),
        (HeadError::Target, "GET http:/a HTTP/1.1"),
        (HeadError::Target, "GET http:a://b/ HTTP/1.1"),
        (HeadError::Target, "GET ://a/b HTTP/1.1"),
        (HeadError::Target, "GET 1http://a/b HTTP/1.1"),
        (HeadError::Target, "GET ht_tp://a/b HTTP/1.1"),
        (HeadError::Target, "GET http://user:secret@a/b HTTP/1.1"),
        (HeadError::Target, "GET http://a@b/ HTTP/1.1"),
        (HeadError::Target, "GET http://a<b/c HTTP/1.1"),
        (HeadError::Target, "GET http://a#b HTTP/1.1"),
        (HeadError::Target, "GET http://a\\b/ HTTP/1.1"),
        (HeadError::Target, "GET http://a:b/ HTTP/1.1"),
        (HeadError::Target, "GET http://é/ HTTP/1.1"),
        (HeadError::Target, "CONNECT /a HTTP/1.1"),
        (HeadError::Target, "CONNECT a HTTP/1.1"),
        (HeadError::Target, "CONNECT a: HTTP/1.1"),
        (HeadError::Target, "CONNECT :80 HTTP/1.1"),
        (HeadError::Target, "CONNECT a:80:80 HTTP/1.1"),
        (HeadError::Target, "CONNECT a@b:80 HTTP/1.1"),
        (HeadError::Target, "CONNECT http://a/ HTTP/1.1"),
        (HeadError::Target, "CONNECT * HTTP/1.1"),
    ];
    lines.iter().map(|(error, text)| (*error, line(text))).collect()
}

fn illegal_line_ends() -> Vec<(HeadError, Vec<u8>)> {
    let heads: [(HeadError, &[u8]); 15] = [
        (HeadError::StartLine, b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (HeadError::BareLineFeed, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (HeadError::BareLineFeed, b"GET / HTTP/1.1\nHost: a\n\n"),
        (HeadError::BareLineFeed, b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
        (HeadError::BareLineFeed, b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
        (HeadError::BareLineFeed, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
        (HeadError::BareCarriageReturn, b"GET / HTTP/1.1\rHost: a\r\r"),
        (HeadError::BareCarriageReturn, b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"),
        (HeadError::BareCarriageReturn, b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        (HeadError::BareCarriageReturn, b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        (HeadError::BareCarriageReturn, b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
        (
            HeadError::BareCarriageReturn,
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n",
        ),
        (
            HeadError::BareCarriageReturn,
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX: 1\r\n\r\n",
        ),
        (
            HeadError::BareLineFeed,
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\rY: 2\r\n\r\n",
        ),
        (HeadError::FoldedField, b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n"),
    ];
    heads.map(|(error, bytes)| (error, bytes.to_vec())).to_vec()
}

fn illegal_fields() -> Vec<(HeadError, Vec<u8>)> {
    let lines: [(HeadError, &[u8]); 29] = [
        (HeadError::FoldedField, b"X: 1\r\n 2\r\n"),
        (HeadError::FoldedField, b"X: 1\r\n\t2\r\n"),
        (HeadError::FoldedField, b"X: 1\r\n \r\n"),
        (HeadError::FoldedField, b"Transfer-Encoding:\r\n chunked\r\n"),
        (HeadError::FieldName, b"X : 1\r\n"),
        (HeadError::FieldName, b"X\t: 1\r\n"),
        (HeadError::FieldName, b"Content-Length : 5\r\n"),
        (HeadError::FieldName, b"Transfer-Encoding : chunked\r\n"),
        (HeadError::FieldName, b"X\r\n"),
        (HeadError::FieldName, b": 1\r\n"),
        (HeadError::FieldName, b":\r\n"),
        (HeadError::FieldName, b"Content Length: 5\r\n"),
        (HeadError::FieldName, b"X\0: 1\r\n"),
        (HeadError::FieldName, b"\x0bX: 1\r\n"),
        (HeadError::FieldName, b"X\x7f: 1\r\n"),
        (HeadError::FieldName, b"X\xc3\xa9: 1\r\n"),
        (HeadError::FieldName, b"(X): 1\r\n"),
        (HeadError::FieldName, b"X/Y: 1\r\n"),
        (HeadError::FieldName, b"\"X\": 1\r\n"),
        (HeadError::FieldName, b"X,Y: 1\r\n"),
        (HeadError::FieldValue, b"X: a\0b\r\n"),
        (HeadError::FieldValue, b"X: \x01\r\n"),
        (HeadError::FieldValue, b"X: a\x7fb\r\n"),
        (HeadError::FieldValue, b"X: \x1b[2J\r\n"),
        (HeadError::ConnectionOption, b"Connection: content-length\r\n"),
        (HeadError::ConnectionOption, b"Connection: close, Transfer-Encoding\r\n"),
        (HeadError::ConnectionOption, b"Connection: x\r\nConnection: HOST\r\n"),
        (HeadError::ConnectionOption, b"Connection: connection\r\n"),
        (HeadError::ConnectionOption, b"Connection: expect\r\n"),
    ];
    lines.map(|(error, bytes)| (error, fields(bytes))).to_vec()
}

fn illegal_hosts() -> Vec<(HeadError, Vec<u8>)> {
    let mut cases: Vec<_> = [
        "a b", "a/b", "user@a", "a,b", "a, b", "<a>", "a\\b", "a?b", "a#b", "é", ":80", "a:b", "a:80:80", "a:-1",
        "::1", "[::1", "[]", "[a]b", "[::1]:x", "a[b]", "http://a",
    ]
    .iter()
    .map(|value| (HeadError::InvalidHost, host(value)))
    .collect();
    cases.extend([
        (HeadError::MissingHost, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (HeadError::MissingHost, b"GET http://a/ HTTP/1.1\r\n\r\n".to_vec()),
        (HeadError::MissingHost, b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n".to_vec()),
        (HeadError::SeveralHosts, fields("Host: b\r\n")),
        (HeadError::SeveralHosts, fields("X: 1\r\nhOST: a\r\n")),
        (
            HeadError::SeveralHosts,
            b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".to_vec(),
        ),
    ]);
    cases
}

fn illegal_framing() -> Vec<(HeadError, Vec<u8>)> {
    let lengths = [
        "",
        "+5",
        "-5",
        "-0",
        "0x5",
        "5a",
        "5 5",
        "1_0",
        "5.0",
        "5e0",
        "\"5\"",
        "five",
        "5,",
        "5, 5",
        "5, 6",
        "5;5",
        "\u{665}",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
    ];
    let codings = [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "chunked,",
        ",chunked",
        "\"chunked\"",
        "chunked;q=1",
        "xchunked",
        "chunk",
        "chunked chunked",
        "chun ked",
        "[chunked]",
    ];
    let mut cases: Vec<_> = lengths
        .iter()
        .map(|value| (HeadError::ContentLength, fields(format!("Content-Length: {value}\r\n"))))
        .chain(codings.iter().map(|value| {
            (
                HeadError::TransferEncoding,
                fields(format!("Transfer-Encoding: {value}\r\n")),
            )
        }))
        .collect();
    let others: [(HeadError, &str); 9] = [
        (
            HeadError::SeveralContentLengths,
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
        (
            HeadError::SeveralContentLengths,
            "Content-Length: 0\r\nX: 1\r\ncontent-length: 6\r\n",
        ),
        (
            HeadError::BothLengths,
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            HeadError::BothLengths,
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        ),
        (
            HeadError::TransferEncoding,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            HeadError::TransferEncoding,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        (
            HeadError::TransferEncoding,
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        ),
        (HeadError::FieldValue, "Transfer-Encoding: \x0bchunked\r\n"),
        (HeadError::FieldValue, "Content-Length: \x0c5\r\n"),
    ];
    cases.extend(others.map(|(error, text)| (error, fields(text))));
    cases.extend([
        (
            HeadError::TransferEncoding,
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        ),
        (
            HeadError::ConnectBody,
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 4\r\n\r\n".to_vec(),
        ),
        (
            HeadError::ConnectBody,
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        ),
    ]);
    cases
}

#[test]
fn legal_requests_are_read() {
    let cases = legal();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for bytes in cases {
        if let Err(error) = request(&bytes, &mut Vec::new()) {
            panic!("{error}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn illegal_requests_are_refused_for_what_is_wrong_with_them() {
    let cases = illegal();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for (error, bytes) in cases {
        match request(&bytes, &mut Vec::new()) {
            Ok(_) => panic!("read, not refused as {error}: {}", bytes.escape_ascii()),
            Err(found) => assert_eq!(found, error, "{}", bytes.escape_ascii()),
        }
    }
}

#[test]
fn every_part_of_a_request_is_found_where_it_is() {
    let bytes = b"POST /a/b?c=d HTTP/1.1\r\nHost: h:1\r\nX-Empty:\r\nX-Space: \t a b \t \r\nx-space:c\r\n\r\nbody";
    let mut list = Vec::new();
    let head = request(bytes, &mut list).unwrap();
    assert_eq!(head.bytes(), &bytes[..bytes.len() - 4]);
    assert_eq!(head.method(), b"POST");
    assert_eq!(head.target(), b"/a/b?c=d");
    assert_eq!(head.path_and_query(), Some(&b"/a/b?c=d"[..]));
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.host(), Some(&b"h:1"[..]));
    let fields: Vec<_> = head.fields().collect();
    let expected: [(&[u8], &[u8]); 4] = [
        (b"Host", b"h:1"),
        (b"X-Empty", b""),
        (b"X-Space", b"a b"),
        (b"x-space", b"c"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn the_form_of_a_target_decides_about_host_and_path() {
    let cases: [(&str, &str, Option<&str>); 8] = [
        ("GET /p?q", "a", Some("/p?q")),
        ("GET http://b:1/p?q", "b:1", Some("/p?q")),
        ("GET http://b", "b", Some("")),
        ("GET http://b?q/r", "b", Some("?q/r")),
        ("GET http://[::1]:1/", "[::1]:1", Some("/")),
        ("OPTIONS *", "a", None),
        ("CONNECT b:443", "b:443", None),
        ("connect /b", "a", Some("/b")),
    ];
    for (start, host, path) in cases {
        let bytes = line(&format!("{start} HTTP/1.1"));
        let mut list = Vec::new();
        let head = request(&bytes, &mut list).unwrap();
        assert_eq!(head.host(), Some(host.as_bytes()), "{start}");
        assert_eq!(head.path_and_query(), path.map(str::as_bytes), "{start}");
    }
}

#[test]
fn a_request_says_whether_its_connection_goes_on() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, fields, persistent) in cases {
        let bytes = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").into_bytes();
        let mut list = Vec::new();
        assert_eq!(request(&bytes, &mut list).unwrap().persistent(), persistent, "{fields}");
    }
}

#[test]
fn upgrades_and_expectations_need_http_1_1_and_all_their_fields() {
    let cases = [
        ("1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", true, false),
        ("1.1", "Upgrade: x\r\nConnection: keep-alive, Upgrade\r\n", true, false),
        ("1.1", "Upgrade: x\r\n", false, false),
        ("1.1", "Connection: upgrade\r\n", false, false),
        ("1.0", "Connection: upgrade\r\nUpgrade: x\r\n", false, false),
        ("1.1", "Expect: 100-Continue\r\n", false, true),
        ("1.1", "Expect: 100\r\n", false, false),
        ("1.0", "Expect: 100-continue\r\n", false, false),
    ];
    for (version, fields, upgrade, expects) in cases {
        let bytes = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").into_bytes();
        let mut list = Vec::new();
        let head = request(&bytes, &mut list).unwrap();
        assert_eq!(head.upgrade(), upgrade, "{fields}");
        assert_eq!(head.expects_continue(), expects, "{fields}");
    }
}
