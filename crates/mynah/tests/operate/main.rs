//! Operating the real binary: its configuration changes under load, and it is told what to do, while every production request
//! is answered.

#![allow(clippy::unwrap_used, reason = "tests")]

mod admin;
mod api;
mod attacks;
mod commands;
mod contract;
mod harness;
mod reload;
mod storm;
