//! How streams and connections end.

use h2::Reason;
use h2::ext::Protocol;
use http::Request;
use mynah_testkit::http2::{Script, get, post, response, script};

fn ok() -> http::Response<()> {
    response(200, &[])
}

pub(super) fn scripts() -> Vec<Script> {
    [resets(), connections(), tunnels()].concat()
}

fn resets() -> Vec<Script> {
    let codes = [
        ("no error", Reason::NO_ERROR),
        ("a protocol error", Reason::PROTOCOL_ERROR),
        ("an internal error", Reason::INTERNAL_ERROR),
        ("a refused stream", Reason::REFUSED_STREAM),
        ("cancellation", Reason::CANCEL),
        ("calm", Reason::ENHANCE_YOUR_CALM),
        ("HTTP/1.1", Reason::HTTP_1_1_REQUIRED),
        ("a code that nobody knows", Reason::from(0xabcd)),
    ];
    let mut scripts = Vec::new();
    for (name, code) in codes {
        scripts.extend([
            script(format!("the application resets before its response: {name}"))
                .asks(get("/", &[]))
                .app_resets(code),
            script(format!("the application resets within its response: {name}"))
                .asks(get("/", &[]))
                .app_begins(ok())
                .app_sends("part")
                .app_resets(code),
            script(format!("the application resets behind data that is on its way: {name}"))
                .asks(get("/", &[]))
                .app_begins(ok())
                .app_sends_unread("on its way")
                .app_resets(code),
            script(format!("the client resets before the response: {name}"))
                .asks(get("/", &[]))
                .resets(code),
            script(format!("the client resets its upload: {name}"))
                .begins(post("/", &[]))
                .sends("part")
                .resets(code),
            script(format!("the client resets within the response: {name}"))
                .asks(get("/", &[]))
                .app_begins(ok())
                .app_sends("part")
                .resets(code),
        ]);
    }
    scripts.extend([
        script("a reset ends its stream alone")
            .asks(get("/1", &[]))
            .on(1)
            .asks(get("/2", &[]))
            .on(0)
            .app_resets(Reason::INTERNAL_ERROR)
            .on(1)
            .app_begins(ok())
            .app_ends("body"),
        script("the application answers an upload and wants no more of it")
            .begins(post("/", &[]))
            .sends("part")
            .app_begins(response(413, &[]))
            .app_ends("too much")
            .app_resets(Reason::NO_ERROR),
    ]);
    scripts
}

fn connections() -> Vec<Script> {
    vec![
        script("the application leaves while nothing is under way")
            .asks(get("/", &[]))
            .app_answers(ok())
            .app_leaves(),
        script("the application's connection breaks within a response")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_sends("part")
            .app_breaks(),
        script("the application's connection breaks within an upload")
            .begins(post("/", &[]))
            .sends("part")
            .app_breaks(),
        script("the client's connection breaks within a response")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_sends("part")
            .breaks(),
        script("the client's connection breaks within an upload")
            .begins(post("/", &[]))
            .sends("part")
            .breaks(),
    ]
}

fn tunnels() -> Vec<Script> {
    let connect = || {
        Request::builder()
            .method("CONNECT")
            .uri("b.example:443")
            .body(())
            .unwrap()
    };
    let mut websocket = Request::builder()
        .method("CONNECT")
        .uri("http://a.example/chat")
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    websocket.extensions_mut().insert(Protocol::from_static("websocket"));
    vec![
        script("CONNECT")
            .begins(connect())
            .app_begins(ok())
            .sends("\x16\x03\x01")
            .app_sends("\x16\x03\x03")
            .ends("bye")
            .app_ends("bye"),
        script("CONNECT that is refused")
            .begins(connect())
            .app_answers(response(405, &[("allow", "GET")])),
        script("CONNECT that the application ends first")
            .begins(connect())
            .app_begins(ok())
            .app_ends("bye")
            .sends("more")
            .ends("bye"),
        script("a WebSocket over HTTP/2")
            .asks(get("/", &[]))
            .app_answers(ok())
            .on(1)
            .begins(websocket)
            .app_begins(ok())
            .sends("\x01ping")
            .app_sends("\x01pong")
            .ends("")
            .app_ends(""),
    ]
}
