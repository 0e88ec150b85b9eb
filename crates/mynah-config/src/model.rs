//! The validated model: what the rest of the program works with.
//!
//! Everything here has been checked: references between parts are indices, every default is filled in, and a value that
//! could not work was refused with its place in the file. The file's own shape is in the module `file`.

mod admin;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mynah_core::{AdaptiveSpec, ByteSize, LogField, LogFormat, Ratio, RouteMatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::admin::{Admin, AdminAddress};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Addresses on which clients are accepted; at least one.
    pub listeners: Vec<Listener>,
    /// Upstreams; the first is the default one, the others are named by routes.
    pub upstreams: Vec<Upstream>,
    /// Mirrors, in the order of the file.
    pub mirrors: Vec<Mirror>,
    /// Routes, in the order in which they are tried. A file without routes has one that matches everything and copies to
    /// every mirror.
    pub routes: Vec<Route>,
    /// Number of workers; one for each CPU that the cgroup allows unless given.
    pub workers: usize,
    /// How long production requests may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// Where Mynah is operated.
    pub admin: Admin,
    /// What is accepted from clients and upstreams.
    pub limits: Limits,
    /// Bytes held for copies, over all mirrors.
    pub max_held_bytes: ByteSize,
    /// The access log of production, if there is one.
    pub access_log: Option<AccessLog>,
    /// The header field that joins a request to its copies.
    pub request_id: Option<RequestId>,
}

/// An access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub destination: LogDestination,
    /// What they look like. Every constant in it is one of `constants`.
    pub format: LogFormat,
    /// What a JSON line has, without the constants that follow.
    pub fields: Vec<LogField>,
    /// Names and values that are the same in every line.
    pub constants: Vec<(String, String)>,
    /// Query parameters whose values are masked: those of this log, and those that the mirror's
    /// copies have masked, in production's log any mirror's.
    pub mask_query: Vec<String>,
    /// What is said of credentials.
    pub credentials: Credentials,
    /// Bytes of lines that may wait to be written.
    pub buffer: ByteSize,
}

/// Where the lines of an access log go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogDestination {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// The header field that joins a request to its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// Its name, in lower case.
    pub header: String,
    /// Whether a request without it gets one, in access logs and on its copies.
    pub generate: bool,
}

/// An address on which clients are accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Terminates TLS when given.
    pub tls: Option<ListenerTls>,
    /// Every connection starts with a PROXY protocol header, version 1 or 2.
    pub proxy_protocol: bool,
}

/// TLS on a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// Protocols offered, the preferred first.
    pub alpn: Vec<Alpn>,
    /// PEM file with the authorities that client certificates must come from; none are asked for without it.
    pub client_ca: Option<PathBuf>,
}

/// A protocol that ALPN can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Alpn {
    /// HTTP/2
    #[serde(rename = "h2")]
    H2,
    /// HTTP/1.1
    #[serde(rename = "http/1.1")]
    Http1,
}

/// A production application behind Mynah.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Where it is. A path replaces the part of the target that the route's prefix matched.
    pub url: Endpoint,
    /// The protocol that it is spoken to in.
    pub protocol: Protocol,
    /// TLS towards it; used with `https`.
    pub tls: ClientTls,
    /// A PROXY protocol header sent at the start of each connection.
    pub proxy_protocol: Option<ProxyProtocolVersion>,
    /// Field that tells the client's address, if any.
    pub forwarded: Forwarded,
    /// Whether each client connection has an upstream connection of its own, or they share a pool.
    pub connections: Connections,
    /// Whether connections come from the client's own address.
    pub preserve_source: bool,
    /// Time for a connection to be made, TLS included; the client gets 504 past it.
    pub connect_timeout: Duration,
    /// Time from the end of a request to the head of its response; the client gets 504 past it. None: no limit.
    pub response_timeout: Option<Duration>,
}

/// How upstream connections are assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Connections {
    /// One for each client connection: what the application does to it happens to the client's.
    #[serde(rename = "own")]
    Own,
    /// A pool for each worker that all client connections share; for a distant upstream.
    #[serde(rename = "shared")]
    Shared,
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https`
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 80 or 443 unless given.
    pub port: u16,
    /// Path, when the URL had one (`http://host/` has `/`, `http://host` none).
    pub path: Option<String>,
}

/// Protocol towards an upstream or mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// The protocol that the client used.
    #[serde(rename = "same")]
    Same,
    /// HTTP/1.1
    #[serde(rename = "http1")]
    Http1,
    /// HTTP/2; without TLS by prior knowledge.
    #[serde(rename = "http2")]
    Http2,
}

/// TLS as a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM file with the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file with the client certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file with the client certificate's key.
    pub key: Option<PathBuf>,
    /// Name to ask for and verify instead of the URL's host.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// Version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProxyProtocolVersion {
    /// The text form.
    #[serde(rename = "v1")]
    V1,
    /// The binary form.
    #[serde(rename = "v2")]
    V2,
}

/// How the upstream is told the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Forwarded {
    /// Not at all.
    #[serde(rename = "off")]
    Off,
    /// `X-Forwarded-For`, appended to.
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), appended to.
    #[serde(rename = "forwarded")]
    Rfc7239,
}

/// A test environment that receives copies.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror {
    /// Its name in metrics and logs.
    pub name: String,
    /// Where it is. A path replaces the part of the target that the route's prefix matched.
    pub url: Endpoint,
    /// Copies per matching request.
    pub ratio: Ratio,
    /// What decides which requests are copied.
    pub by: SampleBy,
    /// Methods that are copied; every method when empty.
    pub methods: Vec<String>,
    /// The protocol that copies are sent in.
    pub protocol: Protocol,
    /// TLS towards it; used with `https`.
    pub tls: ClientTls,
    /// The Host (HTTP/2: `:authority`) of copies.
    pub host: HostPolicy,
    /// Changes to the copy's header fields.
    pub headers: HeaderEdits,
    /// What happens to `Authorization`, `Cookie` and `Proxy-Authorization`.
    pub credentials: Credentials,
    /// Query parameters whose values are masked.
    pub mask_query: Vec<String>,
    /// Copies per second, over all workers; no limit without it.
    pub requests_per_second: Option<f64>,
    /// Copies in flight, over all workers.
    pub max_in_flight: usize,
    /// Connections, over all workers.
    pub max_connections: usize,
    /// Bytes of one copy's body that may wait for the mirror.
    pub window: ByteSize,
    /// Time for a connection to be made, TLS included.
    pub connect_timeout: Duration,
    /// Time from the end of the original's head to the end of the mirror's response.
    pub timeout: Duration,
    /// Bytes of a response that are read and discarded; past them the connection is closed and the copy is delivered.
    pub max_response: ByteSize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Sends a share only while the mirror is failing or slowing.
    pub adaptive: Option<AdaptiveSpec>,
    /// When a failing mirror is left alone.
    pub breaker: Breaker,
    /// How often the host name is resolved again.
    pub resolve_interval: Duration,
    /// Copies requests of the kubelet and of load balancers that check health.
    pub copy_probes: bool,
    /// What happens to the trace context.
    pub trace: Trace,
    /// The access log of this mirror, if there is one.
    pub access_log: Option<AccessLog>,
}

/// What decides which requests are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleBy {
    /// Error diffusion: exact over any window.
    Request,
    /// A hash of this header's value.
    Header(String),
    /// A hash of this cookie's value.
    Cookie(String),
    /// A hash of the client's address.
    ClientIp,
}

/// The Host of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// The original's.
    Preserve,
    /// The host and port of the mirror's URL.
    Target,
    /// This one.
    Literal(String),
}

/// Changes to header fields. Names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Fields that replace every field of that name.
    pub set: Vec<(String, String)>,
    /// Fields that are added to those there.
    pub add: Vec<(String, String)>,
    /// Names of fields that are removed.
    pub remove: Vec<String>,
}

/// What happens to credentials on the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Credentials {
    /// They stay.
    #[serde(rename = "keep")]
    Keep,
    /// The fields are removed.
    #[serde(rename = "drop")]
    Drop,
    /// Their values become a stable hash: distinct users stay distinct, nobody can log in.
    #[serde(rename = "hash")]
    Hash,
}

/// What happens to the W3C trace context on the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Trace {
    /// It stays: the copy belongs to its original's trace.
    #[serde(rename = "keep")]
    Keep,
    /// It is removed: the test environment starts traces of its own.
    #[serde(rename = "drop")]
    Drop,
    /// Each copy has a trace of its own, sampled when the original's is, and tells the original's in `mynah-traceparent`. A
    /// copy of a request without a valid trace context has none.
    #[serde(rename = "new")]
    New,
}

/// The circuit breaker of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it; 0 turns it off.
    pub failures: u32,
    /// How long it stays open before one copy is let through as a probe.
    pub open_for: Duration,
}

/// What matches and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The condition.
    pub matches: RouteMatch,
    /// Indices of the mirrors that receive copies.
    pub mirrors: Vec<usize>,
    /// Replaces the part of the path that the prefix matched, for upstream and copies, unless their URL has a path.
    pub replace_prefix: Option<String>,
    /// Index of the upstream.
    pub upstream: usize,
}

/// What is accepted from clients and upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line; past it the client gets 414.
    pub request_line: ByteSize,
    /// Bytes of a message head; past it the client gets 431, or 502 when it was the upstream's.
    pub head: ByteSize,
    /// Fields in a head; past it the client gets 431, or 502 when it was the upstream's.
    pub fields: usize,
    /// Time for a request head to arrive once a connection was accepted or its first byte came; the client gets 408.
    pub head_timeout: Duration,
    /// Requests of one HTTP/1 connection that wait for their response; past it the connection is not read.
    pub pipelined: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub streams: u32,
    /// Client connections, over all workers; past it no more are accepted until one closes. None: as many as file
    /// descriptors allow.
    pub connections: Option<usize>,
}

impl Config {
    /// The certificates, keys and authorities that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let listeners = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.tls);
        let mirrors = self.mirrors.iter().map(|mirror| &mirror.tls);
        listeners
            .flat_map(ListenerTls::files)
            .chain(upstreams.chain(mirrors).flat_map(ClientTls::files))
    }
}

impl ListenerTls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

impl ClientTls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.ca, &self.certificate, &self.key]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}
