//! Mynah on a real cluster: three nodes, requests from a client outside of them.
//!
//! `e2e/run` starts the cluster and runs these tests one after another in the client's network namespace. What is asserted
//! are counts of the applications themselves (see the crate's `main.rs`), not of Mynah. Nothing is asserted about time.

mod kit;

mod chart;
mod configuration;

mod ending;
mod ill_mirror;
mod inject;
mod recipe;
mod takeover;
