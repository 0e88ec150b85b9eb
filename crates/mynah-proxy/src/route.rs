//! Deciding: which route a request takes. The decision itself is in `mynah-core`; here a request of either protocol
//! becomes the one description that it is made on.

use std::net::IpAddr;

use http::{Request, header};
use mynah_core::RequestView;
use mynah_http1::{RequestHead, Version};

use crate::access_log::{GeneratedId, Logged};
use crate::snapshot::Snapshot;
use crate::worker::{Peer, Worker};

/// An HTTP/1 request as routes, samplers and rewrites see it.
pub(crate) struct Http1View<'v, 'h> {
    pub(crate) head: &'v RequestHead<'h>,
    pub(crate) peer: Peer,
    /// The identifier that it did not come with.
    pub(crate) id: Option<GeneratedId>,
}

impl<'v, 'h> Http1View<'v, 'h> {
    pub(crate) fn new(worker: &Worker, snapshot: &Snapshot, head: &'v RequestHead<'h>, peer: Peer) -> Self {
        let mut view = Self { head, peer, id: None };
        if let Some(ids) = &snapshot.request_ids {
            view.id = ids.generate(&view, &worker.ids);
        }
        view
    }
}

impl Logged for Http1View<'_, '_> {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn target(&self) -> &[u8] {
        self.head.target()
    }

    fn protocol(&self) -> &'static str {
        match self.head.version() {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }

    fn generated_id(&self) -> Option<&GeneratedId> {
        self.id.as_ref()
    }
}

impl RequestView for Http1View<'_, '_> {
    fn method(&self) -> &[u8] {
        self.head.method()
    }

    fn path_and_query(&self) -> &[u8] {
        match self.head.path_and_query() {
            // An absolute form without a path means the root.
            Some(b"") => b"/",
            Some(path) => path,
            None => self.head.target(),
        }
    }

    fn host(&self) -> Option<&[u8]> {
        self.head.host()
    }

    fn header<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.head.fields();
        fields
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    fn client_ip(&self) -> IpAddr {
        self.peer.client.ip()
    }
}

/// A decoded request as routes, samplers and rewrites see it.
pub(crate) struct DecodedView<'v> {
    pub(crate) request: &'v Request<()>,
    pub(crate) peer: Peer,
    /// Whether it came by HTTP/2.
    pub(crate) http2: bool,
    /// The protocol that it came by, as a request line has it.
    protocol: &'static str,
    /// The identifier that it did not come with.
    id: Option<GeneratedId>,
}

impl<'v> DecodedView<'v> {
    pub(crate) fn new(
        worker: &Worker,
        snapshot: &Snapshot,
        request: &'v Request<()>,
        peer: Peer,
        protocol: &'static str,
    ) -> Self {
        let http2 = protocol == HTTP2;
        let mut view = Self {
            request,
            peer,
            http2,
            protocol,
            id: None,
        };
        if let Some(ids) = &snapshot.request_ids {
            view.id = ids.generate(&view, &worker.ids);
        }
        view
    }
}

/// HTTP/2, as a request line would have it.
pub(crate) const HTTP2: &str = "HTTP/2.0";

impl Logged for DecodedView<'_> {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn target(&self) -> &[u8] {
        let uri = self.request.uri();
        match (uri.path_and_query(), uri.authority()) {
            (Some(path), _) => path.as_str().as_bytes(),
            (None, Some(authority)) => authority.as_str().as_bytes(),
            (None, None) => b"*",
        }
    }

    fn protocol(&self) -> &'static str {
        self.protocol
    }

    fn generated_id(&self) -> Option<&GeneratedId> {
        self.id.as_ref()
    }
}

impl RequestView for DecodedView<'_> {
    fn method(&self) -> &[u8] {
        self.request.method().as_str().as_bytes()
    }

    fn path_and_query(&self) -> &[u8] {
        self.request
            .uri()
            .path_and_query()
            .map_or(b"", |path| path.as_str().as_bytes())
    }

    fn host(&self) -> Option<&[u8]> {
        match self.request.uri().authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => self.request.headers().get(header::HOST).map(|host| host.as_bytes()),
        }
    }

    fn header<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.request
            .headers()
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes())
    }

    fn client_ip(&self) -> IpAddr {
        self.peer.client.ip()
    }
}
