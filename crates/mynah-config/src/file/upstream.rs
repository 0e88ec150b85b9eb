//! `upstream`

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClientTls, Connections, Forwarded, Protocol, ProxyProtocolVersion, same_protocol, short_for_url};
use crate::model::Endpoint;
use crate::value::Text;

/// A production application: its URL, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_url)]
pub(crate) struct Upstream {
    /// Where it is. Without a path the target is passed as it came; a path replaces the part of the target that the route's
    /// prefix matched, as in nginx's `proxy_pass`.
    pub(crate) url: Text<Endpoint>,
    /// The protocol that it is spoken to in.
    #[serde(default = "same_protocol")]
    pub(crate) protocol: Protocol,
    /// TLS towards it, when the URL is `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<ClientTls>,
    /// Sends a PROXY protocol header of this version at the start of each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_protocol: Option<ProxyProtocolVersion>,
    /// The field that tells it the client's address.
    #[serde(default = "forwarded")]
    pub(crate) forwarded: Forwarded,
    /// Whether each client connection has an upstream connection of its own, so that what the application does to it
    /// happens to the client's, or each worker keeps some that all clients share, for an upstream that is far away.
    #[serde(default = "connections")]
    pub(crate) connections: Connections,
    /// Connects from the client's own address, so that the application sees it. For `mynah takeover --preserve-source`, whose
    /// rules bring the answers back; needs NET_ADMIN.
    #[serde(default)]
    pub(crate) preserve_source: bool,
    /// Time for a connection to be made, TLS included. Past it the client gets 504.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout: Text<Duration>,
    /// Time from the end of a request to the head of its response. Past it the client gets 504. No limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_timeout: Option<Text<Duration>>,
}

fn forwarded() -> Forwarded {
    Forwarded::Off
}

fn connections() -> Connections {
    Connections::Own
}

fn connect_timeout() -> Text<Duration> {
    Text(Duration::from_secs(5))
}
