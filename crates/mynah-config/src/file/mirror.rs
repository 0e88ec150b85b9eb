//! `mirrors`

use std::collections::BTreeMap;
use std::time::Duration;

use mynah_core::{ByteSize, Ratio};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{AccessLog, ClientTls, Credentials, Protocol, SHORT, same_protocol, short_for_url};
use crate::model::{Endpoint, HostPolicy, SampleBy, Trace};
use crate::value::{FieldName, Text};

/// A test environment that receives copies: its URL, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_url)]
pub(crate) struct Mirror {
    /// Where it is. Without a path the target is passed as it came; a path replaces the part of the target that the route's
    /// prefix matched, as in nginx's `proxy_pass`.
    pub(crate) url: Text<Endpoint>,
    /// Copies per matching request, `0%` to `10000%` in steps of `0.0001%`; `250%` sends two or three copies.
    #[serde(default = "ratio")]
    pub(crate) ratio: Text<Ratio>,
    /// What decides which requests are copied. `request` copies exactly the ratio of any run of requests; `header(NAME)`,
    /// `cookie(NAME)` and `client-ip` decide by a stable hash, so that one user is all in or all out. A request without that
    /// header or cookie is decided by `request`.
    #[serde(default = "by")]
    pub(crate) by: Text<SampleBy>,
    /// Methods that are copied; every method when empty.
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    /// The protocol that copies are sent in.
    #[serde(default = "same_protocol")]
    pub(crate) protocol: Protocol,
    /// TLS towards it, when the URL is `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<ClientTls>,
    /// The Host (HTTP/2: `:authority`) of copies: `preserve` keeps the original's, `target` is that of the URL, anything else
    /// is sent as it stands.
    #[serde(default = "host")]
    pub(crate) host: Text<HostPolicy>,
    /// Changes to the copy's header fields. The original is never changed.
    #[serde(default)]
    pub(crate) headers: HeaderEdits,
    /// What happens to `Authorization`, `Cookie` and `Proxy-Authorization` on the copy.
    #[serde(default = "credentials")]
    pub(crate) credentials: Credentials,
    /// Query parameters whose values are masked on the copy.
    #[serde(default)]
    pub(crate) mask_query: Vec<String>,
    /// Copies per second, over all workers. Past it copies are shed. No limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.001))]
    pub(crate) requests_per_second: Option<f64>,
    /// Copies in flight, over all workers. Past it copies are shed.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    pub(crate) max_in_flight: u32,
    /// Connections, over all workers. Past it copies that need one more are shed.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    pub(crate) max_connections: u32,
    /// Bytes of one copy's body that may wait for the mirror. Past it the copy is shed.
    #[serde(default = "window")]
    pub(crate) window: Text<ByteSize>,
    /// Time for a connection to be made, TLS included. Past it the copy has failed.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout: Text<Duration>,
    /// Time for a copy, from the end of the original's head to the end of the mirror's response. Past it the copy has failed.
    #[serde(default = "timeout")]
    pub(crate) timeout: Text<Duration>,
    /// Bytes of a response that are read and discarded. Past them the connection is closed; the copy is delivered.
    #[serde(default = "max_response")]
    pub(crate) max_response: Text<ByteSize>,
    /// How long an unused connection is kept.
    #[serde(default = "idle_timeout")]
    pub(crate) idle_timeout: Text<Duration>,
    /// Sends a share of the copies only while the mirror is failing or slowing: `true`, or a mapping. Off unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adaptive: Option<Adaptive>,
    /// When a failing mirror is left alone.
    #[serde(default)]
    pub(crate) breaker: Breaker,
    /// How often the host name is resolved again. All its addresses are used.
    #[serde(default = "resolve_interval")]
    pub(crate) resolve_interval: Text<Duration>,
    /// Copies health checks of the kubelet and of load balancers as well.
    #[serde(default)]
    pub(crate) copy_probes: bool,
    /// What happens to the W3C trace context (`traceparent`, `tracestate`) on the copy.
    #[serde(default = "trace")]
    pub(crate) trace: Trace,
    /// The access log of this mirror: a line for each copy, with what was sent and how it ended. Off unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<AccessLog>,
}

/// Changes to header fields: removed first, then set, then added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HeaderEdits {
    /// Fields that replace every field of that name.
    pub(crate) set: BTreeMap<String, String>,
    /// Fields that are added to those there.
    pub(crate) add: BTreeMap<String, String>,
    /// Names of fields that are removed.
    pub(crate) remove: Vec<Text<FieldName>>,
}

/// Lowers the share of copies that is sent while the mirror is failing or slowing, down to a trickle, and raises it again as
/// the mirror recovers. What is held back is shed. It starts with a tenth, and is at the whole within seconds when all is
/// well. Each worker has a share of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = short_for_enabled)]
pub(crate) struct Adaptive {
    /// Whether it is done.
    pub(crate) enabled: bool,
    /// How many copies may fail, or be answered with a status of 500 or more, `0%` to `100%`. Past it the share falls.
    pub(crate) error_rate: Text<Ratio>,
    /// How many times the latency that is usual for this mirror is too slow; at least 1.1. Past it the share falls. What is
    /// usual is learnt while all is well.
    #[schemars(range(min = 1.1))]
    pub(crate) latency_factor: f64,
    /// The mean latency that is too slow, instead of `latency_factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Text<Duration>>,
    /// The trickle: the share never falls below this part of the ratio, so that a recovery is noticed.
    pub(crate) floor: Text<Ratio>,
    /// How long is looked at before the share changes.
    pub(crate) interval: Text<Duration>,
    /// By how much of itself the share rises in an interval, beyond what the mirror is known to be able to answer; more, the
    /// longer all is well.
    pub(crate) raise: Text<Ratio>,
    /// By how much of itself the share falls in an interval, at most; up to `90%`.
    pub(crate) lower: Text<Ratio>,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            enabled: true,
            error_rate: percent(5),
            latency_factor: 3.0,
            latency: None,
            floor: percent(1),
            interval: Text(Duration::from_millis(250)),
            raise: percent(5),
            lower: percent(50),
        }
    }
}

fn percent(percent: u32) -> Text<Ratio> {
    let units = Ratio::ONE.units() / 100 * percent;
    Text(Ratio::from_units(units).unwrap_or(Ratio::ONE))
}

fn short_for_enabled(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "enabled".into());
}

/// A circuit breaker: leaves a mirror alone after failures in a row, and then tries one copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Breaker {
    /// Failures in a row that open it; 0 turns it off. Each worker counts its own.
    pub(crate) failures: u32,
    /// How long it stays open, shedding copies, before one is let through as a probe.
    pub(crate) open_for: Text<Duration>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Text(Duration::from_secs(1)),
        }
    }
}

fn ratio() -> Text<Ratio> {
    Text(Ratio::ONE)
}

fn by() -> Text<SampleBy> {
    Text(SampleBy::Request)
}

fn host() -> Text<HostPolicy> {
    Text(HostPolicy::Preserve)
}

fn credentials() -> Credentials {
    Credentials::Keep
}

fn trace() -> Trace {
    Trace::Keep
}

fn thousand() -> u32 {
    1024
}

fn window() -> Text<ByteSize> {
    Text(ByteSize::from_bytes(1024 * 1024))
}

fn connect_timeout() -> Text<Duration> {
    Text(Duration::from_secs(1))
}

fn timeout() -> Text<Duration> {
    Text(Duration::from_secs(10))
}

fn max_response() -> Text<ByteSize> {
    Text(ByteSize::from_bytes(16 * 1024 * 1024))
}

fn idle_timeout() -> Text<Duration> {
    Text(Duration::from_secs(60))
}

fn resolve_interval() -> Text<Duration> {
    Text(Duration::from_secs(5))
}
