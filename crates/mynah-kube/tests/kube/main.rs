//! Inject and eject over whole manifests.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod generate;
mod identity;
mod refusals;
