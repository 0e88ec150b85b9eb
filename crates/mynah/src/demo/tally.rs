//! What happened during each scene: what the client saw, and how the copies ended.

use std::time::Duration;

use mynah_core::Outcome;
use mynah_proxy::{MirrorTotals, Totals};

use super::client::Answer;

/// What happened, as far as it was counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Requests that production was asked, whoever asked.
    pub(crate) asked: u64,
    /// Requests of the demo's client that were not answered with a success.
    pub(crate) errors: u64,
    /// How long its requests took.
    pub(crate) latencies: Latencies,
    /// Requests that could be copied.
    pub(crate) matched: u64,
    /// Copies made of them.
    pub(crate) copies: u64,
    /// Copies that ended, by [`Outcome::index`].
    pub(crate) outcomes: [u64; Outcome::COUNT],
}

impl Tally {
    /// Adds what the client saw.
    pub(crate) fn saw(&mut self, answer: Answer) {
        self.latencies.record(answer.took);
        self.errors += u64::from(!answer.well);
    }

    /// Adds what the proxy counted between two looks at its only mirror.
    pub(crate) fn counted(&mut self, before: &Totals, now: &Totals) {
        self.asked += now.requests - before.requests;
        let (Some(before), Some(now)) = (before.mirrors.first(), now.mirrors.first()) else {
            return;
        };
        self.matched += now.matched - before.matched;
        self.copies += now.copies - before.copies;
        for (sum, (now, before)) in self.outcomes.iter_mut().zip(now.outcomes.iter().zip(before.outcomes)) {
            *sum += now - before;
        }
    }

    /// Everything in two tallies.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.asked += other.asked;
        self.errors += other.errors;
        self.matched += other.matched;
        self.copies += other.copies;
        self.latencies.add(&other.latencies);
        self.outcomes
            .iter_mut()
            .zip(other.outcomes)
            .for_each(|(sum, n)| *sum += n);
        self
    }

    /// Copies with an outcome of this kind: `delivered`, `failed` or `shed`.
    pub(crate) fn ended(&self, kind: &str) -> u64 {
        let counted = Outcome::all().zip(self.outcomes);
        counted.filter(|(o, _)| o.as_str() == kind).map(|(_, n)| n).sum()
    }

    /// The reasons of one kind with their counts, without those that never happened.
    pub(crate) fn reasons(&self, kind: &str) -> Vec<(&'static str, u64)> {
        let counted = Outcome::all().zip(self.outcomes);
        counted
            .filter(|(o, n)| o.as_str() == kind && *n > 0)
            .map(|(o, n)| (o.reason(), n))
            .collect()
    }
}

/// Whether every request got its share of copies and every copy one outcome, with nothing under way.
pub(crate) fn adds_up(mirror: &MirrorTotals) -> bool {
    let expected = u128::from(mirror.matched) * u128::from(mirror.ratio.units());
    let made = u128::from(mirror.copies) * u128::from(mynah_core::Ratio::ONE.units());
    let within_one = expected.abs_diff(made) <= u128::from(mynah_core::Ratio::ONE.units());
    within_one && mirror.copies == mirror.outcomes.iter().sum::<u64>()
}

/// Each bucket ends this much above the one before.
const STEP: f64 = 1.02;
/// Enough buckets for several minutes.
const BUCKETS: usize = 1024;

/// Durations, to within two percent.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: Box::new([0; BUCKETS]),
            count: 0,
        }
    }
}

impl Latencies {
    fn record(&mut self, took: Duration) {
        let bucket = (took.as_micros().max(1) as f64).log(STEP) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.buckets
            .iter_mut()
            .zip(*other.buckets)
            .for_each(|(sum, n)| *sum += n);
    }

    /// The duration that this share (0 to 1) of all did not exceed; none without any.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        Some(Duration::from_micros(STEP.powi(bucket as i32 + 1) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_within_two_percent() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        (1..=1000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latencies.quantile(share).unwrap().as_secs_f64() * 1e3;
            assert!((found / ms - 1.0).abs() < 0.02, "{share}: {found} ms");
        }
    }
}
