//! What holds for any rules and any request.

#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod properties;
