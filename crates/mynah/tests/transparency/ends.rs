//! How connections end.

use mynah_testkit::raw::{Script, script};

use crate::requests::OK;
use crate::responses::GET;

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\nuntil";

pub(crate) fn scripts() -> Vec<Script> {
    [within_a_response(), before_a_response(), at_rest(), of_the_client()].concat()
}

fn within_a_response() -> Vec<Script> {
    let ends = |name: &str, response: &str| {
        [
            script(format!("{name} that ends early"))
                .client(GET)
                .app(response)
                .app_fin()
                .client_fin(),
            script(format!("{name} that is reset"))
                .client(GET)
                .app(response)
                .app_reset(),
        ]
    };
    [
        ends("a response of known length", LENGTH),
        ends(
            "a response of known length without a byte of it",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        ),
        ends("a response within a chunk", &format!("{CHUNKS}5\r\nab")),
        ends("a response within a chunk size", &format!("{CHUNKS}1\r\nx\r\n1")),
        ends("a response before the last chunk", &format!("{CHUNKS}1\r\nx\r\n")),
        ends(
            "a response within its trailers",
            &format!("{CHUNKS}1\r\nx\r\n0\r\nX-Sum: 1\r\n"),
        ),
        ends(
            "a response to HTTP/1.1 in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhalf!",
        ),
    ]
    .concat()
    .into_iter()
    .chain([
        script("a response until the end that is reset")
            .client(GET)
            .app(UNTIL_CLOSE)
            .app_reset(),
        script("a response until the end in HTTP/1.0 that is reset")
            .client("GET / HTTP/1.0\r\n\r\n")
            .app("HTTP/1.0 200 OK\r\n\r\nuntil")
            .app_reset(),
        script("a response that is reset with another request behind")
            .client(format!("{GET}{GET}"))
            .app(LENGTH)
            .app_reset(),
    ])
    .collect()
}

fn before_a_response() -> Vec<Script> {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    vec![
        script("the end in place of a response")
            .client(GET)
            .app_fin_becomes(502),
        script("a reset in place of a response")
            .client(GET)
            .app_reset_becomes(502),
        script("the end in place of a response to POST")
            .client(post)
            .app_fin_becomes(502),
        script("a reset in place of a response to POST")
            .client(post)
            .app_reset_becomes(502),
        script("the end within a response head")
            .client(GET)
            .app_as("HTTP/1.1 200 OK\r\nContent-Le", "")
            .app_fin_becomes(502),
        script("a reset within a response head")
            .client(GET)
            .app_as("HTTP/1.1 200 OK\r\nX", "")
            .app_reset_becomes(502),
        script("the end after an interim response")
            .client(GET)
            .app("HTTP/1.1 103 Early Hints\r\n\r\n")
            .app_fin_becomes(502),
        script("a reset while the body is under way")
            .client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            .app_reset_becomes(502),
    ]
}

fn at_rest() -> Vec<Script> {
    vec![
        script("the application lets an idle connection end")
            .client(GET)
            .app(OK)
            .app_fin()
            .client_fin(),
        script("the client lets an idle connection end")
            .client(GET)
            .app(OK)
            .client_fin()
            .app_fin(),
        script("the client resets an idle connection")
            .client(GET)
            .app(OK)
            .client_reset(),
        script("a connection that stays while nothing happens")
            .client(GET)
            .app(OK)
            .quiet()
            .client(GET)
            .app(OK),
        script("the application announces the end and takes its time")
            .client(GET)
            .app("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .quiet()
            .app_fin()
            .client_fin(),
    ]
}

fn of_the_client() -> Vec<Script> {
    vec![
        script("a client that sends no more and waits for the response")
            .client(GET)
            .client_fin()
            .app(OK)
            .app_fin(),
        script("a client that sends no more and waits for two responses")
            .client(format!("{GET}{GET}"))
            .client_fin()
            .app(OK)
            .app(OK)
            .app_fin(),
        script("a client that sends no more and waits for a long response")
            .client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            .client_fin()
            .app(UNTIL_CLOSE)
            .app(" the end")
            .app_fin(),
        script("a client that sends no more within a response")
            .client(GET)
            .app(LENGTH)
            .client_fin()
            .app("other")
            .app_fin(),
        script("a client that sends no more within an endless response")
            .client(GET)
            .app(format!("{CHUNKS}1\r\nx\r\n"))
            .client_fin()
            .app("1\r\ny\r\n")
            .app("0\r\n\r\n")
            .app_fin(),
        script("a client that is gone before the response")
            .client(GET)
            .client_reset(),
        script("a client that is gone within the response")
            .client(GET)
            .app(LENGTH)
            .client_reset(),
        script("a client that is gone within the chunks")
            .client(GET)
            .app(format!("{CHUNKS}5\r\nab"))
            .client_reset(),
        script("a client that is gone with requests behind")
            .client(format!("{GET}{GET}"))
            .client_reset(),
        script("a client that is gone after an interim response")
            .client(GET)
            .app("HTTP/1.1 100 Continue\r\n\r\n")
            .client_reset(),
    ]
}
