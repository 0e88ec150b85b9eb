//! Programs that people run, before, behind and beside the real binary: what they see and count must be what they would
//! without Mynah, and what Mynah counts.
//!
//! `e2e/install-peers` installs them; the tests are ignored without. Those that speak HTTP/2 have it in their names.
#![allow(clippy::unwrap_used, reason = "tests")]

mod browser;
mod curl;
mod grpc;
mod harness;
mod nginx;
mod server;
mod websocket;
