//! What happened between two readings, each second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reading::{Mirror, Production, Reading};

/// Production and every mirror, each second.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates {
    pub(super) production: ProductionRates,
    pub(super) mirrors: BTreeMap<String, MirrorRates>,
}

/// Production, each second.
#[derive(Debug, Clone, Default)]
pub(super) struct ProductionRates {
    pub(super) requests: f64,
    pub(super) responses: Vec<(String, f64)>,
    pub(super) errors: Vec<(String, f64)>,
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// A mirror, each second.
#[derive(Debug, Clone, Default)]
pub(super) struct MirrorRates {
    pub(super) matched: f64,
    pub(super) copies: f64,
    pub(super) delivered: f64,
    pub(super) failed: Vec<(String, f64)>,
    pub(super) shed: Vec<(String, f64)>,
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

impl Rates {
    /// None when there is nothing to compare: the process was started again in between.
    pub(super) fn between(before: &Reading, now: &Reading, time: Duration) -> Option<Self> {
        if now.production.requests < before.production.requests || time.is_zero() {
            return None;
        }
        let none = Mirror::default();
        let mirrors = now.mirrors.iter().map(|mirror| {
            let earlier = before.mirrors.iter().find(|earlier| earlier.name == mirror.name);
            let rates = MirrorRates::between(earlier.unwrap_or(&none), mirror, time);
            (mirror.name.clone(), rates)
        });
        Some(Self {
            production: ProductionRates::between(&before.production, &now.production, time),
            mirrors: mirrors.collect(),
        })
    }
}

impl ProductionRates {
    fn between(before: &Production, now: &Production, time: Duration) -> Self {
        Self {
            requests: rate(before.requests, now.requests, time),
            responses: each(&before.responses, &now.responses, time),
            errors: each(&before.errors, &now.errors, time),
            p50: now.latency.quantile_since(&before.latency, 0.5),
            p99: now.latency.quantile_since(&before.latency, 0.99),
        }
    }
}

impl MirrorRates {
    fn between(before: &Mirror, now: &Mirror, time: Duration) -> Self {
        Self {
            matched: rate(before.matched, now.matched, time),
            copies: rate(before.copies, now.copies, time),
            delivered: rate(before.delivered, now.delivered, time),
            failed: each(&before.failed, &now.failed, time),
            shed: each(&before.shed, &now.shed, time),
            p50: now.latency.quantile_since(&before.latency, 0.5),
            p99: now.latency.quantile_since(&before.latency, 0.99),
        }
    }
}

/// The sum of rates by reason.
pub(super) fn sum(rates: &[(String, f64)]) -> f64 {
    rates.iter().fold(0.0, |sum, (_, rate)| sum + rate)
}

fn rate(before: u64, now: u64, time: Duration) -> f64 {
    now.saturating_sub(before) as f64 / time.as_secs_f64()
}

/// Those that happened, the most frequent first.
fn each(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>, time: Duration) -> Vec<(String, f64)> {
    let mut rates: Vec<_> = now
        .iter()
        .map(|(key, count)| (key.clone(), rate(before.get(key).copied().unwrap_or(0), *count, time)))
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    rates.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(requests: u64, delivered: u64, window: u64) -> Reading {
        let shed = [("window".to_owned(), window), ("rate".to_owned(), 7)];
        Reading {
            production: Production {
                requests,
                ..Production::default()
            },
            mirrors: vec![Mirror {
                name: "staging".to_owned(),
                delivered,
                shed: shed.into(),
                ..Mirror::default()
            }],
            ..Reading::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let rates = Rates::between(&reading(100, 10, 0), &reading(300, 20, 4), Duration::from_secs(2)).unwrap();
        assert!((rates.production.requests - 100.0).abs() < 1e-9);
        let staging = &rates.mirrors["staging"];
        assert!((staging.delivered - 5.0).abs() < 1e-9);
        assert_eq!(staging.shed, [("window".to_owned(), 2.0)], "only what happened");
    }

    #[test]
    fn a_process_that_was_started_again_has_no_rates() {
        assert!(Rates::between(&reading(100, 0, 0), &reading(3, 0, 0), Duration::from_secs(1)).is_none());
    }
}
