//! What holds for any text in place of a configuration file.

#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod properties;
