//! HTTP/1 on the wire, as the crate's users see it: tables of legal and illegal messages, and properties of all of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod checks;
mod edits;
mod framing;
mod generate;
mod limits;
mod properties;
mod read;
mod requests;
mod responses;
