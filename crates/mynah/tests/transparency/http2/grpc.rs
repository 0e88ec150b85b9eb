//! gRPC: the four kinds of calls, and how they end.

use h2::Reason;
use http::{Request, Response};
use mynah_testkit::http2::{Script, post, response, script};

const OK: &[(&str, &str)] = &[("grpc-status", "0"), ("grpc-message", "")];
const MESSAGE: &str = "\0\0\0\0\x05hello";

fn call(method: &str) -> Request<()> {
    post(
        &format!("/pkg.Echo/{method}"),
        &[
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "5S"),
            ("grpc-accept-encoding", "identity,gzip"),
        ],
    )
}

fn begun() -> Response<()> {
    response(200, &[("content-type", "application/grpc")])
}

pub(super) fn scripts() -> Vec<Script> {
    let large = "m".repeat(200_000);
    vec![
        script("a unary call")
            .begins(call("Unary"))
            .ends(MESSAGE)
            .app_begins(begun())
            .app_sends(MESSAGE)
            .app_trails(OK),
        script("a call that streams from the client")
            .begins(call("Up"))
            .sends(MESSAGE)
            .sends(MESSAGE)
            .ends("")
            .app_begins(begun())
            .app_sends(MESSAGE)
            .app_trails(OK),
        script("a call that streams from the server")
            .begins(call("Down"))
            .ends(MESSAGE)
            .app_begins(begun())
            .app_sends(MESSAGE)
            .app_sends(MESSAGE)
            .app_trails(OK),
        script("a call that streams both ways")
            .begins(call("Both"))
            .app_begins(begun())
            .sends(MESSAGE)
            .app_sends(MESSAGE)
            .sends(MESSAGE)
            .app_sends(MESSAGE)
            .ends("")
            .app_trails(OK),
        script("a large stream both ways")
            .begins(call("Both"))
            .app_begins(begun())
            .sends(large.clone())
            .app_sends(large.clone())
            .sends(large.clone())
            .app_sends(large.clone())
            .ends(large.clone())
            .app_sends(large)
            .app_trails(OK),
        script("an error in trailers only")
            .begins(call("Unary"))
            .ends(MESSAGE)
            .app_answers(response(
                200,
                &[
                    ("content-type", "application/grpc"),
                    ("grpc-status", "5"),
                    ("grpc-message", "no%20such"),
                ],
            )),
        script("an error after messages")
            .begins(call("Down"))
            .ends(MESSAGE)
            .app_begins(begun())
            .app_sends(MESSAGE)
            .app_trails(&[("grpc-status", "13"), ("grpc-status-details-bin", "AAEC")]),
        script("an error before the client has ended, and a reset without one")
            .begins(call("Up"))
            .sends(MESSAGE)
            .app_answers(response(
                200,
                &[("content-type", "application/grpc"), ("grpc-status", "8")],
            ))
            .app_resets(Reason::NO_ERROR),
        script("a call that its client cancels")
            .begins(call("Unary"))
            .ends(MESSAGE)
            .resets(Reason::CANCEL),
        script("a stream that its client cancels")
            .begins(call("Both"))
            .app_begins(begun())
            .sends(MESSAGE)
            .app_sends(MESSAGE)
            .resets(Reason::CANCEL),
        script("a deadline that passes at the server")
            .begins(call("Down"))
            .ends(MESSAGE)
            .app_begins(begun())
            .app_sends(MESSAGE)
            .app_resets(Reason::CANCEL),
    ]
}
