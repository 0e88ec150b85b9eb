//! The shape of the file: what may be written where, with every default. Users read these comments in the reference and in
//! their editors.
//!
//! A struct whose schema has a short form can be written as a single value: `upstream: http://127.0.0.1:8080` stands for
//! `upstream: { url: http://127.0.0.1:8080 }`.

mod access_log;
mod admin;
mod mirror;
mod route;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mynah_core::ByteSize;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub(crate) use self::access_log::{AccessLog, RequestId};
pub(crate) use self::admin::Admin;
pub(crate) use self::mirror::{Adaptive, HeaderEdits, Mirror};
pub(crate) use self::route::{HostPattern, Route, RouteCondition, ValueCondition};
pub(crate) use self::upstream::Upstream;
use crate::model::{Alpn, Connections, Credentials, Forwarded, Protocol, ProxyProtocolVersion};
use crate::value::Text;

/// Stands for a secret.
pub(crate) const HIDDEN: &str = "***";

/// The schema keyword that names the property a single value stands for.
pub(crate) const SHORT: &str = "x-short";

/// The configuration of Mynah.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Addresses on which clients are accepted.
    pub(crate) listeners: Vec<Listener>,
    /// The production application behind Mynah.
    pub(crate) upstream: Upstream,
    /// Test environments that receive copies, by name. A name has letters, digits, `-`, `_` and `.`; it is what metrics and
    /// logs call the mirror.
    #[serde(default)]
    pub(crate) mirrors: BTreeMap<String, Mirror>,
    /// What is copied where; the first that matches wins. What no route matches goes to the upstream and is not copied.
    /// Without routes, everything is copied to every mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routes: Option<Vec<Route>>,
    /// Threads that serve requests, each with its own connections; 1 to 1024. One for each CPU that the cgroup allows unless
    /// given. A change needs a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) workers: Option<u32>,
    /// How long production requests may go on after SIGTERM.
    #[serde(default = "drain_timeout")]
    pub(crate) drain_timeout: Text<Duration>,
    /// Where Mynah is operated: admin API, dashboard, metrics and health checks. A change needs a restart.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// Bytes held for copies, over all mirrors and workers. A copy whose bytes do not fit is shed.
    #[serde(default = "max_held_bytes")]
    pub(crate) max_held_bytes: Text<ByteSize>,
    /// What is accepted from clients and upstreams.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// The access log of production: a line for each request. Off unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<AccessLog>,
    /// The header field that joins a request to its copies, in access logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<RequestId>,
}

/// An address on which clients are accepted: `:80`, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_address)]
pub(crate) struct Listener {
    /// Address and port. `:80` takes every address, port 0 a free port.
    pub(crate) address: Text<SocketAddr>,
    /// Terminates TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<ListenerTls>,
    /// Every connection starts with a PROXY protocol header, version 1 or 2; one that does not is closed.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
}

/// TLS on a listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTls {
    /// PEM file with the certificate and its chain. Paths start in the folder of the configuration file.
    pub(crate) certificate: PathBuf,
    /// PEM file with the private key.
    pub(crate) key: PathBuf,
    /// Protocols offered by ALPN, the preferred first.
    #[serde(default = "alpn")]
    pub(crate) alpn: Vec<Alpn>,
    /// PEM file with the authorities that client certificates must come from. None are asked for without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// TLS towards an upstream or mirror whose URL is `https`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientTls {
    /// PEM file with the authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
    /// PEM file with the client certificate and its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    /// PEM file with the client certificate's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    /// Name to ask for and verify instead of the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
    /// Accepts any certificate, such as a self-signed one of a test environment.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// What is accepted from clients and upstreams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Bytes of a request line. Past it the client gets 414.
    pub(crate) request_line: Text<ByteSize>,
    /// Bytes of a message head. Past it the client gets 431, or 502 when the head was the upstream's.
    pub(crate) head: Text<ByteSize>,
    /// Fields in a head. Past it the client gets 431, or 502 when the head was the upstream's.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) fields: u32,
    /// Time for a request head to arrive, from its first byte or from the start of the connection. Past it the connection is
    /// closed, with 408 when a part of the head was there.
    pub(crate) head_timeout: Text<Duration>,
    /// Requests of one HTTP/1 connection that wait for their response. Past it the connection is not read until one has it.
    #[schemars(range(min = 1, max = 65535))]
    pub(crate) pipelined: u32,
    /// Concurrent streams of one HTTP/2 connection.
    #[schemars(range(min = 1))]
    pub(crate) streams: u32,
    /// Client connections, over all workers. Past it none is accepted until one has closed. As many as file descriptors
    /// allow unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) connections: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: Text(ByteSize::from_bytes(64 * 1024)),
            head: Text(ByteSize::from_bytes(256 * 1024)),
            fields: 512,
            head_timeout: Text(Duration::from_secs(60)),
            pipelined: 64,
            streams: 1024,
            connections: None,
        }
    }
}

fn drain_timeout() -> Text<Duration> {
    Text(Duration::from_secs(25))
}

fn max_held_bytes() -> Text<ByteSize> {
    Text(ByteSize::from_bytes(64 * 1024 * 1024))
}

fn alpn() -> Vec<Alpn> {
    vec![Alpn::H2, Alpn::Http1]
}

fn short_for_address(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "address".into());
}

fn short_for_url(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "url".into());
}

fn same_protocol() -> Protocol {
    Protocol::Same
}
