//! Differences that Mynah still makes, each a defect until it is gone or found to be a proxy's duty.

use mynah_testkit::raw::{Script, script};

use crate::requests::OK;
use crate::responses::GET;

pub(crate) fn scripts() -> Vec<Script> {
    vec![
        script("an upload that is refused, with an end, and goes on")
            .client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
            .app("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .app_fin()
            .client("other!")
            .client_fin(),
        script("an answer and then the end, with a request behind that is never answered")
            .client(format!("{GET}{GET}"))
            .app("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .app_fin()
            .client_fin(),
        script("the application resets an idle connection")
            .client(GET)
            .app(OK)
            .app_reset(),
        // The copy must have the same target.
        script("an absolute target without a path")
            .client("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n")
            .app(OK),
    ]
}
