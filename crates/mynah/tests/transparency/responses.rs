//! What a response may look like.

use mynah_testkit::raw::{Script, script};

pub(crate) const GET: &str = "GET /r HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD /r HTTP/1.1\r\nHost: a\r\n\r\n";

fn passes(name: &str, response: impl Into<Vec<u8>>) -> Script {
    script(name).client(GET).app(response)
}

fn status_line(name: &str, line: impl AsRef<[u8]>) -> Script {
    passes(name, [line.as_ref(), b"\r\nContent-Length: 2\r\n\r\nok"].concat())
}

fn fields(name: &str, fields: impl AsRef<[u8]>) -> Script {
    passes(
        name,
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", fields.as_ref(), b"\r\nok"].concat(),
    )
}

fn cut(name: &str, sent: &str, seen: &str) -> Script {
    let response = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
    script(name).client(GET).app_as(response(sent), response(seen))
}

/// A response that ends with its connection.
fn closing(name: &str, request: &str, response: impl Into<Vec<u8>>) -> Script {
    script(name).client(request).app(response).app_fin().client_fin()
}

fn chunked(name: &str, body: impl AsRef<[u8]>) -> Script {
    passes(
        name,
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body.as_ref()].concat(),
    )
}

pub(crate) fn scripts() -> Vec<Script> {
    [
        status_lines(),
        many_fields(),
        without_body(),
        chunks(),
        until_close(),
        over_time(),
    ]
    .concat()
}

fn status_lines() -> Vec<Script> {
    let high: Vec<u8> = b"HTTP/1.1 200 ".iter().copied().chain(0x80..=0xff).collect();
    vec![
        status_line("an ordinary status", "HTTP/1.1 200 OK"),
        status_line("an empty reason", "HTTP/1.1 200 "),
        status_line("no reason", "HTTP/1.1 200"),
        status_line("a reason of one's own", "HTTP/1.1 200 All is   well\t(so far); ok?"),
        status_line("a reason that is not ASCII", high),
        status_line("status 299", "HTTP/1.1 299 Odd"),
        status_line("status 418", "HTTP/1.1 418 I'm a teapot"),
        status_line("status 599", "HTTP/1.1 599 Network Connect Timeout Error"),
        status_line("status 999", "HTTP/1.1 999 Request denied"),
        status_line("status 502 of the application's own", "HTTP/1.1 502 Bad Gateway"),
        status_line("status 400 of the application's own", "HTTP/1.1 400 Bad Request"),
        status_line("status 205 with a body", "HTTP/1.1 205 Reset Content"),
        status_line("status 308", "HTTP/1.1 308 Permanent Redirect\r\nLocation: //x/../y"),
    ]
}

fn many_fields() -> Vec<Script> {
    let high: Vec<u8> = b"X-High: ".iter().copied().chain(0x80..=0xff).chain(*b"\r\n").collect();
    let numbered = |n: usize| (0..n).map(|i| format!("x-{i}: {i}\r\n")).collect::<String>();
    vec![
        fields(
            "response field names in any case",
            "x-lower: 1\r\nX-UPPER: 2\r\nx-MiXeD: 3\r\n",
        ),
        fields(
            "cookies set between other fields",
            "Set-Cookie: a=1\r\nX: 1\r\nset-cookie: b=2\r\nX: 2\r\n",
        ),
        fields("response fields with odd spaces", "A:1\r\nB: \t2 \t\r\nC:\r\n"),
        fields("response values that are not ASCII", high),
        fields(
            "response names of every character",
            "!#$%&'*+-.^_`|~: 1\r\nx.y_z: 2\r\n",
        ),
        fields("response of 500 fields", numbered(500)),
        fields(
            "response head of 250 KiB",
            format!("A: {0}\r\nB: {0}\r\n", "v".repeat(125 * 1024)),
        ),
        fields(
            "several challenges",
            "WWW-Authenticate: Basic, Digest a=\"b, c\"\r\nWWW-Authenticate: Bearer\r\n",
        ),
        fields(
            "a date and a server of the application's own",
            "Date: long ago\r\nServer: a/1 (b)\r\nVia: 1.0 x\r\n",
        ),
        fields("an upgrade on offer", "Upgrade: h2c\r\nConnection: Upgrade\r\n"),
        fields(
            "alternatives on offer",
            "Alt-Svc: h3=\":443\"\r\nKeep-Alive: timeout=72\r\nConnection: keep-alive\r\n",
        ),
        fields("trailers announced without chunks", "Trailer: X-Sum\r\n"),
        cut(
            "a response field of the connection",
            "Connection: X-Hop\r\nX-Hop: 1\r\nX: 1\r\n",
            "X: 1\r\n",
        ),
        cut(
            "a response for proxies",
            "Proxy-Connection: keep-alive\r\nX: 1\r\n",
            "X: 1\r\n",
        ),
        cut(
            "a response field of the connection beside keep-alive",
            "X-Hop: 1\r\nConnection: Keep-Alive, X-Hop\r\n",
            "Connection: Keep-Alive\r\n",
        ),
    ]
}

fn without_body() -> Vec<Script> {
    let after_head = |name: &str, response: &str| script(name).client(HEAD).app(response);
    vec![
        after_head("HEAD with a length", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        after_head(
            "HEAD with chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        after_head("HEAD with nothing", "HTTP/1.1 200 OK\r\n\r\n"),
        after_head("HEAD not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"),
        passes("status 204", "HTTP/1.1 204 No Content\r\n\r\n"),
        passes(
            "status 304 with a length",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n",
        ),
        passes(
            "status 304 with chunks",
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        passes("status 200 of length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        script("HEAD and GET, one after the other")
            .client(HEAD)
            .app("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            .client(GET)
            .app("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
    ]
}

fn chunks() -> Vec<Script> {
    let long = "c".repeat(1024 * 1024);
    vec![
        chunked("chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        chunked("no chunk but the last", "0\r\n\r\n"),
        chunked(
            "chunk sizes in either case",
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        ),
        chunked("chunk sizes with zeros before", "0003\r\nabc\r\n0000\r\n\r\n"),
        chunked("chunk extensions", "3;a=b;c=\"d;\\\"e\";f\r\nabc\r\n0;last\r\n\r\n"),
        chunked(
            "trailers that nobody announced",
            "3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\nY:\r\n\r\n",
        ),
        chunked("one-byte chunks", "1\r\nx\r\n".repeat(500) + "0\r\n\r\n"),
        chunked("a chunk of 1 MiB", format!("100000\r\n{long}\r\n0\r\n\r\n")),
        chunked(
            "a chunk that looks like a response",
            "13\r\nHTTP/1.1 200 OK\r\n\r\n\r\n0\r\n\r\n",
        ),
        passes(
            "trailers that were announced",
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Y\r\nTRANSFER-ENCODING: Chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        passes(
            "a body that looks like a response",
            "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        passes(
            "a body of 8 MiB",
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
                8 << 20,
                "b".repeat(8 << 20)
            ),
        ),
        passes(
            "a body of every byte",
            [
                b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n".to_vec(),
                (0..=255).collect(),
            ]
            .concat(),
        ),
    ]
}

fn until_close() -> Vec<Script> {
    vec![
        closing("a body until the end", GET, "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        closing("an empty body until the end", GET, "HTTP/1.1 200 OK\r\n\r\n"),
        closing(
            "a body until the end, as announced",
            GET,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        ),
        closing(
            "an answer in HTTP/1.0",
            GET,
            "HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\nuntil the end",
        ),
        closing(
            "an answer in HTTP/1.0 with a length",
            GET,
            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        passes(
            "an answer in HTTP/1.0 kept alive",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        ),
        closing(
            "chunks and then the end",
            GET,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        closing(
            "HEAD and then the end",
            HEAD,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n",
        ),
        script("a body until the end, piece by piece")
            .client(GET)
            .app("HTTP/1.1 200 OK\r\n\r\n")
            .app("one")
            .app("two")
            .app_fin()
            .client_fin(),
    ]
}

fn over_time() -> Vec<Script> {
    let begin = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        script("a response head that trickles")
            .client(GET)
            .app_trickles("HTTP/1.1 200 Slow\r\nX: 1\r\nContent-Length: 2\r\n\r\n")
            .app("ok"),
        script("a response head in pieces")
            .client(GET)
            .app_part("HTTP/1.1 2")
            .app_part("00 OK\r\nContent-Length: 2\r\n\r")
            .app("\nok"),
        script("a response head before its body")
            .client(GET)
            .app("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            .app("ok"),
        script("a body byte by byte")
            .client(GET)
            .app("HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n")
            .app_each("abcdefghijklmnopqrstuvwxyz"),
        script("chunks byte by byte")
            .client(GET)
            .app(begin)
            .app_each("3;x=\"y\"\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n"),
        script("server-sent events one by one")
            .client("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
            .app("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            .app("data: 1\n\n")
            .app("id: 2\ndata: 2\n\n")
            .app(": still here\n\n")
            .app_fin()
            .client_fin(),
        script("a stream that the client has had enough of")
            .client(GET)
            .app(begin)
            .app("1\r\nx\r\n")
            .client_reset(),
        script("the last chunk late")
            .client(GET)
            .app(begin)
            .app("1\r\nx\r\n")
            .quiet()
            .app("0\r\n\r\n"),
        script("an answer that takes its time")
            .client(GET)
            .quiet()
            .app("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]
}
