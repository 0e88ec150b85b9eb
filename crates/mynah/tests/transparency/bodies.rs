//! Request bodies: framing, pace and ends.

use mynah_testkit::raw::{Script, script};

use crate::requests::OK;

const CHUNKED: &str = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn passes(name: &str, request: impl Into<Vec<u8>>) -> Script {
    script(name).client(request).app(OK)
}

fn chunked(name: &str, body: impl AsRef<[u8]>) -> Script {
    passes(name, [CHUNKED.as_bytes(), body.as_ref()].concat())
}

fn with_length(length: usize) -> String {
    format!("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

pub(crate) fn scripts() -> Vec<Script> {
    [framed(), paced(), cut_short()].concat()
}

fn framed() -> Vec<Script> {
    let get = "GET /b HTTP/1.1\r\nHost: a\r\n";
    let every_byte = [with_length(256).into_bytes(), (0..=255).collect()].concat();
    let trailers = "0\r\nX-Sum: 1\r\nX-SUM:2\r\nOther: \t x \r\n\r\n";
    vec![
        passes("a request body", with_length(4) + "body"),
        passes("a request body of every byte", every_byte),
        passes(
            "a request body that looks like a request",
            with_length(31) + "GET /x HTTP/1.1\r\nHost: evil\r\n\r\n",
        ),
        passes("GET with a body", format!("{get}Content-Length: 4\r\n\r\nbody")),
        passes(
            "GET with chunks",
            format!("{get}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        ),
        passes(
            "a coding in odd case",
            format!("{get}tRaNsFeR-eNcOdInG: ChUnKeD\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        ),
        passes(
            "a length with zeros before",
            "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0004\r\n\r\nbody",
        ),
        chunked("request chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        chunked("no request chunk but the last", "0\r\n\r\n"),
        chunked(
            "request chunk sizes in either case",
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        ),
        chunked("request chunk sizes with zeros before", "0003\r\nabc\r\n0000\r\n\r\n"),
        chunked(
            "request chunk extensions",
            "3;a=b;c=\"d;\\\"e\";f\r\nabc\r\n0;last\r\n\r\n",
        ),
        chunked("request trailers", format!("3\r\nabc\r\n{trailers}")),
        chunked("300 request chunks of a byte", "1\r\nx\r\n".repeat(300) + "0\r\n\r\n"),
        chunked(
            "a request chunk of 512 KiB",
            format!("80000\r\n{}\r\n0\r\n\r\n", "c".repeat(512 * 1024)),
        ),
        passes(
            "an upload of 512 KiB",
            with_length(512 * 1024) + &"b".repeat(512 * 1024),
        ),
        script("a body and the next request at once")
            .client(with_length(4) + "body" + &with_length(3) + "two")
            .app(OK)
            .app(OK),
        script("chunks and the next request at once")
            .client(format!(
                "{CHUNKED}1\r\nx\r\n0\r\nT: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .app(OK)
            .app(OK),
    ]
}

fn paced() -> Vec<Script> {
    vec![
        script("a head before its body")
            .client(with_length(4))
            .client("body")
            .app(OK),
        script("a body in pieces")
            .client(with_length(6) + "a")
            .client("bc")
            .client("def")
            .app(OK),
        script("an upload byte by byte")
            .client(with_length(26))
            .client_each("abcdefghijklmnopqrstuvwxyz")
            .app(OK),
        script("request chunks byte by byte")
            .client(CHUNKED)
            .client_each("3;x=\"y\"\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n")
            .app(OK),
        script("request chunks one by one")
            .client(CHUNKED)
            .client("1\r\na\r\n")
            .client("2\r\nbc\r\n")
            .quiet()
            .client("0\r\n\r\n")
            .app(OK),
        script("the application acknowledges each part")
            .client(CHUNKED)
            .client("1\r\na\r\n")
            .app("HTTP/1.1 102 Processing\r\n\r\n")
            .client("1\r\nb\r\n")
            .app("HTTP/1.1 102 Processing\r\nX: 2\r\n\r\n")
            .client("0\r\n\r\n")
            .app(OK),
        script("request and response stream in step")
            .client(CHUNKED)
            .app("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .client("1\r\na\r\n")
            .app("1\r\nA\r\n")
            .client("1\r\nb\r\n")
            .app("1\r\nB\r\n")
            .client("0\r\n\r\n")
            .app("0\r\n\r\n"),
    ]
}

fn cut_short() -> Vec<Script> {
    let refuses = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let fin = |name: &str, sent: String| script(name).client(sent).client_fin().app(refuses).app_fin();
    let reset = |name: &str, sent: String| script(name).client(sent).client_reset();
    vec![
        fin("an upload that ends early", with_length(10) + "half"),
        fin("an upload that ends before its first byte", with_length(10)),
        fin("chunks that end within a chunk", format!("{CHUNKED}5\r\nab")),
        fin("chunks that end within a size", format!("{CHUNKED}1\r\nx\r\n1")),
        fin("chunks that end before the last", format!("{CHUNKED}1\r\nx\r\n")),
        fin(
            "chunks that end within the trailers",
            format!("{CHUNKED}1\r\nx\r\n0\r\nX-Sum: 1\r\n"),
        ),
        reset("an upload that is reset", with_length(10) + "half"),
        reset("an upload that is reset before its first byte", with_length(10)),
        reset("chunks that are reset", format!("{CHUNKED}5\r\nab")),
        script("an upload that ends early and is never answered")
            .client(with_length(10) + "half")
            .client_fin()
            .app_reset_becomes(502),
        script("an upload that is refused and goes on")
            .client(with_length(10) + "half")
            .app("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            .client("other!"),
    ]
}
