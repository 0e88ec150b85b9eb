//! Copies of requests that are at hand decoded, or that leave by another protocol than they came by.

use std::borrow::Cow;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use mynah_core::{FailReason, FieldAction, NotCopied, Outcome, ShedReason};

use super::{Tee, admit, never_copied};
use crate::exchange::http1::encode_request;
use crate::lane::queue::BodyQueue;
use crate::lane::{DecodedCopy, Ticket, WireCopy};
use crate::route::DecodedView;
use crate::snapshot::{CopyTo, RouteEntry};
use crate::worker::{Held, Worker};

/// Starts the copies of a decoded request. What is returned wants the body.
pub(crate) fn begin(
    worker: &Rc<Worker>,
    route: &RouteEntry,
    view: &DecodedView<'_>,
    has_body: bool,
) -> Option<Box<Tee>> {
    if route.copies.is_empty() {
        return None;
    }
    let tunnel = (view.request.method() == Method::CONNECT).then_some(NotCopied::Connect);
    let never = never_copied(view, tunnel);
    let mut tee: Option<Tee> = None;
    for copy in &route.copies {
        for ticket in admit(worker, copy, view, never, view.http2) {
            if let Some(queue) = send(worker, copy, ticket, Some(view.request), has_body) {
                tee.get_or_insert_with(Tee::default).data.push(queue);
            }
        }
    }
    tee.map(Box::new)
}

/// Gives one copy to its lane, in the protocol of the mirror. What takes its body, if it has one.
pub(super) fn send(
    worker: &Rc<Worker>,
    copy: &CopyTo,
    ticket: Ticket,
    request: Option<&Request<()>>,
    has_body: bool,
) -> Option<Rc<BodyQueue>> {
    let Some(request) = request.and_then(|request| rewritten(copy, &ticket, request)) else {
        // A target that only HTTP/1 can say.
        ticket.finish(Outcome::Failed(FailReason::Internal));
        return None;
    };
    let http2 = ticket.http2();
    let head = if http2 {
        Vec::new()
    } else {
        encode_request(&request, has_body)
    };
    let size = if http2 { size(&request) } else { head.len() };
    let Some(held) = Held::take(worker, size) else {
        ticket.finish(Outcome::Shed(ShedReason::HeldBytes));
        return None;
    };
    let window = copy.lane.mirror().window.bytes() as usize;
    let queue = has_body.then(|| BodyQueue::new(worker.clone(), window));
    let body = queue.clone();
    if http2 {
        copy.lane.send_http2(
            worker,
            DecodedCopy {
                ticket,
                _held: held,
                request,
                body,
            },
        );
    } else {
        let encode_chunked = has_body && !request.headers().contains_key(header::CONTENT_LENGTH);
        let is_head = request.method() == Method::HEAD;
        copy.lane.send(
            worker,
            WireCopy {
                ticket,
                held: Some(held),
                head,
                body,
                encode_chunked,
                is_head,
            },
        );
    }
    queue
}

/// Bytes of a decoded head.
fn size(request: &Request<()>) -> usize {
    let fields = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let target = request.uri().path_and_query().map_or(1, |path| path.as_str().len());
    target + fields.sum::<usize>()
}

/// The copy's head. None when what the rewrite makes of the target cannot be one.
fn rewritten(copy: &CopyTo, ticket: &Ticket, request: &Request<()>) -> Option<Request<()>> {
    let rewrite = &copy.rewrite;
    let mut new = Request::new(());
    *new.method_mut() = request.method().clone();
    *new.version_mut() = request.version();
    *new.uri_mut() = rewritten_uri(copy, request)?;
    let mut headers = HeaderMap::with_capacity(request.headers().len() + rewrite.appended().len());
    // Permission to send is asked of the application alone.
    let fields = request.headers().iter().filter(|(name, _)| *name != header::EXPECT);
    for (name, value) in fields {
        match rewrite.field(name.as_str().as_bytes(), value.as_bytes()) {
            FieldAction::Keep => {
                headers.append(name.clone(), value.clone());
            }
            FieldAction::Remove => {}
            FieldAction::Replace(new) => {
                headers.append(name.clone(), HeaderValue::from_bytes(&new).ok()?);
            }
        }
    }
    for (name, value) in rewrite.appended().iter().chain(ticket.own()) {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_bytes(value).ok()?,
        );
    }
    *new.headers_mut() = headers;
    Some(new)
}

fn rewritten_uri(copy: &CopyTo, request: &Request<()>) -> Option<Uri> {
    let old = request.uri();
    let path = old
        .path_and_query()
        .map(|path| copy.rewrite.target(path.as_str().as_bytes()));
    let same_path = match (&path, old.path_and_query()) {
        (Some(Cow::Borrowed(new)), Some(old)) => *new == old.as_str().as_bytes(),
        (Some(_), _) => false,
        (None, _) => true,
    };
    let scheme = copy.lane.scheme();
    if same_path && copy.rewrite.host().is_none() && old.scheme_str().is_none_or(|old| old == scheme) {
        return Some(old.clone());
    }
    let mut parts = old.clone().into_parts();
    if let Some(path) = path {
        parts.path_and_query = Some(path.as_ref().try_into().ok()?);
    }
    if parts.authority.is_some() {
        if let Some(host) = copy.rewrite.host() {
            parts.authority = Some(host.try_into().ok()?);
        }
        if parts.scheme.is_some() {
            parts.scheme = Some(scheme.try_into().ok()?);
        }
    }
    Uri::from_parts(parts).ok()
}
