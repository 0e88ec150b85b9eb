//! Counters: written by one worker each, summed when somebody reads them.
//!
//! Every counter has a single writer, so an increment is a load and a store and never a locked instruction; readers on
//! the control thread see values that may be a moment old. What the figures mean in the outside world is in
//! [`crate::metrics`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use mynah_core::{BreakerState, NotCopied, Outcome, Ratio};

use crate::access_log::AccessLogs;
use crate::exchange;

/// A count with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that rises and falls, with one writer.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, n: i64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn set(&self, n: i64) {
        self.0.store(n, Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Whose side a production error was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client sent what cannot be served, or went away.
    Client,
    /// The application failed.
    Upstream,
    /// Mynah failed.
    Internal,
}

/// Why a production request or connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductionError {
    /// The client's message was refused; the response says with which status.
    BadRequest,
    /// The request head did not arrive in time; 408.
    HeadTimeout,
    /// The client went away before its request or its response had ended.
    ClientAborted,
    /// The PROXY protocol header was missing or wrong.
    ProxyProtocol,
    /// The client's TLS handshake failed.
    ClientTls,
    /// The upstream's name does not resolve; 502.
    Resolve,
    /// The upstream refused the connection or could not be reached; 502.
    Connect,
    /// No connection to the upstream in time; 504.
    ConnectTimeout,
    /// TLS with the upstream failed; 502.
    UpstreamTls,
    /// No response head in time; 504.
    ResponseTimeout,
    /// The upstream closed the connection before it answered; 502.
    UpstreamClosed,
    /// The upstream's response was malformed; 502.
    BadResponse,
    /// The upstream closed the connection within a response; the client's connection is closed as well.
    Truncated,
    /// A defect in Mynah ended a client's connection.
    Panic,
}

impl ProductionError {
    /// All of them, in the order of their index.
    pub const ALL: [ProductionError; 14] = [
        Self::BadRequest,
        Self::HeadTimeout,
        Self::ClientAborted,
        Self::ProxyProtocol,
        Self::ClientTls,
        Self::Resolve,
        Self::Connect,
        Self::ConnectTimeout,
        Self::UpstreamTls,
        Self::ResponseTimeout,
        Self::UpstreamClosed,
        Self::BadResponse,
        Self::Truncated,
        Self::Panic,
    ];

    /// The value of the metric's `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HeadTimeout => "head_timeout",
            Self::ClientAborted => "aborted",
            Self::ProxyProtocol => "proxy_protocol",
            Self::ClientTls | Self::UpstreamTls => "tls",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::UpstreamClosed => "closed",
            Self::BadResponse => "bad_response",
            Self::Truncated => "truncated",
            Self::Panic => "panic",
        }
    }

    /// Whose side it was on.
    pub fn side(self) -> Side {
        match self {
            Self::BadRequest | Self::HeadTimeout | Self::ClientAborted | Self::ProxyProtocol | Self::ClientTls => {
                Side::Client
            }
            Self::Panic => Side::Internal,
            _ => Side::Upstream,
        }
    }

    /// The status that the client gets when nothing of a response was sent yet.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::ProxyProtocol | Self::ClientTls => 400,
            Self::HeadTimeout => 408,
            Self::ConnectTimeout | Self::ResponseTimeout => 504,
            Self::Panic => 500,
            _ => 502,
        }
    }
}

/// Upper bounds of the latency buckets, in microseconds.
pub const LATENCY_BUCKETS_US: [u64; 19] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// Durations, counted by bucket; the last bucket has no bound.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: [Counter; LATENCY_BUCKETS_US.len() + 1],
    sum_us: Counter,
}

impl Latency {
    pub(crate) fn record(&self, took: Duration) {
        let us = took.as_micros() as u64;
        self.buckets[LATENCY_BUCKETS_US.partition_point(|bound| *bound < us)].add(1);
        self.sum_us.add(us);
    }

    fn add_to(&self, sum: &mut LatencyTotals) {
        for (total, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.get();
        }
        sum.sum += Duration::from_micros(self.sum_us.get());
    }
}

/// What one worker counted of production.
#[derive(Debug, Default)]
pub(crate) struct WorkerStats {
    pub(crate) requests: Counter,
    /// Final responses by the first digit of their status, 1 to 5.
    pub(crate) responses: [Counter; 5],
    pub(crate) errors: [Counter; ProductionError::ALL.len()],
    pub(crate) latency: Latency,
    pub(crate) accepted: Counter,
    pub(crate) connections: Gauge,
    /// Requests sent again on a new connection because the old one had been closed in the meantime.
    pub(crate) resent: Counter,
    pub(crate) held_bytes: Gauge,
    /// Times that accepting paused for want of file descriptors or because of the connection limit.
    pub(crate) accept_paused: Counter,
}

impl WorkerStats {
    pub(crate) fn error(&self, error: ProductionError) {
        self.errors[error as usize].add(1);
        tracing::debug!(reason = error.as_str(), side = ?error.side(), "production error");
    }

    pub(crate) fn response(&self, status: u16, took: Duration) {
        self.responses[usize::from((status / 100).clamp(1, 5)) - 1].add(1);
        self.latency.record(took);
    }

    /// How a decoded exchange ended, and with which status, if there was one.
    pub(crate) fn exchange(&self, status: Option<u16>, outcome: exchange::Outcome, took: Duration) {
        if let exchange::Outcome::Failed(Some(error)) = outcome {
            self.error(error);
        }
        if let Some(status) = status {
            self.response(status, took);
        }
    }
}

/// What one worker counted of one mirror.
#[derive(Debug, Default)]
pub(crate) struct MirrorStats {
    pub(crate) matched: Counter,
    pub(crate) copies: Counter,
    pub(crate) not_copied: [Counter; NotCopied::COUNT],
    pub(crate) outcomes: [Counter; Outcome::COUNT],
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) latency: Latency,
    /// What of the ratio is held back because the mirror is failing or slowing, in units of 0.0001 %.
    pub(crate) held_back: AtomicU32,
    /// Responses of which no more was read past the bound.
    pub(crate) responses_cut: Counter,
    /// Closed, open or half open, as its discriminant.
    pub(crate) breaker: AtomicU32,
}

/// What became of the lines of one access log; every worker and the log's thread write here.
#[derive(Debug, Default)]
pub(crate) struct LogStats {
    pub(crate) lines: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) errors: AtomicU64,
    /// Bytes handed over and not yet written.
    pub(crate) waiting: AtomicUsize,
}

impl LogStats {
    pub(crate) fn totals(&self, mirror: &Option<String>) -> LogTotals {
        LogTotals {
            mirror: mirror.clone(),
            lines: self.lines.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}

/// A mirror as every worker sees it.
#[derive(Debug, Clone)]
pub(crate) struct MirrorEntry {
    pub(crate) name: String,
    pub(crate) ratio: Arc<SharedRatio>,
    pub(crate) workers: Vec<Arc<MirrorStats>>,
    /// It is in the configuration; otherwise it once was.
    pub(crate) configured: bool,
}

/// A mirror's ratio, readable by every worker and changed from outside.
#[derive(Debug)]
pub(crate) struct SharedRatio {
    now: AtomicU32,
    configured: AtomicU32,
    paused: AtomicBool,
}

impl SharedRatio {
    pub(crate) fn new(ratio: Ratio) -> Self {
        Self {
            now: AtomicU32::new(ratio.units()),
            configured: AtomicU32::new(ratio.units()),
            paused: AtomicBool::new(false),
        }
    }

    /// Makes the configured ratio the one in force, and resumes copies. What that replaces, if it had been changed.
    pub(crate) fn configure(&self, ratio: Ratio) -> Option<String> {
        let (before, configured) = (self.get(), self.configured());
        self.set(ratio);
        self.configured.store(ratio.units(), Relaxed);
        let paused = self.paused.swap(false, Relaxed);
        match (before == configured, paused) {
            (true, false) => None,
            (true, true) => Some("paused".to_owned()),
            (false, false) => Some(format!("ratio {before}")),
            (false, true) => Some(format!("ratio {before}, paused")),
        }
    }

    fn set(&self, ratio: Ratio) {
        self.now.store(ratio.units(), Relaxed);
    }

    /// The ratio in force.
    pub(crate) fn get(&self) -> Ratio {
        Ratio::from_units(self.now.load(Relaxed)).unwrap_or(Ratio::ZERO)
    }

    fn configured(&self) -> Ratio {
        Ratio::from_units(self.configured.load(Relaxed)).unwrap_or(Ratio::ZERO)
    }

    /// Whether copies are shed until they are resumed.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Relaxed)
    }
}

/// Every counter of a running proxy; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stats {
    pub(crate) workers: Vec<Arc<WorkerStats>>,
    pub(crate) mirrors: Arc<ArcSwap<Vec<MirrorEntry>>>,
    pub(crate) config: Arc<ConfigStats>,
    pub(crate) access_logs: AccessLogs,
}

/// What became of configurations. Written by the control thread.
#[derive(Debug, Default)]
pub(crate) struct ConfigStats {
    pub(crate) applied: Counter,
    pub(crate) refused: Counter,
    /// Seconds since 1970 when the running configuration was taken into use.
    pub(crate) applied_at: Counter,
    /// From 1, one more with each configuration that is taken into use.
    pub(crate) generation: Counter,
    /// The hash of the running configuration's file; empty without a file.
    pub(crate) hash: ArcSwap<String>,
    /// The running configuration for people to look at.
    pub(crate) shown: ArcSwap<String>,
}

/// Latencies, summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencyTotals {
    /// Counts by bucket of [`LATENCY_BUCKETS_US`], the last without a bound.
    pub buckets: [u64; LATENCY_BUCKETS_US.len() + 1],
    /// Sum of all durations.
    pub sum: Duration,
}

impl LatencyTotals {
    /// Durations recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many durations were within each bound; all of them within the last, which is none.
    pub(crate) fn within(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = LATENCY_BUCKETS_US.iter().map(|us| Some(Duration::from_micros(*us)));
        let counts = self.buckets.iter().scan(0, |seen, n| {
            *seen += n;
            Some(*seen)
        });
        bounds.chain([None]).zip(counts)
    }

    /// Upper bound of the bucket in which the given share (0 to 1) of the durations is reached; none without durations.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets
            .iter()
            .position(|n| {
                seen += n;
                seen >= rank
            })
            .map(|i| Duration::from_micros(*LATENCY_BUCKETS_US.get(i).unwrap_or(&u64::MAX)))
    }
}

/// Sums over all workers at one moment.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Requests whose head was accepted.
    pub requests: u64,
    /// Final responses by the first digit of their status, 1 to 5.
    pub responses: [u64; 5],
    /// Errors, in the order of [`ProductionError::ALL`].
    pub errors: [u64; ProductionError::ALL.len()],
    /// From the request's head to the end of its response.
    pub latency: LatencyTotals,
    /// Connections accepted.
    pub accepted: u64,
    /// Client connections open.
    pub connections: u64,
    /// Requests sent again on a new upstream connection.
    pub resent: u64,
    /// Bytes held for copies.
    pub held_bytes: u64,
    /// Times that accepting paused.
    pub accept_paused: u64,
    /// By mirror, in the order of the configuration; and then those that were in an earlier one.
    pub mirrors: Vec<MirrorTotals>,
    /// What became of configurations.
    pub config: ConfigTotals,
    /// By access log that there is or was.
    pub access_logs: Vec<LogTotals>,
}

/// What became of the lines of one access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTotals {
    /// The mirror's name; none for production's log.
    pub mirror: Option<String>,
    /// Lines written.
    pub lines: u64,
    /// Lines dropped because they could not be written in time.
    pub dropped: u64,
    /// Times that writing failed.
    pub errors: u64,
}

/// What became of configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigTotals {
    /// Reloads whose configuration was taken into use.
    pub applied: u64,
    /// Reloads that were refused and changed nothing.
    pub refused: u64,
    /// Seconds since 1970 when the running configuration was taken into use.
    pub applied_at: u64,
    /// From 1, one more with each configuration that is taken into use.
    pub generation: u64,
    /// The hash of the running configuration's file, the same wherever the file is the same; empty without a file.
    pub hash: String,
}

impl Totals {
    /// Errors on one side.
    pub fn errors_of(&self, side: Side) -> u64 {
        ProductionError::ALL
            .iter()
            .zip(self.errors)
            .filter(|(e, _)| e.side() == side)
            .map(|(_, n)| n)
            .sum()
    }
}

/// Sums of one mirror over all workers at one moment.
#[derive(Debug, Clone)]
pub struct MirrorTotals {
    /// Its name.
    pub name: String,
    /// Whether the running configuration has it; an earlier one had it otherwise.
    pub configured: bool,
    /// The ratio in force.
    pub ratio: Ratio,
    /// The ratio that the configuration says.
    pub configured_ratio: Ratio,
    /// Copies are shed until they are resumed.
    pub paused: bool,
    /// What is sent of it: less than `ratio` while an adaptive mirror is failing or slowing.
    pub effective_ratio: Ratio,
    /// Requests that could be copied to it.
    pub matched: u64,
    /// Copies made of them, however they ended.
    pub copies: u64,
    /// Requests that a route names this mirror for and that are never copied, in the order of [`NotCopied::ALL`].
    pub not_copied: [u64; NotCopied::COUNT],
    /// Copies ended, by [`Outcome::index`].
    pub outcomes: [u64; Outcome::COUNT],
    /// Copies that have not ended.
    pub in_flight: u64,
    /// Connections open to it.
    pub connections: u64,
    /// From the hand-over to the end of the mirror's response, of delivered copies.
    pub latency: LatencyTotals,
    /// Responses that were longer than what is read of one; their copies are delivered.
    pub responses_cut: u64,
    /// The most open state that any worker's breaker is in.
    pub breaker: BreakerState,
}

impl Stats {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Arc::default()).collect(),
            mirrors: Arc::default(),
            config: Arc::default(),
            access_logs: AccessLogs::default(),
        }
    }

    /// Sets the ratio of a mirror of the running configuration. Whether there is one of this name.
    pub(crate) fn set_ratio(&self, name: &str, ratio: Ratio) -> bool {
        self.change(Some(name), |mirror| mirror.set(ratio))
    }

    /// Has the copies to a mirror, or all, be shed from now on, or no more. Whether there is one of this name.
    pub(crate) fn pause(&self, name: Option<&str>, paused: bool) -> bool {
        self.change(name, |mirror| mirror.paused.store(paused, Relaxed))
    }

    fn change(&self, name: Option<&str>, change: impl Fn(&SharedRatio)) -> bool {
        let mirrors = self.mirrors.load();
        let named = |entry: &&MirrorEntry| entry.configured && name.is_none_or(|name| entry.name == name);
        mirrors.iter().filter(named).map(|entry| change(&entry.ratio)).count() > 0
    }

    /// Sums over all workers, now.
    pub fn totals(&self) -> Totals {
        let mut t = Totals::default();
        for w in &self.workers {
            t.requests += w.requests.get();
            t.accepted += w.accepted.get();
            t.connections += w.connections.get().max(0) as u64;
            t.resent += w.resent.get();
            t.held_bytes += w.held_bytes.get().max(0) as u64;
            t.accept_paused += w.accept_paused.get();
            t.responses
                .iter_mut()
                .zip(&w.responses)
                .for_each(|(sum, n)| *sum += n.get());
            t.errors.iter_mut().zip(&w.errors).for_each(|(sum, n)| *sum += n.get());
            w.latency.add_to(&mut t.latency);
        }
        t.mirrors = self.mirrors.load().iter().map(MirrorEntry::totals).collect();
        t.config = self.config.totals();
        t.access_logs = self.access_logs.totals();
        t
    }
}

impl ConfigStats {
    fn totals(&self) -> ConfigTotals {
        ConfigTotals {
            applied: self.applied.get(),
            refused: self.refused.get(),
            applied_at: self.applied_at.get(),
            generation: self.generation.get(),
            hash: self.hash.load().to_string(),
        }
    }
}

impl MirrorEntry {
    /// The ratio without what is held back, the mean over all workers.
    fn effective_ratio(&self) -> Ratio {
        let one = u64::from(Ratio::ONE.units());
        let shares = self
            .workers
            .iter()
            .map(|w| one - u64::from(w.held_back.load(Relaxed)).min(one));
        let whole = one * self.workers.len().max(1) as u64;
        let ratio = self.ratio.get();
        let units = u64::from(ratio.units()) * shares.sum::<u64>() / whole;
        Ratio::from_units(units as u32).unwrap_or(ratio)
    }

    fn totals(&self) -> MirrorTotals {
        let mut t = MirrorTotals {
            name: self.name.clone(),
            configured: self.configured,
            ratio: if self.configured { self.ratio.get() } else { Ratio::ZERO },
            configured_ratio: if self.configured {
                self.ratio.configured()
            } else {
                Ratio::ZERO
            },
            paused: self.configured && self.ratio.is_paused(),
            effective_ratio: if self.configured {
                self.effective_ratio()
            } else {
                Ratio::ZERO
            },
            matched: 0,
            copies: 0,
            not_copied: [0; NotCopied::COUNT],
            outcomes: [0; Outcome::COUNT],
            in_flight: 0,
            connections: 0,
            latency: LatencyTotals::default(),
            responses_cut: 0,
            breaker: BreakerState::Closed,
        };
        for w in &self.workers {
            // Outcomes before copies: a copy that ends meanwhile is never counted as ended but not made.
            t.outcomes
                .iter_mut()
                .zip(&w.outcomes)
                .for_each(|(sum, n)| *sum += n.get());
            t.not_copied
                .iter_mut()
                .zip(&w.not_copied)
                .for_each(|(sum, n)| *sum += n.get());
            t.in_flight += w.in_flight.get().max(0) as u64;
            t.connections += w.connections.get().max(0) as u64;
            t.copies += w.copies.get();
            t.matched += w.matched.get();
            t.responses_cut += w.responses_cut.get();
            w.latency.add_to(&mut t.latency);
            t.breaker = match (t.breaker, w.breaker.load(Relaxed)) {
                (_, 1) | (BreakerState::Open, _) => BreakerState::Open,
                (_, 2) => BreakerState::HalfOpen,
                (state, _) => state,
            };
        }
        t
    }
}
