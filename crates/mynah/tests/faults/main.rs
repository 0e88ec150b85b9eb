//! What dies while requests are under way, dies alone: the real binary, with the application, the mirror, the client or
//! Mynah itself ended in the middle of something.
//!
//! Every test ends with the accounts of the copies, which must add up whatever happened, and with the production errors,
//! of which there may be only those that a direct connection would have had as well.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod descriptors;
mod harness;
mod http2;
mod mirror;
mod signals;
mod upstream;
