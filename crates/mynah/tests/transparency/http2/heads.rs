//! Heads of requests and responses.

use http::Request;
use mynah_testkit::http2::{Script, get, post, response, script};

pub(super) fn scripts() -> Vec<Script> {
    [requests(), responses(), interim()].concat()
}

fn ok() -> http::Response<()> {
    response(200, &[])
}

fn asked(name: &str, request: Request<()>) -> Script {
    script(name).asks(request).app_answers(ok())
}

fn with(method: &str, uri: &str) -> Request<()> {
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

fn requests() -> Vec<Script> {
    let long = "v".repeat(60_000);
    let many: Vec<(String, String)> = (0..400).map(|n| (format!("x-field-{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let path = format!("/{}", "p".repeat(30_000));
    vec![
        asked("a GET", get("/", &[])),
        asked("a query", get("/a/b?c=d&e=%20%00&f", &[])),
        asked("a path with dots and slashes", get("//a/../b/./c//", &[])),
        asked("a path with odd characters", get("/a|b~!$&'()*+,;=:@{}", &[])),
        asked("OPTIONS of everything", with("OPTIONS", "http://a.example/")),
        asked("a method of its own", with("PROPFIND", "http://a.example/x")),
        asked("DELETE", with("DELETE", "http://a.example/x")),
        asked("a port in the authority", with("GET", "http://a.example:8080/x")),
        asked("an IPv6 authority", with("GET", "http://[::1]:8080/x")),
        asked("another scheme", with("GET", "https://a.example/x")),
        asked(
            "repeated fields",
            get("/", &[("x-a", "1"), ("x-a", "2"), ("x-a", "1"), ("x-b", "3")]),
        ),
        asked(
            "cookies in crumbs",
            get("/", &[("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")]),
        ),
        asked("empty values", get("/", &[("x-empty", ""), ("x-after", "1")])),
        asked("a host beside the authority", get("/", &[("host", "a.example")])),
        asked("te: trailers", get("/", &[("te", "trailers"), ("grpc-timeout", "1S")])),
        asked("a large value", get("/", &[("x-large", &long)])),
        asked("many fields", get("/", &many)),
        asked("a long path", get(&path, &[])),
        asked(
            "forwarded fields",
            get(
                "/",
                &[("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=x"), ("via", "2 p")],
            ),
        ),
        asked(
            "hop-by-hop names of HTTP/1 that HTTP/2 has not",
            get("/", &[("proxy-authenticate", "x"), ("trailer", "x-t")]),
        ),
        asked("a copy is never copied again", get("/", &[("mynah-copy", "1")])),
        script("requests one after the other")
            .asks(get("/1", &[]))
            .app_answers(ok())
            .on(1)
            .asks(get("/2", &[]))
            .app_answers(ok())
            .on(2)
            .asks(get("/3", &[]))
            .app_answers(ok()),
        script("requests at once, answered in another order")
            .asks(get("/1", &[]))
            .on(1)
            .asks(get("/2", &[]))
            .on(2)
            .asks(get("/3", &[]))
            .on(2)
            .app_answers(ok())
            .on(0)
            .app_answers(ok())
            .on(1)
            .app_answers(ok()),
    ]
}

fn responses() -> Vec<Script> {
    let answered = |name: &str, response| script(name).asks(get("/", &[])).app_answers(response);
    vec![
        answered("204", response(204, &[])),
        answered(
            "304 with a length",
            response(304, &[("content-length", "5"), ("etag", "\"x\"")]),
        ),
        answered("a status of its own", response(299, &[])),
        answered("418", response(418, &[])),
        answered("500", response(500, &[("content-length", "0")])),
        answered(
            "repeated fields in a response",
            response(200, &[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("vary", "x")]),
        ),
        answered("no date and no server", response(200, &[])),
        answered(
            "both of them",
            response(200, &[("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "x")]),
        ),
        answered(
            "a large field in a response",
            response(200, &[("x-large", &"v".repeat(60_000))]),
        ),
        script("HEAD")
            .asks(with("HEAD", "http://a.example/x"))
            .app_answers(response(200, &[("content-length", "12345")])),
        script("a HEAD whose end comes by itself")
            .asks(with("HEAD", "http://a.example/x"))
            .app_begins(response(200, &[]))
            .app_ends(""),
    ]
}

fn interim() -> Vec<Script> {
    vec![
        script("early hints")
            .asks(get("/", &[]))
            .app_hints(response(103, &[("link", "</a>"), ("link", "</b>")]))
            .app_hints(response(103, &[("link", "</c>")]))
            .app_answers(ok()),
        script("102 and a body")
            .asks(get("/", &[]))
            .app_hints(response(102, &[]))
            .app_begins(ok())
            .app_ends("body"),
        script("permission to send")
            .begins(post("/", &[("expect", "100-continue"), ("content-length", "4")]))
            .app_hints(response(100, &[]))
            .ends("body")
            .app_answers(ok()),
        script("permission refused")
            .begins(post("/", &[("expect", "100-continue")]))
            .app_answers(response(417, &[]))
            .resets(h2::Reason::CANCEL),
        script("an answer to what is not yet asked")
            .begins(post("/", &[]))
            .app_begins(ok())
            .app_sends("early")
            .sends("more")
            .app_ends("late")
            .ends("end"),
    ]
}
