//! Deciding: which route a request takes. The decision itself is in `mynah-core`; here a request of either protocol
//! becomes the one description that it is made on.

use std::net::IpAddr;

use http::{Request, header};
use mynah_core::RequestView;
use mynah_http1::RequestHead;

/// An HTTP/1 request as routes, samplers and rewrites see it.
pub(crate) struct Http1View<'v, 'h> {
    pub(crate) head: &'v RequestHead<'h>,
    pub(crate) client: IpAddr,
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
        self.client
    }
}

/// A decoded request as routes, samplers and rewrites see it.
pub(crate) struct DecodedView<'v> {
    pub(crate) request: &'v Request<()>,
    pub(crate) client: IpAddr,
    /// Whether it came by HTTP/2.
    pub(crate) http2: bool,
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
        self.client
    }
}
