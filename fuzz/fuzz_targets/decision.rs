//! Rules and requests made from any bytes. The first says whether they are matched, rewritten or sampled.
#![no_main]

#[path = "../../crates/mynah-core/tests/core/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'm', rest @ ..] => checks::check_match(rest),
        [b's', rest @ ..] => checks::check_sampling(rest),
        [_, rest @ ..] => checks::check_rewrite(rest),
        [] => {}
    }
});
