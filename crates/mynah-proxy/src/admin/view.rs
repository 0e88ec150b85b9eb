//! What the API shows, and what it takes.

use std::collections::BTreeMap;

use mynah_core::{BreakerState, NotCopied, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Admin;
use crate::stats::{LatencyTotals, MirrorTotals, ProductionError, Side, Totals};

/// Everything at a glance.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// The version of Mynah.
    version: String,
    /// Configurations taken into use so far, the first at start included.
    generation: u64,
    /// The hash of the running configuration's file; empty without a file.
    hash: String,
    /// No more clients are accepted.
    draining: bool,
    /// Production.
    production: Production,
    /// The mirrors, in the order of the configuration.
    mirrors: Vec<Mirror>,
}

/// What production has seen since the start.
#[derive(Debug, Serialize, JsonSchema)]
struct Production {
    /// Requests whose head was accepted.
    requests: u64,
    /// Final responses by class, such as `2xx`.
    responses: BTreeMap<&'static str, u64>,
    /// Errors by side and reason, such as `upstream connect`; those that happened.
    errors: BTreeMap<String, u64>,
    /// Client connections open.
    connections: u64,
    /// Bytes held for copies, over all mirrors.
    held_bytes: u64,
    /// From the head of a request to the end of its response.
    latency: Latency,
}

/// The mirrors.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Mirrors {
    /// In the order of the configuration.
    mirrors: Vec<Mirror>,
}

/// A mirror, and what it has seen since the start.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Mirror {
    /// Its name.
    name: String,
    /// What it is doing.
    state: State,
    /// Copies per matching request, as in force.
    ratio: String,
    /// The same as in the configuration.
    configured_ratio: String,
    /// What is sent of `ratio`: less while an adaptive mirror is failing or slowing.
    effective_ratio: String,
    /// Copies are paused.
    paused: bool,
    /// The circuit breaker, the most open of all workers.
    breaker: Breaker,
    /// Requests that could be copied.
    matched: u64,
    /// Requests of its routes that are never copied, by reason; those that happened.
    not_copied: BTreeMap<&'static str, u64>,
    /// Copies made; each is one of delivered, failed, shed or in flight.
    copies: u64,
    /// Copies whose response was read.
    delivered: u64,
    /// Copies that did not reach their end, by reason; those that happened.
    failed: BTreeMap<&'static str, u64>,
    /// Copies given up on purpose, by reason; those that happened.
    shed: BTreeMap<&'static str, u64>,
    /// Copies that have not ended.
    in_flight: u64,
    /// Connections open.
    connections: u64,
    /// From the hand-over of a copy to the end of the mirror's response, of delivered copies.
    latency: Latency,
}

/// What a mirror is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Copies are sent.
    Running,
    /// Copies are shed until they are resumed.
    Paused,
    /// The mirror is failing: copies are shed but for a probe now and then.
    Failing,
}

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Breaker {
    /// Copies pass.
    Closed,
    /// One copy finds out whether the mirror is well.
    HalfOpen,
    /// Copies are shed.
    Open,
}

/// Durations, as upper bounds of the bucket that they are in.
#[derive(Debug, Serialize, JsonSchema)]
struct Latency {
    /// How many.
    count: u64,
    /// Seconds that half of them did not pass; none when there are none, or it is beyond the last bucket.
    p50_seconds: Option<f64>,
    /// The same of 90 %.
    p90_seconds: Option<f64>,
    /// The same of 99 %.
    p99_seconds: Option<f64>,
    /// How many were within each bound, the largest last; what has grown between two calls tells of that time.
    buckets: Vec<Bucket>,
}

/// Durations within a bound.
#[derive(Debug, Serialize, JsonSchema)]
struct Bucket {
    /// The bound in seconds; the last has none.
    le_seconds: Option<f64>,
    /// How many.
    count: u64,
}

/// A ratio.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ratio {
    /// Copies per matching request, `0%` to `10000%` in steps of `0.0001%`.
    pub(super) ratio: String,
}

/// What is logged.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevel {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,mynah_proxy=debug`.
    pub(super) level: String,
}

/// The running configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Config {
    /// Configurations taken into use so far, the first at start included.
    generation: u64,
    /// The hash of its file; empty without a file.
    hash: String,
    /// When it was taken into use, in seconds since 1970.
    applied_at: u64,
    /// The whole of it as YAML, with every default. Values of header fields are hidden.
    effective: String,
}

/// What a reload has done.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Reloaded {
    /// Configurations taken into use so far, with this one.
    pub(super) generation: u64,
    /// The hash of its file.
    pub(super) hash: String,
    /// Keys whose change needs a restart and was left out.
    pub(super) needs_restart: Vec<&'static str>,
    /// What had been changed at run time and is now as configured again.
    pub(super) replaced: Vec<String>,
}

/// A drain that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Draining {
    /// Always true.
    pub(super) draining: bool,
}

impl Status {
    pub(super) fn of(admin: &Admin) -> Self {
        let totals = admin.stats.totals();
        Self {
            version: admin.about.version.clone(),
            generation: totals.config.generation,
            hash: totals.config.hash.clone(),
            draining: admin.stop.is_draining(),
            production: Production::of(&totals),
            mirrors: Mirrors::of(&totals).mirrors,
        }
    }
}

impl Production {
    fn of(totals: &Totals) -> Self {
        let side = |side| match side {
            Side::Client => "client",
            Side::Upstream => "upstream",
            Side::Internal => "internal",
        };
        let errors = ProductionError::ALL.into_iter().zip(totals.errors);
        Self {
            requests: totals.requests,
            responses: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .into_iter()
                .zip(totals.responses)
                .collect(),
            errors: errors
                .filter(|(_, n)| *n > 0)
                .map(|(error, n)| (format!("{} {}", side(error.side()), error.as_str()), n))
                .collect(),
            connections: totals.connections,
            held_bytes: totals.held_bytes,
            latency: Latency::of(&totals.latency),
        }
    }
}

impl Mirrors {
    pub(super) fn of(totals: &Totals) -> Self {
        let configured = totals.mirrors.iter().filter(|mirror| mirror.configured);
        Self {
            mirrors: configured.map(Mirror::of).collect(),
        }
    }
}

impl Mirror {
    /// The mirror of this name, if the running configuration has it.
    pub(super) fn named(totals: &Totals, name: &str) -> Option<Self> {
        let named = |mirror: &&MirrorTotals| mirror.configured && mirror.name == name;
        totals.mirrors.iter().find(named).map(Self::of)
    }

    fn of(totals: &MirrorTotals) -> Self {
        let outcomes = || Outcome::all().zip(totals.outcomes).filter(|(_, n)| *n > 0);
        let by_reason = |kind: &str| {
            outcomes()
                .filter(|(outcome, _)| outcome.as_str() == kind)
                .map(|(outcome, n)| (outcome.reason(), n))
                .collect()
        };
        Self {
            name: totals.name.clone(),
            state: match (totals.paused, totals.breaker) {
                (true, _) => State::Paused,
                (false, BreakerState::Closed) => State::Running,
                (false, _) => State::Failing,
            },
            ratio: totals.ratio.to_string(),
            configured_ratio: totals.configured_ratio.to_string(),
            effective_ratio: totals.effective_ratio.to_string(),
            paused: totals.paused,
            breaker: match totals.breaker {
                BreakerState::Closed => Breaker::Closed,
                BreakerState::HalfOpen => Breaker::HalfOpen,
                BreakerState::Open => Breaker::Open,
            },
            matched: totals.matched,
            not_copied: NotCopied::ALL
                .into_iter()
                .zip(totals.not_copied)
                .filter(|(_, n)| *n > 0)
                .map(|(reason, n)| (reason.as_str(), n))
                .collect(),
            copies: totals.copies,
            delivered: totals.outcomes[Outcome::Delivered.index()],
            failed: by_reason("failed"),
            shed: by_reason("shed"),
            in_flight: totals.in_flight,
            connections: totals.connections,
            latency: Latency::of(&totals.latency),
        }
    }
}

impl Latency {
    fn of(totals: &LatencyTotals) -> Self {
        let bound = |share| {
            let bound = totals.quantile(share)?;
            (bound.as_micros() < u128::from(u64::MAX)).then_some(bound.as_secs_f64())
        };
        Self {
            count: totals.count(),
            p50_seconds: bound(0.5),
            p90_seconds: bound(0.9),
            p99_seconds: bound(0.99),
            buckets: totals
                .within()
                .map(|(bound, count)| Bucket {
                    le_seconds: bound.map(|bound| bound.as_secs_f64()),
                    count,
                })
                .collect(),
        }
    }
}

impl Config {
    pub(super) fn of(admin: &Admin) -> Self {
        let totals = admin.stats.totals().config;
        Self {
            effective: admin.stats.config.shown.load().to_string(),
            generation: totals.generation,
            hash: totals.hash,
            applied_at: totals.applied_at,
        }
    }
}
