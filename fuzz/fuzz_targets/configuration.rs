//! Any bytes in place of a configuration file.
#![no_main]

#[path = "../../crates/mynah-config/tests/config/checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        checks::check_text(text);
    }
});
