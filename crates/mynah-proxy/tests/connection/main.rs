//! Whole connections of any bytes, through a proxy that runs: what its upstream sees, whatever a client sends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod properties;
mod read;
mod stage;
