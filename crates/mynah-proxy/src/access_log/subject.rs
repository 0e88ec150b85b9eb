//! What a line tells of: a request as it came, a copy as it is sent, or something that was no request.

use std::borrow::Cow;

use mynah_core::{CopyRewrite, FieldAction, RequestView};

use super::id::GeneratedId;
use crate::lane::OwnField;
use crate::worker::Peer;

/// A request as a line tells it.
pub(crate) trait Subject {
    /// Who asked, and where.
    fn peer(&self) -> &Peer;
    /// The method; empty if there was none that could be read, and then nothing else either.
    fn method(&self) -> &[u8];
    /// Path and query.
    fn path_and_query(&self) -> Cow<'_, [u8]>;
    /// What the request line has in their place.
    fn target(&self) -> Cow<'_, [u8]>;
    /// The protocol, as a request line has it.
    fn protocol(&self) -> &'static str;
    /// The host.
    fn host(&self) -> Option<&[u8]>;
    /// Calls with every value of a field.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));
    /// The identifier that it did not come with.
    fn generated_id(&self) -> Option<&GeneratedId>;
}

/// A request of production, with what a line says more than a decision needs.
pub(crate) trait Logged: RequestView {
    /// Who asked, and where.
    fn peer(&self) -> &Peer;
    /// The target, in whatever form.
    fn target(&self) -> &[u8];
    /// The protocol, as a request line has it.
    fn protocol(&self) -> &'static str;
    /// The identifier that it did not come with.
    fn generated_id(&self) -> Option<&GeneratedId>;
}

impl<L: Logged> Subject for L {
    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn method(&self) -> &[u8] {
        RequestView::method(self)
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(RequestView::path_and_query(self))
    }

    fn target(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.target())
    }

    fn protocol(&self) -> &'static str {
        self.protocol()
    }

    fn host(&self) -> Option<&[u8]> {
        RequestView::host(self)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        RequestView::header(self, name).for_each(each);
    }

    fn generated_id(&self) -> Option<&GeneratedId> {
        self.generated_id()
    }
}

/// A copy, as it is sent.
pub(crate) struct CopySubject<'a, L> {
    pub(crate) request: &'a L,
    pub(crate) rewrite: &'a CopyRewrite,
    /// Fields that no other copy has.
    pub(crate) own: &'a [OwnField],
    pub(crate) http2: bool,
}

impl<L: Logged> Subject for CopySubject<'_, L> {
    fn peer(&self) -> &Peer {
        self.request.peer()
    }

    fn method(&self) -> &[u8] {
        RequestView::method(self.request)
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        self.rewrite.target(RequestView::path_and_query(self.request))
    }

    fn target(&self) -> Cow<'_, [u8]> {
        self.path_and_query()
    }

    fn protocol(&self) -> &'static str {
        if self.http2 { "HTTP/2.0" } else { "HTTP/1.1" }
    }

    fn host(&self) -> Option<&[u8]> {
        match self.rewrite.host() {
            Some(host) => Some(host.as_bytes()),
            None => RequestView::host(self.request),
        }
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for value in RequestView::header(self.request, name) {
            match self.rewrite.field(name.as_bytes(), value) {
                FieldAction::Keep => each(value),
                FieldAction::Remove => {}
                FieldAction::Replace(value) => each(&value),
            }
        }
        let appended = self.rewrite.appended().iter().chain(self.own);
        appended
            .filter(|(appended, _)| &**appended == name)
            .for_each(|(_, value)| each(value));
    }

    /// It is among the copy's own fields.
    fn generated_id(&self) -> Option<&GeneratedId> {
        None
    }
}

/// Something that was no request.
pub(super) struct Nothing<'a>(pub(super) &'a Peer);

impl Subject for Nothing<'_> {
    fn peer(&self) -> &Peer {
        self.0
    }

    fn method(&self) -> &[u8] {
        b""
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn target(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn protocol(&self) -> &'static str {
        ""
    }

    fn host(&self) -> Option<&[u8]> {
        None
    }

    fn header(&self, _name: &str, _each: &mut dyn FnMut(&[u8])) {}

    fn generated_id(&self) -> Option<&GeneratedId> {
        None
    }
}
