//! Any bytes in place of requests. The first byte says how the rest is cut.
#![no_main]

#[allow(dead_code, reason = "a target reads one side")]
#[path = "../../crates/mynah-http1/tests/http1/checks.rs"]
mod checks;

use checks::{Side, check_stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let [cut, stream @ ..] = bytes {
        check_stream(Side::Requests, stream, usize::from(*cut));
    }
});
