//! What is changed on the way to the application: nothing, unless configured.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use mynah_config::model::Forwarded;
use mynah_http1::RequestHead;
use mynah_http1::edit::forward_request;

use crate::snapshot::{PathEdit, RouteEntry, UpstreamTarget};
use crate::worker::Peer;

impl UpstreamTarget {
    /// An HTTP/1 head for this upstream; none when it is the one that came.
    pub(crate) fn forward_http1(&self, head: &RequestHead<'_>, route: &RouteEntry, peer: &Peer) -> Option<Vec<u8>> {
        let path = head
            .path_and_query()
            .zip(route.upstream_path.as_ref())
            .map(|(path, edit)| edit.apply(path));
        let forwarded = self.forwarded(peer);
        forward_request(
            head,
            path.as_deref(),
            forwarded.as_ref().map(|(name, value)| (*name, value.as_str())),
        )
    }

    /// The field that tells the client's address, if one does, and what it is extended by.
    pub(crate) fn forwarded(&self, peer: &Peer) -> Option<(&'static str, String)> {
        let client = peer.client.ip().to_canonical();
        match self.plan.upstream.forwarded {
            Forwarded::Off => None,
            Forwarded::XForwardedFor => Some(("X-Forwarded-For", client.to_string())),
            Forwarded::Rfc7239 => Some(("Forwarded", format!("for={}", node(client, peer.client)))),
        }
    }
}

/// A node identifier (RFC 7239 §6).
fn node(ip: IpAddr, address: SocketAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("\"{ip}:{}\"", address.port()),
        IpAddr::V6(ip) => format!("\"[{ip}]:{}\"", address.port()),
    }
}

impl PathEdit {
    /// The path and query with what the route's prefix matched replaced.
    pub(crate) fn apply<'a>(&self, path_and_query: &'a [u8]) -> Cow<'a, [u8]> {
        let rest = path_and_query.get(self.matched..).unwrap_or_default();
        Cow::Owned([self.replacement.as_bytes(), rest].concat())
    }
}
