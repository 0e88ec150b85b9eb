//! What is changed on the way to the application: nothing, unless configured.

pub(crate) mod links;
mod pool;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, Request, Uri};
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

    /// A decoded head for this upstream.
    pub(crate) fn forward_decoded(&self, mut request: Request<()>, route: &RouteEntry, peer: &Peer) -> Request<()> {
        if let Some((name, value)) = self.forwarded(peer) {
            extend(&mut request, name, &value);
        }
        if let Some(edit) = &route.upstream_path
            && let Some(uri) = edit.apply_to(request.uri())
        {
            *request.uri_mut() = uri;
        }
        request
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

/// Adds a member to the last field of that name, or the field.
fn extend(request: &mut Request<()>, name: &'static str, value: &str) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return;
    };
    let before: Vec<HeaderValue> = request.headers().get_all(&name).iter().cloned().collect();
    let extended = match before.last().filter(|last| !last.is_empty()) {
        Some(last) => [last.as_bytes(), b", ", value.as_bytes()].concat(),
        None => value.as_bytes().to_vec(),
    };
    let Ok(extended) = HeaderValue::from_bytes(&extended) else {
        return;
    };
    let kept = before.len().saturating_sub(1);
    let values = before.into_iter().take(kept).chain([extended]);
    // Removing a field would disorder the others.
    for (n, value) in values.enumerate() {
        if n == 0 {
            request.headers_mut().insert(&name, value);
        } else {
            request.headers_mut().append(&name, value);
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
        // An absolute form may have a query without a path: no prefix stands there.
        let matched = if path_and_query.starts_with(b"?") {
            0
        } else {
            self.matched
        };
        let rest = path_and_query.get(matched..).unwrap_or_default();
        Cow::Owned([self.replacement.as_bytes(), rest].concat())
    }

    /// The same of a decoded target. None when the result cannot be one, or there is no path.
    fn apply_to(&self, uri: &Uri) -> Option<Uri> {
        let mut parts = uri.clone().into_parts();
        let path = parts.path_and_query.as_ref()?;
        let path = self.apply(path.as_str().as_bytes()).into_owned();
        parts.path_and_query = Some(path.as_slice().try_into().ok()?);
        Uri::from_parts(parts).ok()
    }
}
