//! Bodies, as they arrive.

use mynah_testkit::http2::{Script, get, post, response, script};

fn ok() -> http::Response<()> {
    response(200, &[])
}

pub(super) fn scripts() -> Vec<Script> {
    let large = "l".repeat(300_000);
    vec![
        script("an upload")
            .begins(post("/", &[]))
            .ends("body")
            .app_answers(ok()),
        script("an upload with a length")
            .begins(post("/", &[("content-length", "4")]))
            .ends("body")
            .app_answers(ok()),
        script("an upload in parts, each when it is sent")
            .begins(post("/", &[]))
            .sends("one")
            .sends("two")
            .sends("three")
            .ends("")
            .app_answers(ok()),
        script("an upload that turns out to be empty")
            .begins(post("/", &[]))
            .ends("")
            .app_answers(ok()),
        script("a large upload")
            .begins(post("/", &[]))
            .ends(large.clone())
            .app_answers(ok()),
        script("trailers")
            .begins(post("/", &[]))
            .sends("body")
            .trails(&[("x-sum", "1"), ("x-sum", "2"), ("x-end", "")])
            .app_answers(ok()),
        script("trailers without a body")
            .begins(post("/", &[]))
            .trails(&[("x-sum", "1")])
            .app_answers(ok()),
        script("a download")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_ends("body"),
        script("a download with a length")
            .asks(get("/", &[]))
            .app_begins(response(200, &[("content-length", "4")]))
            .app_ends("body"),
        script("a download in parts, each when it is sent")
            .asks(get("/events", &[("accept", "text/event-stream")]))
            .app_begins(response(200, &[("content-type", "text/event-stream")]))
            .app_sends("data: 1\n\n")
            .app_sends("data: 2\n\n")
            .app_sends("data: 3\n\n")
            .app_ends(""),
        script("a large download")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_ends(large.clone()),
        script("trailers of a response")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_sends("body")
            .app_trails(&[("x-sum", "1"), ("x-sum", "2")]),
        script("trailers of a response without a body")
            .asks(get("/", &[]))
            .app_begins(ok())
            .app_trails(&[("x-sum", "1")]),
        script("a stream that nobody reads holds up no other")
            .asks(get("/1", &[]))
            .app_begins(ok())
            .app_sends_unread(large.clone())
            .on(1)
            .asks(get("/2", &[]))
            .app_begins(ok())
            .app_ends(large.clone())
            .on(0)
            .app_ends("rest"),
        script("two uploads at once")
            .begins(post("/1", &[]))
            .on(1)
            .begins(post("/2", &[]))
            .on(0)
            .sends("one")
            .on(1)
            .sends("one")
            .on(0)
            .ends("two")
            .on(1)
            .ends("two")
            .app_answers(ok())
            .on(0)
            .app_answers(ok()),
    ]
}
