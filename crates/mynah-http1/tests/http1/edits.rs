//! What is changed on the way: the fields of the connection, what is configured, and not one byte else.

use std::borrow::Cow;

use mynah_http1::RequestKind;
use mynah_http1::edit::{Change, forward_request, forward_response, write_copy};

use crate::read::{request, response};

/// A request as the upstream gets it.
fn forward(bytes: &str, path: Option<&str>, extended: Option<(&str, &str)>) -> Option<String> {
    let mut list = Vec::new();
    let head = request(bytes.as_bytes(), &mut list).unwrap();
    forward_request(&head, path.map(str::as_bytes), extended).map(|out| String::from_utf8(out).unwrap())
}

/// A request with these fields, and what becomes of them.
fn forward_fields(fields: &str) -> Option<String> {
    let start = "GET / HTTP/1.1\r\nHost: a\r\n";
    forward(&format!("{start}{fields}\r\n"), None, None).map(|out| {
        let rest = out.strip_prefix(start).unwrap().strip_suffix("\r\n").unwrap();
        rest.to_owned()
    })
}

/// A response as the client gets it.
fn back(bytes: &str, last: bool) -> Option<String> {
    let mut list = Vec::new();
    let head = response(bytes.as_bytes(), &mut list, RequestKind::Other).unwrap();
    forward_response(&head, last).map(|out| String::from_utf8(out).unwrap())
}

/// The copy of a request to which nothing is done by rules.
fn copy(bytes: &str) -> String {
    copy_with(bytes, None, |_, _| Change::Keep, &[])
}

fn copy_with(
    bytes: &str,
    path: Option<&str>,
    mut change: impl FnMut(&[u8], &[u8]) -> Change<'static>,
    appended: &[(&str, &str)],
) -> String {
    let mut list = Vec::new();
    let mut out = b"before".to_vec();
    let head = request(bytes.as_bytes(), &mut list).unwrap();
    let appended = appended.iter().map(|(name, value)| (*name, value.as_bytes()));
    let change = |name, value| change(name, value);
    write_copy(&head, path.map(str::as_bytes), change, appended, &mut out);
    let out = String::from_utf8(out).unwrap();
    out.strip_prefix("before").unwrap().to_owned()
}

#[test]
fn a_request_without_fields_of_the_connection_is_passed_as_it_came() {
    let fields = [
        "",
        "X:1\r\nx:2\r\n",
        "X:\t 1 \t\r\nY:\r\n",
        "Connection: close\r\n",
        "connection:KEEP-ALIVE , close\r\nKeep-Alive: timeout=5\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: , ,\r\nConnection:\r\n",
        "TE: trailers\r\nConnection: TE\r\n",
        "Te: Trailers\r\n",
        "Trailer: X\r\nTransfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\nContent-Length: 1\r\n",
        "Proxy-Authorization: x\r\nProxy-Authenticate: y\r\n",
        "Upgrade: h2c\r\n",
        "Close: 1\r\nX-Connection: X\r\n",
    ];
    for fields in fields {
        assert_eq!(forward_fields(fields), None, "{fields}");
    }
}

#[test]
fn fields_of_the_connection_are_cut_and_the_others_stay_as_they_are() {
    let cases = [
        ("Proxy-Connection: keep-alive\r\n", ""),
        ("A:1\r\nPROXY-CONNECTION:x\r\nB: \t2\t \r\n", "A:1\r\nB: \t2\t \r\n"),
        ("TE: gzip\r\n", ""),
        ("TE: trailers, gzip\r\nA: 1\r\n", "A: 1\r\n"),
        ("TE:\r\n", ""),
        ("TE: trailers\r\nte: deflate\r\n", "TE: trailers\r\n"),
        ("Connection: X\r\nX: 1\r\n", ""),
        ("X: 1\r\nConnection: x\r\nx: 2\r\nY: 3\r\n", "Y: 3\r\n"),
        ("Connection: X\r\n", ""),
        ("Connection: close, X\r\nX: 1\r\n", "Connection: close\r\n"),
        (
            "cOnnection:X,,Keep-Alive ,y\r\nKeep-Alive: 5\r\nY:\r\n",
            "cOnnection: Keep-Alive\r\nKeep-Alive: 5\r\n",
        ),
        (
            "Connection: A\r\nB: 1\r\nConnection: close, B\r\nA: 2\r\nC: 3\r\n",
            "Connection: close\r\nC: 3\r\n",
        ),
        (
            "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
            "Connection: upgrade\r\nUpgrade: h2c\r\n",
        ),
        (
            "Connection: X, te\r\nTE: trailers\r\nX: 1\r\n",
            "Connection: te\r\nTE: trailers\r\n",
        ),
        ("Connection: X\r\nXX: 1\r\nX-X: 2\r\n", "XX: 1\r\nX-X: 2\r\n"),
        (
            "Connection: proxy-connection\r\nProxy-Connection: x\r\nA: 1\r\n",
            "A: 1\r\n",
        ),
        ("Connection: \"X\"\r\nX: 1\r\n", "X: 1\r\n"),
        (
            "Connection: cookie\r\nCookie: a\r\nCookie: b\r\nSet-Cookie: c\r\n",
            "Set-Cookie: c\r\n",
        ),
    ];
    for (fields, left) in cases {
        assert_eq!(forward_fields(fields).as_deref(), Some(left), "{fields}");
    }
}

#[test]
fn another_path_stands_where_the_first_one_stood() {
    let cases = [
        ("GET /a/b?c HTTP/1.1", "GET /x?y HTTP/1.1"),
        ("GET http://h:1/a?c HTTP/1.1", "GET http://h:1/x?y HTTP/1.1"),
        ("GET http://h HTTP/1.1", "GET http://h/x?y HTTP/1.1"),
        ("GET http://h?q HTTP/1.1", "GET http://h/x?y HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("CONNECT h:1 HTTP/1.1", "CONNECT h:1 HTTP/1.1"),
        ("GET / HTTP/1.0", "GET /x?y HTTP/1.0"),
    ];
    for (before, after) in cases {
        let rest = "\r\nhOST:a \r\nX:1\r\n\r\n";
        let out = forward(&format!("{before}{rest}"), Some("/x?y"), None);
        assert_eq!(out, Some(format!("{after}{rest}")));
    }
}

#[test]
fn the_client_is_the_last_in_the_list_of_hops() {
    let extended = Some(("X-Forwarded-For", "1.2.3.4"));
    let cases = [
        ("", "X-Forwarded-For: 1.2.3.4\r\n"),
        ("A:1\r\n", "A:1\r\nX-Forwarded-For: 1.2.3.4\r\n"),
        ("x-forwarded-for:9\r\nA:1\r\n", "x-forwarded-for: 9, 1.2.3.4\r\nA:1\r\n"),
        ("X-Forwarded-For:\r\n", "X-Forwarded-For: 1.2.3.4\r\n"),
        (
            "X-Forwarded-For: 8\r\nA: 1\r\nX-Forwarded-For: 9\r\nB: 2\r\n",
            "X-Forwarded-For: 8\r\nA: 1\r\nX-Forwarded-For: 9, 1.2.3.4\r\nB: 2\r\n",
        ),
        // A client cannot take the field away by naming it.
        (
            "Connection: X-Forwarded-For\r\nX-Forwarded-For: 9\r\n",
            "X-Forwarded-For: 1.2.3.4\r\n",
        ),
        (
            "Proxy-Connection: x\r\nA: 1\r\n",
            "A: 1\r\nX-Forwarded-For: 1.2.3.4\r\n",
        ),
    ];
    for (before, after) in cases {
        let start = "GET / HTTP/1.1\r\nHost: a\r\n";
        let out = forward(&format!("{start}{before}\r\n"), None, extended);
        assert_eq!(out, Some(format!("{start}{after}\r\n")), "{before}");
    }
}

#[test]
fn a_response_is_passed_as_it_came_unless_it_has_fields_of_the_connection() {
    let start = "HTTP/1.1 200  Odd \t reason\r\n";
    let cases = [
        ("", None),
        ("Connection: close\r\nX:1\r\n", None),
        ("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", None),
        ("Connection: X\r\nX: 1\r\nY:2\r\n", Some("Y:2\r\n")),
        (
            "Proxy-Connection: close\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n",
            Some("Set-Cookie: a\r\nSet-Cookie: b\r\n"),
        ),
    ];
    for (before, after) in cases {
        let out = back(&format!("{start}{before}\r\n"), false);
        assert_eq!(out, after.map(|after| format!("{start}{after}\r\n")), "{before}");
    }
}

#[test]
fn the_last_response_on_a_connection_says_so() {
    let start = "HTTP/1.0 200 OK\r\n";
    let cases = [
        ("", Some("Connection: close\r\n")),
        ("Connection: close\r\n", None),
        (
            "Connection: x\r\nConnection: close\r\nX: 1\r\n",
            Some("Connection: close\r\n"),
        ),
        (
            "A:1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nB:2\r\n",
            Some("A:1\r\nB:2\r\nConnection: close\r\n"),
        ),
        ("Connection: x\r\nX: 1\r\nA:1\r\n", Some("A:1\r\nConnection: close\r\n")),
        (
            "Upgrade: h2c\r\nConnection: upgrade\r\n",
            Some("Upgrade: h2c\r\nConnection: upgrade, close\r\n"),
        ),
    ];
    for (before, after) in cases {
        let out = back(&format!("{start}{before}\r\n"), true);
        assert_eq!(out, after.map(|after| format!("{start}{after}\r\n")), "{before}");
    }
}

#[test]
fn a_copy_without_rules_loses_only_what_is_of_the_connection() {
    let cases = [
        ("", ""),
        ("x:1\r\nX: \t2 \r\n", "x:1\r\nX: \t2 \r\n"),
        ("Connection: close\r\nA:1\r\nKeep-Alive: 5\r\n", "A:1\r\n"),
        ("Connection: upgrade, X\r\nUpgrade: x\r\nX: 1\r\nA: 1\r\n", "A: 1\r\n"),
        ("TE: trailers\r\nProxy-Connection: x\r\n", ""),
        ("Expect: 100-continue\r\nContent-Length:5\r\n", "Content-Length:5\r\n"),
        (
            "Trailer: X\r\ntransfer-encoding:chunked\r\n",
            "Trailer: X\r\ntransfer-encoding:chunked\r\n",
        ),
    ];
    for (before, after) in cases {
        let start = "POST /a?b HTTP/1.1\r\nhost: \ta\r\n";
        assert_eq!(
            copy(&format!("{start}{before}\r\n")),
            format!("{start}{after}\r\n"),
            "{before}"
        );
    }
}

#[test]
fn rules_keep_remove_replace_and_append_on_a_copy() {
    let bytes = "GET /p HTTP/1.1\r\nHost: a\r\nKeep:1\r\nDrop: 2\r\nHash:3\r\nDrop:\r\nkeep: 4\r\n\r\n";
    let change = |name: &[u8], value: &[u8]| match name {
        b"Drop" => Change::Remove,
        b"Host" => Change::Replace(Cow::Borrowed(&b"mirror"[..])),
        b"Hash" => Change::Replace(Cow::Owned([b"<", value, b">"].concat())),
        _ => Change::Keep,
    };
    assert_eq!(
        copy_with(bytes, Some("/q"), change, &[("X-Mynah", "1"), ("B", "")]),
        "GET /q HTTP/1.1\r\nHost: mirror\r\nKeep:1\r\nHash: <3>\r\nkeep: 4\r\nX-Mynah: 1\r\nB: \r\n\r\n"
    );
}

#[test]
fn rules_are_not_asked_about_framing_and_the_connection() {
    let bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: x\r\nX: 1\r\nTE: y\r\nUpgrade: z\r\n\
                 Expect: 100-continue\r\nKeep-Alive: 1\r\nProxy-Connection: k\r\nOther: 1\r\n\r\n";
    let mut asked = Vec::new();
    let change = |name: &[u8], _: &[u8]| {
        asked.push(name.escape_ascii().to_string());
        Change::Remove
    };
    assert_eq!(
        copy_with(bytes, None, change, &[]),
        "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
    );
    assert_eq!(asked, ["Host", "Other"]);
}

#[test]
fn a_copy_of_an_http_1_0_request_can_travel_on_a_connection_that_stays() {
    let cases = [
        (
            "GET /a HTTP/1.0\r\nhost: b\r\n\r\n",
            "GET /a HTTP/1.1\r\nhost: b\r\n\r\n",
        ),
        ("GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nHost: \r\n\r\n"),
        (
            "GET /a HTTP/1.0\r\nX:1\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: \r\nX:1\r\n\r\n",
        ),
        (
            "GET http://b:1/a HTTP/1.0\r\n\r\n",
            "GET http://b:1/a HTTP/1.1\r\nHost: b:1\r\n\r\n",
        ),
        (
            "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: \r\nContent-Length: 1\r\n\r\n",
        ),
    ];
    for (before, after) in cases {
        assert_eq!(copy(before), after);
    }
}

#[test]
fn the_host_of_a_mirror_is_given_to_a_request_without_one() {
    let set = |name: &[u8], _: &[u8]| match name {
        b"Host" => Change::Replace(Cow::Borrowed(&b"mirror"[..])),
        _ => Change::Keep,
    };
    assert_eq!(
        copy_with("GET /a HTTP/1.0\r\nX: 1\r\n\r\n", None, set, &[]),
        "GET /a HTTP/1.1\r\nHost: mirror\r\nX: 1\r\n\r\n"
    );
}
