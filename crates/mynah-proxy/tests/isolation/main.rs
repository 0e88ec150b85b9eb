//! The isolation contract, cell by cell: whatever a mirror does, to whatever kind of connection, production does not notice.
//!
//! `behaviours` is the one side of the matrix, the files beside it are the other: one for each shape of connection. Proxy,
//! application, mirror and clients run on one thread, on a clock that stands still while production is served. So a
//! production that waited for a mirror, even for one timer of Mynah's, would never be served. Meanwhile everything that a
//! mirror can make grow is held against its bound after every turn of the worker. Only then time passes, until no copy is
//! under way, and the accounts must add up.
#![allow(clippy::unwrap_used, reason = "tests")]

mod behaviours;
mod bounds;
mod breaker;
mod grpc;
mod http2;
mod idle;
mod keep_alive;
mod marker;
mod panics;
mod stage;
mod upload;
