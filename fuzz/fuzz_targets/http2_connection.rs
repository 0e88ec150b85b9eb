//! Any frames on an HTTP/2 connection to a proxy that runs, whose upstream speaks HTTP/1. The first byte says whether the rest are
//! frames already, or what frames are made from.
#![no_main]

#[allow(dead_code, reason = "a target checks one protocol")]
#[path = "../../crates/mynah-proxy/tests/connection/checks.rs"]
mod checks;
#[path = "../../crates/mynah-proxy/tests/connection/read.rs"]
mod read;
#[path = "../../crates/mynah-proxy/tests/connection/stage.rs"]
mod stage;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static STAGE: LazyLock<stage::Stage> = LazyLock::new(|| stage::Stage::start("http1"));

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'r', stream @ ..] => checks::check_http2(&STAGE, stream),
        [_, rest @ ..] => checks::check_http2(&STAGE, &checks::frames(rest)),
        [] => 0,
    };
});
