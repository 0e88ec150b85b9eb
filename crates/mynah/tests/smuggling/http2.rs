//! Malformed HTTP/2, and well-formed HTTP/2 that would be something else in HTTP/1.

use mynah_testkit::binary::Mynah;
use mynah_testkit::http2::{RawClient, data, frame, header_block, headers};
use mynah_testkit::raw::{Collector, Copy};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::harness::binary;

type Field<'a> = (&'a [u8], &'a [u8]);

const METHOD: Field<'_> = (b":method", b"POST");
const SCHEME: Field<'_> = (b":scheme", b"http");
const AUTHORITY: Field<'_> = (b":authority", b"a");
const PATH: Field<'_> = (b":path", b"/");
const PSEUDO: [Field<'_>; 4] = [METHOD, SCHEME, AUTHORITY, PATH];

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The stream is reset, or the connection closed.
    Refused,
    /// There is a response: 400.
    BadRequest,
    /// Before an HTTP/1 application, 400; an HTTP/2 application may take it.
    BadForHttp1,
}

struct Case {
    name: &'static str,
    frames: Vec<u8>,
    fate: Fate,
}

impl Case {
    /// Whether a head is well-formed, and a body follows.
    fn has_body(&self) -> bool {
        self.frames.get(3..5) == Some(&[1, 4])
    }
}

fn case(name: &'static str, frames: Vec<u8>, fate: Fate) -> Case {
    Case { name, frames, fate }
}

/// A request whose head has this field too.
fn with(name: &'static str, field: Field<'_>) -> Case {
    with_fate(name, field, Fate::Refused)
}

fn with_fate(name: &'static str, field: Field<'_>, fate: Fate) -> Case {
    case(name, headers(1, &[&PSEUDO[..], &[field]].concat(), true), fate)
}

/// A request with these pseudo-fields.
fn pseudo(name: &'static str, fields: &[Field<'_>]) -> Case {
    case(name, headers(1, fields, true), Fate::Refused)
}

/// A request with this body.
fn body(name: &'static str, fields: &[Field<'_>], rest: Vec<u8>) -> Case {
    let head = headers(1, &[&PSEUDO[..], fields].concat(), false);
    case(name, [head, rest].concat(), Fate::Refused)
}

fn cases() -> Vec<Case> {
    [
        names_and_values(),
        of_the_connection(),
        pseudo_fields(),
        hosts_and_lengths(),
        bodies(),
        frames(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn names_and_values() -> Vec<Case> {
    vec![
        with("CR and LF in a value", (b"x-a", b"1\r\nx-b: 2")),
        with("LF in a value", (b"x-a", b"1\nx-b: 2")),
        with("CR in a value", (b"x-a", b"1\rx")),
        with(
            "a request in a value",
            (b"x-a", b"1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        with("NUL in a value", (b"x-a", b"1\0")),
        with("DEL in a value", (b"x-a", b"1\x7f")),
        with("a name with a colon", (b"x-a: 1\r\nx-b", b"2")),
        with("a name with CR and LF", (b"x-a\r\nx-b", b"2")),
        with("a name with a space", (b"x a", b"2")),
        with("a name in upper case", (b"X-A", b"2")),
        with("a name that is empty", (b"", b"2")),
        with("a name with NUL", (b"x\0a", b"2")),
        with("a name beyond ASCII", (b"x-\xc3\xa4", b"2")),
    ]
}

fn of_the_connection() -> Vec<Case> {
    vec![
        with("transfer-encoding: chunked", (b"transfer-encoding", b"chunked")),
        with("transfer-encoding: identity", (b"transfer-encoding", b"identity")),
        with("connection: close", (b"connection", b"close")),
        with("connection: transfer-encoding", (b"connection", b"transfer-encoding")),
        with("keep-alive", (b"keep-alive", b"timeout=5")),
        with("proxy-connection", (b"proxy-connection", b"close")),
        with("upgrade", (b"upgrade", b"websocket")),
        with("te: chunked", (b"te", b"chunked")),
    ]
}

fn pseudo_fields() -> Vec<Case> {
    vec![
        pseudo("no method", &[SCHEME, AUTHORITY, PATH]),
        pseudo("no scheme", &[METHOD, AUTHORITY, PATH]),
        pseudo("no path", &[METHOD, SCHEME, AUTHORITY]),
        pseudo("an empty path", &[METHOD, SCHEME, AUTHORITY, (b":path", b"")]),
        pseudo("two methods", &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        pseudo("two paths", &[METHOD, SCHEME, AUTHORITY, PATH, (b":path", b"/b")]),
        pseudo("two authorities", &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        pseudo(
            "a status in a request",
            &[METHOD, SCHEME, AUTHORITY, PATH, (b":status", b"200")],
        ),
        pseudo(
            "a pseudo-field that nobody knows",
            &[METHOD, SCHEME, AUTHORITY, PATH, (b":x", b"y")],
        ),
        pseudo(
            "a pseudo-field after a field",
            &[METHOD, SCHEME, PATH, (b"x-a", b"1"), AUTHORITY],
        ),
        pseudo(
            "a method with a space",
            &[(b":method", b"GET /x"), SCHEME, AUTHORITY, PATH],
        ),
        pseudo(
            "a method with CR and LF",
            &[(b":method", b"GET\r\nx: "), SCHEME, AUTHORITY, PATH],
        ),
        pseudo(
            "a path with a space",
            &[METHOD, SCHEME, AUTHORITY, (b":path", b"/ HTTP/1.1")],
        ),
        pseudo(
            "a path with a request",
            &[
                METHOD,
                SCHEME,
                AUTHORITY,
                (b":path", b"/ HTTP/1.1\r\nHost: b\r\n\r\nGET /"),
            ],
        ),
        pseudo("a path with NUL", &[METHOD, SCHEME, AUTHORITY, (b":path", b"/\0")]),
        pseudo(
            "an authority with CR and LF",
            &[METHOD, SCHEME, (b":authority", b"a\r\nx: y"), PATH],
        ),
        pseudo(
            "an authority with a space",
            &[METHOD, SCHEME, (b":authority", b"a b"), PATH],
        ),
        pseudo(
            "an authority with a path",
            &[METHOD, SCHEME, (b":authority", b"a/b"), PATH],
        ),
        pseudo(
            "a scheme with CR and LF",
            &[METHOD, (b":scheme", b"http\r\n"), AUTHORITY, PATH],
        ),
        pseudo(
            "extended CONNECT where nobody takes it",
            &[
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                SCHEME,
                AUTHORITY,
                PATH,
            ],
        ),
        pseudo(
            "CONNECT with a path",
            &[(b":method", b"CONNECT"), SCHEME, AUTHORITY, PATH],
        ),
    ]
}

fn hosts_and_lengths() -> Vec<Case> {
    vec![
        with_fate("another host", (b"host", b"b"), Fate::BadRequest),
        case(
            "two hosts",
            headers(1, &[&PSEUDO[..], &[(b"host", b"a"), (b"host", b"a")]].concat(), true),
            Fate::BadRequest,
        ),
        case(
            "two equal lengths",
            [
                headers(
                    1,
                    &[&PSEUDO[..], &[(b"content-length", b"1"), (b"content-length", b"1")]].concat(),
                    false,
                ),
                data(1, b"x", true),
            ]
            .concat(),
            Fate::BadRequest,
        ),
        case(
            "two lengths",
            headers(
                1,
                &[&PSEUDO[..], &[(b"content-length", b"1"), (b"content-length", b"2")]].concat(),
                false,
            ),
            Fate::Refused,
        ),
        with_fate("an empty length", (b"content-length", b""), Fate::BadRequest),
        with("a length that is no number", (b"content-length", b"x")),
        with("a length with a sign", (b"content-length", b"+1")),
        with("a list of lengths", (b"content-length", b"1, 1")),
        with("a length and no body", (b"content-length", b"5")),
        case(
            "no host at all",
            headers(1, &[METHOD, SCHEME, PATH], true),
            Fate::BadForHttp1,
        ),
        case(
            "a user in the authority",
            headers(1, &[METHOD, SCHEME, (b":authority", b"user@a"), PATH], true),
            Fate::BadForHttp1,
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        body(
            "more than the length",
            &[(b"content-length", b"1")],
            data(1, smuggled, true),
        ),
        body(
            "less than the length",
            &[(b"content-length", b"99")],
            data(1, smuggled, true),
        ),
        body(
            "less than the length, and trailers",
            &[(b"content-length", b"99")],
            [data(1, b"x", false), headers(1, &[(b"x-t", b"1")], true)].concat(),
        ),
        body(
            "trailers with CR and LF",
            &[],
            [
                data(1, b"x", false),
                headers(1, &[(b"x-t", b"1\r\n\r\nGET / HTTP/1.1")], true),
            ]
            .concat(),
        ),
        body(
            "trailers that are not the end",
            &[],
            [data(1, b"x", false), headers(1, &[(b"x-t", b"1")], false)].concat(),
        ),
        body(
            "trailers with transfer-encoding",
            &[],
            [
                data(1, b"x", false),
                headers(1, &[(b"transfer-encoding", b"chunked")], true),
            ]
            .concat(),
        ),
    ]
}

fn frames() -> Vec<Case> {
    let refused = |name, frames| case(name, frames, Fate::Refused);
    let block = header_block(&PSEUDO);
    vec![
        refused("data on a stream that nobody opened", data(1, b"x", true)),
        refused("a request on stream 0", headers(0, &PSEUDO, true)),
        refused("a request on an even stream", headers(2, &PSEUDO, true)),
        refused(
            "a head that is no HPACK",
            frame(1, 5, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ),
        refused("an index of no table", frame(1, 5, 1, &[0xfe])),
        refused("padding longer than its frame", frame(1, 5 | 8, 1, &[200, 1])),
        refused(
            "another frame between the parts of a head",
            [frame(1, 1, 1, &block), frame(6, 0, 0, &[0; 8])].concat(),
        ),
        refused("a continuation of nothing", frame(9, 4, 1, &block)),
        refused("a frame larger than allowed", frame(0, 0, 1, &[0; 20_000])),
        refused(
            "a window that overflows",
            frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2),
        ),
        refused("a window of nothing", frame(8, 0, 0, &[0; 4])),
        refused("settings of an odd length", frame(4, 0, 0, &[0; 5])),
        refused("settings of a stream", frame(4, 0, 1, &[])),
        refused("a ping of an odd length", frame(6, 0, 0, &[0; 7])),
        refused("a promise from a client", frame(5, 4, 1, &[0, 0, 0, 2])),
        refused("a reset of a stream that nobody opened", frame(3, 0, 1, &[0; 4])),
    ]
}

async fn check(case: &Case, protocol: &str) -> Result<(), String> {
    let app = Collector::start().await.unwrap();
    let mirror = Collector::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mynah = before(&directory, protocol, &app, &mirror).await?;
    let mut client = RawClient::connect(mynah.address()).await.unwrap();
    client.send(&case.frames).await;
    let answer = client.receive().await;
    let refused = match (&answer, case.fate) {
        (Some(frame), Fate::Refused) => matches!(frame.kind, 3 | 7),
        (None, _) => false,
        // `:status: 400` is in HPACK's table.
        (Some(frame), _) => frame.kind == 1 && frame.payload.first() == Some(&0x8c),
    };
    if !refused {
        return Err(format!("answered by {answer:?}; {}", mynah.output()));
    }
    mynah.until("refused", |m| m.errors("bad_request") == 1).await?;
    let whole = |seen: &Collector| seen.copies().iter().any(|seen| matches!(seen, Copy::Whole(_)));
    let reached = !app.bytes().is_empty() && !case.has_body();
    if whole(&app) || whole(&mirror) || reached || contains(&app.bytes(), b"\r\n\r\nGET /smuggled") {
        return Err(format!("the application received {}", app.bytes().escape_ascii()));
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|bytes| bytes == part)
}

/// Mynah before an application that is spoken to in this protocol, with a mirror that is spoken to in HTTP/1.
async fn before(directory: &TempDir, protocol: &str, app: &Collector, mirror: &Collector) -> Result<Mynah, String> {
    let config = format!(
        "listeners: ['127.0.0.1:0']\nadmin: '127.0.0.1:0'\nworkers: 1\n\
         upstream: {{url: 'http://{}', protocol: {protocol}}}\n\
         mirrors: {{m: {{url: 'http://{}', protocol: http1}}}}\n",
        app.address(),
        mirror.address()
    );
    let file = directory.path().join("mynah.yaml");
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    Mynah::run(&binary(), &args).await
}

fn run(protocol: &'static str, tried: impl Fn(&Case) -> bool) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let failures: Vec<_> = LocalSet::new().block_on(&runtime, async {
        let mut failures = Vec::new();
        for case in cases().iter().filter(|case| tried(case)) {
            if let Err(failure) = check(case, protocol).await {
                failures.push(format!("«{}»: {failure}", case.name));
            }
        }
        failures
    });
    assert!(
        failures.is_empty(),
        "{} cases failed before {protocol}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn there_are_enough_malformed_http2_messages() {
    assert!(cases().len() >= 70, "{} cases", cases().len());
}

#[test]
fn malformed_http2_never_reaches_an_http1_application() {
    run("http1", |_| true);
}

#[test]
fn malformed_http2_heads_never_reach_an_http2_application() {
    run("same", |case| case.fate != Fate::BadForHttp1 && !case.has_body());
}
