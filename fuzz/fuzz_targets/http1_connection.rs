//! Any bytes on a connection to a proxy that runs. The first byte says how the rest is cut.
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

static STAGE: LazyLock<stage::Stage> = LazyLock::new(|| stage::Stage::start("same"));

fuzz_target!(|bytes: &[u8]| {
    if let [cut, stream @ ..] = bytes {
        checks::check_http1(&STAGE, stream, usize::from(*cut));
    }
});
