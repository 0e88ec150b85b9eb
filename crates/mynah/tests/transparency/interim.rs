//! Interim responses, `Expect`, and responses that come before their request has ended.

use mynah_testkit::raw::{Script, script};

use crate::requests::OK;
use crate::responses::GET;

const EXPECTS: &str = "PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
const EXPECTS_CHUNKS: &str = "PUT /e HTTP/1.1\r\nHost: a\r\nexpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const UPLOAD: &str = "PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n";

pub(crate) fn scripts() -> Vec<Script> {
    [expected(), interim(), early()].concat()
}

fn expected() -> Vec<Script> {
    vec![
        script("100 as expected")
            .client(EXPECTS)
            .app(CONTINUE)
            .client("body")
            .app(OK),
        script("100 as expected, and chunks")
            .client(EXPECTS_CHUNKS)
            .app(CONTINUE)
            .client("1\r\nx\r\n0\r\n\r\n")
            .app(OK),
        script("100 after a while")
            .client(EXPECTS)
            .quiet()
            .app(CONTINUE)
            .client("body")
            .app(OK),
        script("100 with fields of its own")
            .client(EXPECTS)
            .app("HTTP/1.1 100 Go On\r\nX-Limit: 4\r\n\r\n")
            .client("body")
            .app(OK),
        script("100 that nobody waits for")
            .client(format!("{EXPECTS}body"))
            .app(CONTINUE)
            .app(OK),
        script("an expectation that is passed over")
            .client(EXPECTS)
            .client("body")
            .app(OK),
        script("an expectation that is refused")
            .client(EXPECTS)
            .app("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .app_fin()
            .client_fin(),
        script("an expectation that is refused while the connection stays")
            .client(EXPECTS)
            .app("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
            .client("body"),
        script("an expectation that is answered for good")
            .client(EXPECTS)
            .app(OK)
            .client("body"),
        script("an expectation in HTTP/1.0")
            .client("PUT / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            .client("body")
            .app("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
        script("an expectation without a body")
            .client("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
            .app(CONTINUE)
            .app(OK),
        script("two expectations one after the other")
            .client(EXPECTS)
            .app(CONTINUE)
            .client("body")
            .app(OK)
            .client(EXPECTS)
            .app(CONTINUE)
            .client("body")
            .app(OK),
    ]
}

fn interim() -> Vec<Script> {
    vec![
        script("early hints")
            .client(GET)
            .app("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n")
            .app(OK),
        script("several interim responses")
            .client(GET)
            .app("HTTP/1.1 102 Processing\r\n\r\n")
            .app("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
            .app("HTTP/1.1 103 Early Hints\r\nLink: <b>\r\n\r\n")
            .app(OK),
        script("interim and final response at once")
            .client(GET)
            .app(format!("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n{CONTINUE}{OK}")),
        script("an interim response that nobody knows")
            .client(GET)
            .app("HTTP/1.1 199 Well\r\nX: 1\r\n\r\n")
            .app(OK),
        script("100 twice")
            .client(EXPECTS)
            .app(CONTINUE)
            .app(CONTINUE)
            .client("body")
            .app(OK),
        script("an interim response while the body is under way")
            .client(format!("{UPLOAD}half"))
            .app("HTTP/1.1 102 Processing\r\n\r\n")
            .client("half")
            .app(OK),
        script("interim responses to pipelined requests")
            .client(format!("{GET}{GET}"))
            .app(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"))
            .app("HTTP/1.1 103 Early Hints\r\n\r\n")
            .app(OK),
        script("early hints for HEAD")
            .client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            .app("HTTP/1.1 103 Early Hints\r\n\r\n")
            .app("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        script("an interim response that trickles")
            .client(EXPECTS)
            .app_trickles("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n")
            .client("body")
            .app(OK),
    ]
}

fn early() -> Vec<Script> {
    vec![
        script("an answer before the body")
            .client(UPLOAD)
            .app(OK)
            .client("halfhalf"),
        script("an answer within the body")
            .client(format!("{UPLOAD}half"))
            .app(OK)
            .client("half"),
        script("an answer before the body, piece by piece")
            .client(UPLOAD)
            .app("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
            .client("half")
            .app("ab")
            .client("half")
            .app("cd"),
        script("an answer before the chunks have ended")
            .client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            .app(OK)
            .client("1\r\ny\r\n")
            .client("0\r\nT: 1\r\n\r\n"),
        script("an answer before the body, and the next request behind it")
            .client(UPLOAD)
            .app(OK)
            .client(format!("halfhalf{GET}"))
            .app(OK),
        script("a refusal after which nothing is read")
            .client(format!("{UPLOAD}half"))
            .app("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
            .app_fin()
            .client_fin(),
        script("an answer until the end, before the body has ended")
            .client(UPLOAD)
            .app("HTTP/1.1 200 OK\r\n\r\nfirst")
            .client("half")
            .app("second")
            .client("half")
            .app_fin()
            .client_fin(),
    ]
}
