//! Access logs of the real binary: lines compared whole, however the request ended and whatever the disk does.
#![allow(clippy::unwrap_used, reason = "tests")]

mod endings;
mod harness;
mod lines;
mod reload;
mod secrets;
mod trace;
mod writing;
