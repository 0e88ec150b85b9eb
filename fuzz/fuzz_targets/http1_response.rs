//! Any bytes in place of responses. The first byte says what they answer, the second how the rest is cut.
#![no_main]

#[allow(dead_code, reason = "a target reads one side")]
#[path = "../../crates/mynah-http1/tests/http1/checks.rs"]
mod checks;

use checks::{Side, check_stream};
use libfuzzer_sys::fuzz_target;
use mynah_http1::RequestKind;

fuzz_target!(|bytes: &[u8]| {
    if let [kind, cut, stream @ ..] = bytes {
        let kind = match kind {
            b'H' => RequestKind::Head,
            b'C' => RequestKind::Connect,
            _ => RequestKind::Other,
        };
        check_stream(Side::Responses(kind), stream, usize::from(*cut));
    }
});
