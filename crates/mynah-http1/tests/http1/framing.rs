//! How bodies end (RFC 9112 §6.3).

use mynah_http1::{Framing, RequestKind};

use crate::read::{request, response};

#[test]
fn a_request_without_a_length_has_no_body() {
    let cases = [
        ("GET / HTTP/1.1", "", Framing::None),
        ("POST / HTTP/1.1", "", Framing::None),
        ("POST / HTTP/1.0", "", Framing::None),
        ("POST / HTTP/1.0", "Connection: close\r\n", Framing::None),
        ("POST / HTTP/1.1", "Content-Length: 0\r\n", Framing::Length(0)),
        ("POST / HTTP/1.1", "Content-Length: 00012\r\n", Framing::Length(12)),
        ("POST / HTTP/1.0", "Content-Length: 5\r\n", Framing::Length(5)),
        ("GET / HTTP/1.1", "Content-Length: 5\r\n", Framing::Length(5)),
        ("HEAD / HTTP/1.1", "Content-Length: 5\r\n", Framing::Length(5)),
        ("TRACE / HTTP/1.1", "Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("PUT / HTTP/1.1", "Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("PUT / HTTP/1.1", "X-Content-Length: 5\r\n", Framing::None),
        (
            "PUT / HTTP/1.1",
            "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n",
            Framing::Length(5),
        ),
        ("CONNECT a:1 HTTP/1.1", "", Framing::None),
        ("CONNECT a:1 HTTP/1.1", "Content-Length: 0\r\n", Framing::Length(0)),
        (
            "POST / HTTP/1.1",
            "Content-Length: 9223372036854775807\r\n",
            Framing::Length(9_223_372_036_854_775_807),
        ),
    ];
    for (line, fields, framing) in cases {
        let bytes = format!("{line}\r\nHost: a\r\n{fields}\r\n").into_bytes();
        let mut list = Vec::new();
        assert_eq!(request(&bytes, &mut list).unwrap().body(), framing, "{line} {fields}");
    }
}

#[test]
fn the_request_and_the_status_decide_before_the_fields_of_a_response() {
    const LENGTH: &str = "Content-Length: 5\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    use RequestKind::{Connect, Head, Other};
    let cases = [
        (Other, "1.1 200", LENGTH, Framing::Length(5)),
        (Other, "1.1 200", "Content-Length: 0\r\n", Framing::Length(0)),
        (Other, "1.1 200", CHUNKED, Framing::Chunked),
        (Other, "1.1 200", "", Framing::UntilClose),
        (Other, "1.0 200", "", Framing::UntilClose),
        (Other, "1.0 200", LENGTH, Framing::Length(5)),
        (Other, "1.0 200", "Connection: keep-alive\r\n", Framing::UntilClose),
        (Other, "1.1 205", CHUNKED, Framing::Chunked),
        (Other, "1.1 302", "", Framing::UntilClose),
        (Other, "1.1 404", CHUNKED, Framing::Chunked),
        (Other, "1.1 500", LENGTH, Framing::Length(5)),
        (Other, "1.1 999", LENGTH, Framing::Length(5)),
        (Other, "1.1 100", "", Framing::None),
        (Other, "1.1 100", LENGTH, Framing::None),
        (Other, "1.1 101", "", Framing::None),
        (Other, "1.1 103", CHUNKED, Framing::None),
        (Other, "1.1 204", "", Framing::None),
        (Other, "1.1 204", LENGTH, Framing::None),
        (Other, "1.1 204", CHUNKED, Framing::None),
        (Other, "1.0 204", "", Framing::None),
        (Other, "1.1 304", "", Framing::None),
        (Other, "1.1 304", LENGTH, Framing::None),
        (Other, "1.1 304", CHUNKED, Framing::None),
        (Head, "1.1 200", "", Framing::None),
        (Head, "1.1 200", LENGTH, Framing::None),
        (Head, "1.1 200", CHUNKED, Framing::None),
        (Head, "1.0 500", "", Framing::None),
        (Connect, "1.1 200", "", Framing::Tunnel),
        (Connect, "1.0 200", LENGTH, Framing::Tunnel),
        (Connect, "1.1 299", CHUNKED, Framing::Tunnel),
        (Connect, "1.1 204", "", Framing::Tunnel),
        (Connect, "1.1 100", "", Framing::None),
        (Connect, "1.1 199", "", Framing::None),
        (Connect, "1.1 304", "", Framing::None),
        (Connect, "1.1 407", LENGTH, Framing::Length(5)),
        (Connect, "1.1 502", CHUNKED, Framing::Chunked),
        (Connect, "1.1 300", "", Framing::UntilClose),
    ];
    for (kind, start, fields, framing) in cases {
        let bytes = format!("HTTP/{start} x\r\n{fields}\r\n").into_bytes();
        let mut list = Vec::new();
        let head = response(&bytes, &mut list, kind).unwrap();
        assert_eq!(head.body(), framing, "{kind:?} {start} {fields}");
    }
}

#[test]
fn a_response_to_head_may_leave_its_connection_open_without_a_length() {
    let mut list = Vec::new();
    let head = response(b"HTTP/1.1 200 OK\r\n\r\n", &mut list, RequestKind::Head).unwrap();
    assert!(head.persistent());
}

#[test]
fn a_tunnel_is_no_connection_for_another_request() {
    let mut list = Vec::new();
    let head = response(b"HTTP/1.1 200 OK\r\n\r\n", &mut list, RequestKind::Connect).unwrap();
    assert!(!head.persistent());
}
