//! What the admin API says at one moment, as far as `mynah top` shows it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Everything at a glance.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Reading {
    pub(super) version: String,
    pub(super) generation: u64,
    pub(super) draining: bool,
    pub(super) production: Production,
    pub(super) mirrors: Vec<Mirror>,
}

/// Production since the start.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Production {
    pub(super) requests: u64,
    pub(super) responses: BTreeMap<String, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) connections: u64,
    pub(super) held_bytes: u64,
    pub(super) latency: Latency,
}

/// A mirror since the start.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Mirror {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) breaker: String,
    pub(super) ratio: String,
    pub(super) configured_ratio: String,
    #[serde(default)]
    pub(super) effective_ratio: Option<String>,
    pub(super) paused: bool,
    pub(super) matched: u64,
    pub(super) copies: u64,
    pub(super) delivered: u64,
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) shed: BTreeMap<String, u64>,
    pub(super) in_flight: u64,
    pub(super) connections: u64,
    pub(super) latency: Latency,
}

/// Durations, counted by bucket; a count is of those that are within its bound.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Latency {
    pub(super) buckets: Vec<Bucket>,
}

/// How many were within a bound; the last has none.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Bucket {
    pub(super) le_seconds: Option<f64>,
    pub(super) count: u64,
}

impl Latency {
    /// A quantile, in seconds, of what came since another reading: the bound of the bucket that it is in. None when nothing
    /// came, or it is past the last bound.
    pub(super) fn quantile_since(&self, before: &Self, share: f64) -> Option<f64> {
        let counted = |i: usize, bucket: &Bucket| {
            let earlier = before.buckets.get(i).map_or(0, |bucket| bucket.count);
            bucket.count.saturating_sub(earlier)
        };
        let total = self.buckets.last().map(|last| counted(self.buckets.len() - 1, last))?;
        if total == 0 {
            return None;
        }
        let wanted = share * total as f64;
        let within = self.buckets.iter().enumerate();
        within
            .map(|(i, bucket)| (bucket.le_seconds, counted(i, bucket)))
            .find(|(_, count)| *count as f64 >= wanted)?
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(counts: [u64; 3]) -> Latency {
        let bounds = [Some(0.001), Some(0.01), None];
        let buckets = bounds.into_iter().zip(counts);
        Latency {
            buckets: buckets
                .map(|(le_seconds, count)| Bucket { le_seconds, count })
                .collect(),
        }
    }

    #[test]
    fn a_quantile_is_of_what_came_since() {
        let before = latency([100, 100, 100]);
        let now = latency([150, 199, 200]);
        assert_eq!(now.quantile_since(&before, 0.5), Some(0.001));
        assert_eq!(now.quantile_since(&before, 0.99), Some(0.01));
        assert_eq!(now.quantile_since(&before, 1.0), None, "past the last bound");
        assert_eq!(now.quantile_since(&now, 0.5), None, "nothing came");
        assert_eq!(now.quantile_since(&Latency::default(), 0.5), Some(0.001));
    }
}
