//! The counters in the exposition format of Prometheus (OpenMetrics 1.0).
//!
//! Names and labels are listed, with what they mean and whether they are stable, in `docs/metrics.md`.

use std::fmt;

use http::HeaderValue;
use mynah_core::{BreakerState, NotCopied, Outcome};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::stats::{
    ConfigTotals, LATENCY_BUCKETS_US, LatencyTotals, LogTotals, MirrorTotals, ProductionError, Side, Stats, Totals,
};

/// The type of what [`expose`] returns.
pub(crate) const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Every metric, now.
pub(crate) fn expose(stats: &Stats, version: &str) -> String {
    let mut registry = Registry::with_prefix("mynah");
    registry.register_collector(Box::new(All {
        totals: stats.totals(),
        version: version.to_owned(),
    }));
    let mut exposition = String::new();
    // Writing into a string cannot fail.
    let _ = text::encode(&mut exposition, &registry);
    exposition
}

#[derive(Debug)]
struct All {
    totals: Totals,
    version: String,
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(&mut encoder);
        page.gauge(
            "build_info",
            "Always 1; the version of Mynah",
            [([("version", self.version.as_str())], 1)],
        )?;
        production(&self.totals, &mut page)?;
        configuration(&self.totals.config, &mut page)?;
        copies(&self.totals.mirrors, &mut page)?;
        access_logs(&self.totals.access_logs, &mut page)
    }
}

fn production(totals: &Totals, page: &mut Page<'_, '_>) -> fmt::Result {
    page.counter("requests", "Requests whose head was accepted", [([], totals.requests)])?;
    let class = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    page.counter(
        "responses",
        "Final responses sent to clients, by the first digit of their status",
        class
            .into_iter()
            .zip(totals.responses)
            .map(|(class, n)| ([("class", class)], n)),
    )?;
    page.counter(
        "errors",
        "Production requests and connections that failed, by whose side it was on and why",
        ProductionError::ALL
            .into_iter()
            .zip(totals.errors)
            .map(|(error, n)| ([("side", side(error.side())), ("reason", error.as_str())], n)),
    )?;
    page.latency(
        "request_duration",
        "From the head of a request to the end of its response",
        [([], &totals.latency)],
    )?;
    page.counter(
        "connections_accepted",
        "Client connections accepted",
        [([], totals.accepted)],
    )?;
    page.gauge("connections", "Client connections open", [([], totals.connections)])?;
    page.counter(
        "requests_resent",
        "Requests sent again because their upstream connection had been closed before any of it was processed",
        [([], totals.resent)],
    )?;
    page.counter(
        "accept_paused",
        "Times that accepting paused for want of file descriptors or because of the connection limit",
        [([], totals.accept_paused)],
    )?;
    page.gauge(
        "held_bytes",
        "Bytes held for copies, over all mirrors",
        [([], totals.held_bytes)],
    )
}

fn configuration(config: &ConfigTotals, page: &mut Page<'_, '_>) -> fmt::Result {
    page.counter(
        "config_reloads",
        "Reloads of the configuration; one that failed changed nothing",
        [
            ([("result", "success")], config.applied),
            ([("result", "failure")], config.refused),
        ],
    )?;
    page.gauge(
        "config_last_reload_success_timestamp_seconds",
        "When the running configuration was taken into use, at start or by a reload, in seconds since 1970",
        [([], config.applied_at)],
    )?;
    page.gauge(
        "config_generation",
        "How many configurations have been taken into use, the first at start included",
        [([], config.generation)],
    )?;
    page.gauge(
        "config_info",
        "Always 1; the hash of the running configuration's file, the same wherever the file is the same",
        [([("hash", config.hash.as_str())], 1)],
    )
}

fn copies(mirrors: &[MirrorTotals], page: &mut Page<'_, '_>) -> fmt::Result {
    let each = |value: fn(&MirrorTotals) -> u64| mirrors.iter().map(move |m| ([("mirror", m.name.as_str())], value(m)));
    page.counter(
        "matched_requests",
        "Requests that could be copied to the mirror",
        each(|m| m.matched),
    )?;
    page.counter("copies_started", "Copies made, however they ended", each(|m| m.copies))?;
    page.counter(
        "copies",
        "Copies ended, by how and why",
        mirrors.iter().flat_map(|m| {
            Outcome::all().zip(m.outcomes).map(|(outcome, n)| {
                (
                    [
                        ("mirror", m.name.as_str()),
                        ("outcome", outcome.as_str()),
                        ("reason", outcome.reason()),
                    ],
                    n,
                )
            })
        }),
    )?;
    page.counter(
        "requests_not_copied",
        "Requests of routes that name the mirror which are never copied, by why",
        mirrors.iter().flat_map(|m| {
            let reasons = NotCopied::ALL.into_iter().zip(m.not_copied);
            reasons.map(|(reason, n)| ([("mirror", m.name.as_str()), ("reason", reason.as_str())], n))
        }),
    )?;
    page.gauge("copies_in_flight", "Copies that have not ended", each(|m| m.in_flight))?;
    page.gauge(
        "mirror_connections",
        "Connections open to the mirror",
        each(|m| m.connections),
    )?;
    page.latency(
        "copy_duration",
        "From the hand-over of a copy to the end of the mirror's response, of delivered copies",
        mirrors.iter().map(|m| ([("mirror", m.name.as_str())], &m.latency)),
    )?;
    page.ratio(
        mirrors,
        "mirror_ratio",
        "Copies per matching request, 1 for 100 %",
        |m| m.ratio,
    )?;
    page.ratio(
        mirrors,
        "mirror_effective_ratio",
        "What is sent of the ratio: less while an adaptive mirror is failing or slowing",
        |m| m.effective_ratio,
    )?;
    page.gauge(
        "mirror_paused",
        "Whether copies are paused: 1, or 0",
        mirrors
            .iter()
            .filter(|m| m.configured)
            .map(|m| ([("mirror", m.name.as_str())], u64::from(m.paused))),
    )?;
    page.counter(
        "mirror_responses_cut",
        "Responses of which no more was read past max_response; their copies are delivered",
        each(|m| m.responses_cut),
    )?;
    page.gauge(
        "breaker_state",
        "The circuit breaker: 0 closed, 1 half open, 2 open, the most open of all workers",
        each(|m| match m.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        }),
    )
}

fn access_logs(logs: &[LogTotals], page: &mut Page<'_, '_>) -> fmt::Result {
    let each = |value: fn(&LogTotals) -> u64| {
        logs.iter().map(move |log| {
            let mirror = log.mirror.as_deref();
            let kind = mirror.map_or("production", |_| "mirror");
            ([("log", kind), ("mirror", mirror.unwrap_or_default())], value(log))
        })
    };
    page.counter(
        "access_log_lines",
        "Lines written to the access log",
        each(|log| log.lines),
    )?;
    page.counter(
        "access_log_lines_dropped",
        "Lines of the access log dropped because they could not be written in time",
        each(|log| log.dropped),
    )?;
    page.counter(
        "access_log_errors",
        "Times that writing the access log failed",
        each(|log| log.errors),
    )
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Upstream => "upstream",
        Side::Internal => "internal",
    }
}

/// The page under way.
struct Page<'e, 'd>(&'e mut DescriptorEncoder<'d>);

impl Page<'_, '_> {
    fn counter<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, n) in values {
            ConstCounter::new(n).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauge<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, n) in values {
            ConstGauge::new(n as i64).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn ratio(
        &mut self,
        mirrors: &[MirrorTotals],
        name: &str,
        help: &str,
        value: fn(&MirrorTotals) -> mynah_core::Ratio,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for mirror in mirrors.iter().filter(|mirror| mirror.configured) {
            let ratio = f64::from(value(mirror).units()) / f64::from(mynah_core::Ratio::ONE.units());
            ConstGauge::new(ratio).encode(family.encode_family(&[("mirror", mirror.name.as_str())])?)?;
        }
        Ok(())
    }

    fn latency<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'l str); N], &'l LatencyTotals)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, latency) in values {
            let bounds = LATENCY_BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::MAX]);
            let buckets: Vec<_> = bounds.zip(latency.buckets).collect();
            let mut encoder = family.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(latency.sum.as_secs_f64(), latency.count(), &buckets, None)?;
        }
        Ok(())
    }
}
