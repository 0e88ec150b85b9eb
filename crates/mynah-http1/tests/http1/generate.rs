//! Messages by chance: well-formed ones, and ones that are nearly so.

use proptest::prelude::*;
use proptest::sample::select;

fn text(options: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(options).prop_map(str::to_owned)
}

/// A name of a field that means nothing.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,12}".prop_filter("is known", |name| {
            let known = [
                "host",
                "connection",
                "content-length",
                "transfer-encoding",
                "te",
                "expect",
                "upgrade",
            ];
            !known.contains(&name.to_ascii_lowercase().as_str())
        }),
        text(&["X", "x", "X-Added", "Y", "Cookie", "Accept"]),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~\t]{0,20}", "[é-ÿ]{0,5}", Just(String::new())]
}

fn space() -> impl Strategy<Value = String> {
    text(&["", " ", "\t", " \t "])
}

/// A field that any message may have any number of times, with its line end.
fn field() -> impl Strategy<Value = String> {
    let known = text(&[
        "Connection: close",
        "connection:keep-alive",
        "Connection: x, close",
        "Connection: Y",
        "Connection: ,te,, X-Added",
        "Connection: upgrade",
        "Upgrade: websocket",
        "TE: trailers",
        "TE: gzip",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Expect: 100-continue",
        "Trailer: X",
    ]);
    prop_oneof![
        2 => known,
        3 => (name(), space(), value(), space()).prop_map(|(name, a, value, b)| format!("{name}:{a}{value}{b}")),
    ]
    .prop_map(|line| line + "\r\n")
}

/// A body as it is on the wire, and the field that frames it.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let data = || prop::collection::vec(any::<u8>(), 0..40);
    let chunk = (
        prop::collection::vec(any::<u8>(), 1..20),
        text(&["", ";", ";a=b", ";a=\"\\\"\""]),
    )
        .prop_map(|(data, extension)| [format!("{:x}{extension}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat());
    let trailers = prop::collection::vec((Just("X-"), name(), value()), 0..3);
    prop_oneof![
        Just((String::new(), Vec::new())),
        data().prop_map(|data| (format!("Content-Length: {}\r\n", data.len()), data)),
        (prop::collection::vec(chunk, 0..4), trailers).prop_map(|(chunks, trailers)| {
            let mut wire = chunks.concat();
            wire.extend_from_slice(b"0\r\n");
            for (prefix, name, value) in trailers {
                wire.extend_from_slice(format!("{prefix}{name}:{value}\r\n").as_bytes());
            }
            wire.extend_from_slice(b"\r\n");
            ("Transfer-Encoding: chunked\r\n".to_owned(), wire)
        }),
    ]
}

/// A head and its body.
pub(crate) type Message = (Vec<u8>, Vec<u8>);

fn message(start: impl Strategy<Value = String>, host: &'static str) -> impl Strategy<Value = Message> {
    (
        start,
        prop::collection::vec(field(), 0..6),
        prop::collection::vec(field(), 0..6),
        body(),
    )
        .prop_map(move |(start, before, behind, (framing, body))| {
            let (before, behind) = (before.concat(), behind.concat());
            (
                format!("{start}\r\n{before}{host}{framing}{behind}\r\n").into_bytes(),
                body,
            )
        })
}

/// A request that must be read.
pub(crate) fn request() -> impl Strategy<Value = Message> {
    let target = prop_oneof!["/[!-~é-ÿ]{0,20}", "http://[a-z.]{1,9}(:[0-9]{1,5})?([/?][!-~]{0,20})?"];
    let method = prop_oneof![
        text(&["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
        "[!#$%&'*+.^_`|~0-9a-z-]{1,9}"
    ];
    message(
        (method, target).prop_map(|(method, target)| format!("{method} {target} HTTP/1.1")),
        "hOST: a:80\r\n",
    )
}

/// A response that must be read.
pub(crate) fn response() -> impl Strategy<Value = Message> {
    message(
        (200u16..1000, "( [ -~\té-ÿ]{0,20})?")
            .prop_filter("has no body", |(status, _)| ![204, 304].contains(status))
            .prop_map(|(status, reason)| format!("HTTP/1.1 {status}{reason}")),
        "",
    )
}

/// Bytes that are nearly a message: some are left out, doubled or replaced.
pub(crate) fn nearly(message: impl Strategy<Value = Message>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"\r\n \t:,;\0\x7f0aX/\"".as_slice()), any::<u8>(),];
    let change = (any::<prop::sample::Index>(), 0..4u8, byte);
    (message, prop::collection::vec(change, 0..4)).prop_map(|((head, body), changes)| {
        let mut bytes = [head, body].concat();
        for (at, how, byte) in changes {
            let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match how {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = byte,
                2 => bytes.insert(at, byte),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        bytes
    })
}

/// Bytes with much that means something.
pub(crate) fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = select(
        [
            "GET ",
            "POST ",
            "CONNECT ",
            "/",
            "http://",
            "a:1",
            " HTTP/1.1",
            " HTTP/1.0",
            "HTTP/1.1 ",
            "HTTP/1.0 ",
            "200 ",
            "101 ",
            "304",
            "\r\n",
            "\r\n\r\n",
            "\r",
            "\n",
            " ",
            "\t",
            ":",
            ",",
            "Host: a",
            "Content-Length: ",
            "Transfer-Encoding: ",
            "Connection: ",
            "chunked",
            "close",
            "5",
            "0",
            "ff",
            ";",
            "\"",
            "X: 1",
            "\0",
            "é",
        ]
        .as_slice(),
    );
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
}
