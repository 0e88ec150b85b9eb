//! What an application remembers of the requests that reached it, and how a request tells whether it is whole.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// What `/stats` tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests, whatever they were.
    pub requests: u64,
    /// Requests whose number had been seen before.
    pub double: u64,
    /// Requests that did not fit their digest, or that broke off.
    pub torn: u64,
    /// Probes of the kubelet on any path but `/healthz`.
    pub probes: u64,
}

/// Requests, by number.
#[derive(Default)]
pub struct Ledger {
    seen: HashSet<String>,
    stats: Stats,
}

impl Ledger {
    /// A request came, with these fields, and has this digest if it came whole.
    pub fn request(&mut self, id: Option<&str>, told: Option<&str>, digest: Option<&str>) {
        self.stats.requests += 1;
        if digest.is_none() || told.is_some_and(|told| Some(told) != digest) {
            self.stats.torn += 1;
        }
        if id.is_some_and(|id| !self.seen.insert(id.to_owned())) {
            self.stats.double += 1;
        }
    }

    /// A probe of the kubelet came.
    pub fn probe(&mut self) {
        self.stats.probes += 1;
    }

    /// All so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// A digest of a request (FNV-1a). `/entrance` is left out: the recipe's proxy cuts it off for the application beside it.
pub fn digest(method: &str, target: &str, body: &[u8]) -> String {
    let target = target.strip_prefix("/entrance").unwrap_or(target);
    let parts = [method.as_bytes(), b" ", target.as_bytes(), b"\n", body];
    let hash = parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{hash:016x}")
}
