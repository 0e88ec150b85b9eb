//! The tee: where a request is shared between the upstream and its copies.
//!
//! Which mirrors receive how many copies is decided on the head, in one go and without waiting; what the body consists of
//! is then pushed to each copy as it passes by. A copy that cannot take it is cut, and production does not hear of it.

pub(crate) mod decoded;

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use mynah_config::model::{SampleBy, Trace};
use mynah_core::{
    FieldAction, NotCopied, Outcome, Ratio, RequestView, ShedReason, TRACE_LINK, TRACEPARENT, cookie, is_probe,
    keyed_copies, new_trace,
};
use mynah_http1::edit::{Change, write_copy};
use mynah_http1::{BodyDecoder, BodyError, BodySink, Framing};

use crate::access_log::{CopySubject, Logged};
use crate::exchange::http1::decode_request;
use crate::lane::queue::{BodyQueue, Item};
use crate::lane::{Lane, OwnField, Ticket, WireCopy};
use crate::route::Http1View;
use crate::snapshot::{CopyTo, RouteEntry};
use crate::worker::{Held, Worker};

/// Slices shorter than this are copied, so that a few bytes never keep a whole read buffer alive.
const SHARE_MIN: usize = 16 * 1024;
/// Bodies up to this size that have arrived with their head travel with it.
const INLINE_MAX: usize = 16 * 1024;

/// The copies of one request whose body is still arriving.
#[derive(Default)]
pub(crate) struct Tee {
    /// Copies that take the body as it is on the wire.
    wire: Vec<Rc<BodyQueue>>,
    /// Copies that take it decoded.
    data: Vec<Rc<BodyQueue>>,
}

impl Tee {
    /// Decodes what follows at `at`, pushing it to every copy. How many bytes belong to the body.
    pub(crate) fn pass(&mut self, decoder: &mut BodyDecoder, chunk: &Bytes, at: usize) -> Result<usize, BodyError> {
        let len = if self.data.is_empty() {
            decoder.decode(&chunk[at..], &mut ())?
        } else {
            let mut sink = DecodedBody::default();
            let len = decoder.decode(&chunk[at..], &mut sink)?;
            for range in sink.ranges {
                Self::push(&mut self.data, chunk, at + range.start..at + range.end);
            }
            if let Some(trailers) = sink.trailers {
                self.trailers(&trailers);
            }
            len
        };
        Self::push(&mut self.wire, chunk, at..at + len);
        Ok(len)
    }

    /// Pushes decoded data.
    pub(crate) fn data(&mut self, data: &Bytes) {
        Self::push(&mut self.data, data, 0..data.len());
    }

    /// Pushes decoded trailers.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.data
            .retain(|queue| queue.push(Item::Trailers(Box::new(trailers.clone()))));
    }

    fn push(queues: &mut Vec<Rc<BodyQueue>>, chunk: &Bytes, range: Range<usize>) {
        if queues.is_empty() || range.is_empty() {
            return;
        }
        let shared = if range.len() < SHARE_MIN {
            Bytes::copy_from_slice(&chunk[range])
        } else {
            chunk.slice(range)
        };
        queues.retain(|queue| queue.push(Item::Data(shared.clone())));
    }

    /// Whether a copy has fallen so far behind that what passes next may cut it.
    pub(crate) fn lags(&self) -> bool {
        self.wire.iter().chain(&self.data).any(|queue| queue.lags())
    }

    /// The body has ended.
    pub(crate) fn end(self) {
        self.wire.iter().chain(&self.data).for_each(|queue| queue.end());
    }
}

/// A body that did not end is not whole, and neither are its copies.
impl Drop for Tee {
    fn drop(&mut self) {
        self.wire
            .iter()
            .chain(&self.data)
            .for_each(|queue| queue.cut(ShedReason::SourceAborted));
    }
}

/// What a body decodes to: where its data is, and its trailers.
#[derive(Default)]
pub(crate) struct DecodedBody {
    pub(crate) ranges: Vec<Range<usize>>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl BodySink for DecodedBody {
    fn data(&mut self, range: Range<usize>) {
        self.ranges.push(range);
    }

    fn trailer(&mut self, name: &[u8], value: &[u8]) {
        if let (Ok(name), Ok(value)) = (name.try_into(), http::HeaderValue::from_bytes(value)) {
            let name: http::HeaderName = name;
            self.trailers.get_or_insert_default().append(name, value);
        }
    }
}

/// Why no mirror receives a copy of a request, whatever its ratio.
pub(crate) fn never_copied(request: &impl RequestView, tunnel: Option<NotCopied>) -> Option<NotCopied> {
    if request.header(mynah_core::MARKER).next().is_some() {
        Some(NotCopied::Marker)
    } else {
        tunnel
    }
}

/// Tickets for the copies of one request to one mirror: as many as its ratio asks for and its bounds allow.
pub(crate) fn admit<'r>(
    worker: &'r Worker,
    copy: &'r CopyTo,
    request: &'r impl Logged,
    never: Option<NotCopied>,
    client_http2: bool,
) -> impl Iterator<Item = Ticket> + 'r {
    let lane = &copy.lane;
    let copies = match never.or_else(|| not_for(lane, request)) {
        Some(reason) => {
            lane.stats.not_copied[reason.index()].add(1);
            0
        }
        None => {
            lane.stats.matched.add(1);
            sample(lane, request)
        }
    };
    let kept = match &lane.share {
        None => copies,
        Some(share) => share.keeps(copies, lane.ratio.get(), |ratio| by_key(lane, request, ratio)),
    };
    let http2 = lane.speaks_http2(client_http2);
    (0..copies).filter_map(move |i| {
        let own = own_fields(worker, copy, request);
        let subject = || CopySubject {
            request,
            rewrite: &copy.rewrite,
            own: &own,
            http2,
        };
        let ticket = lane.admit(worker, http2, i < kept, subject)?;
        Some(ticket.with_own(own))
    })
}

/// Why this mirror does not receive copies of such requests.
fn not_for(lane: &Lane, request: &impl RequestView) -> Option<NotCopied> {
    let mirror = lane.mirror();
    if !mirror.methods.is_empty() && !mirror.methods.iter().any(|m| m.as_bytes() == request.method()) {
        Some(NotCopied::Method)
    } else if !mirror.copy_probes && is_health_check(request) {
        Some(NotCopied::Probe)
    } else {
        None
    }
}

fn is_health_check(request: &impl RequestView) -> bool {
    let path = request.path_and_query();
    let path = &path[..memchr::memchr(b'?', path).unwrap_or(path.len())];
    is_probe(request.method(), path, request.header("user-agent").next())
}

/// Fields of one copy alone: the identifier that its request did not come with, and its trace.
fn own_fields(worker: &Worker, copy: &CopyTo, request: &impl Logged) -> Vec<OwnField> {
    let mut own = Vec::new();
    if let Some((name, value)) = request.generated_id().and_then(|id| id.on_copy(&copy.rewrite)) {
        own.push((name.into(), value.into()));
    }
    if copy.lane.mirror().trace == Trace::New {
        let mut parents = request.header(TRACEPARENT);
        if let (Some(old), None) = (parents.next(), parents.next())
            && let Some(new) = new_trace(old, &worker.ids.next(), &worker.ids.next())
        {
            own.push((TRACEPARENT.into(), new.as_slice().into()));
            own.push((TRACE_LINK.into(), old.into()));
        }
    }
    own
}

/// How many copies. Requests without the key that decides are counted out by error diffusion.
fn sample(lane: &Lane, request: &impl RequestView) -> u32 {
    let ratio = lane.ratio.get();
    by_key(lane, request, ratio).unwrap_or_else(|| lane.diffusion.borrow_mut().next(ratio))
}

/// How many copies at this ratio, if the request has a key that decides.
fn by_key(lane: &Lane, request: &impl RequestView, ratio: Ratio) -> Option<u32> {
    match lane.by() {
        SampleBy::Request => None,
        SampleBy::Header(name) => request.header(name).next().map(|value| keyed_copies(value, ratio)),
        SampleBy::Cookie(name) => cookie(request.header("cookie"), name).map(|value| keyed_copies(value, ratio)),
        SampleBy::ClientIp => Some(match request.client_ip().to_canonical() {
            std::net::IpAddr::V4(ip) => keyed_copies(&ip.octets(), ratio),
            std::net::IpAddr::V6(ip) => keyed_copies(&ip.octets(), ratio),
        }),
    }
}

/// Starts the copies of an HTTP/1 request. What is returned wants the body; `behind` is what has arrived of it.
pub(crate) fn begin_http1(
    worker: &Rc<Worker>,
    route: &RouteEntry,
    request: &Http1View<'_, '_>,
    behind: &[u8],
) -> Option<Box<Tee>> {
    if route.copies.is_empty() {
        return None;
    }
    let head = request.head;
    let tunnel = if head.method() == b"CONNECT" {
        Some(NotCopied::Connect)
    } else {
        head.upgrade().then_some(NotCopied::Upgrade)
    };
    let never = never_copied(request, tunnel);
    let inline = match head.body() {
        Framing::None => Some(&[][..]),
        Framing::Length(len) if len <= INLINE_MAX as u64 => behind.get(..len as usize),
        _ => None,
    };
    let mut tee: Option<Tee> = None;
    for copy in &route.copies {
        for ticket in admit(worker, copy, request, never, false) {
            if copy.lane.speaks_http2(false) {
                let has_body = !matches!(head.body(), Framing::None | Framing::Length(0));
                let decoded = decode_request(head, copy.lane.scheme());
                let queue = decoded::send(worker, copy, ticket, decoded.as_ref(), has_body);
                tee.get_or_insert_with(Tee::default).data.extend(queue);
                continue;
            }
            let mut bytes = copy_head(copy, &ticket, request, inline.map_or(0, <[u8]>::len));
            bytes.extend_from_slice(inline.unwrap_or_default());
            ticket.sent(inline.map_or(0, <[u8]>::len));
            let Some(held) = Held::take(worker, bytes.len()) else {
                ticket.finish(Outcome::Shed(ShedReason::HeldBytes));
                continue;
            };
            let body = match inline {
                Some(_) => None,
                None => {
                    let queue = BodyQueue::new(worker.clone(), copy.lane.mirror().window.bytes() as usize);
                    tee.get_or_insert_with(Tee::default).wire.push(queue.clone());
                    Some(queue)
                }
            };
            let is_head = head.method() == b"HEAD";
            copy.lane.send(
                worker,
                WireCopy {
                    ticket,
                    held: Some(held),
                    head: bytes,
                    body,
                    encode_chunked: false,
                    is_head,
                },
            );
        }
    }
    tee.map(Box::new)
}

/// The head of a copy, with room for `more` bytes behind it.
fn copy_head(copy: &CopyTo, ticket: &Ticket, request: &Http1View<'_, '_>, more: usize) -> Vec<u8> {
    let head = request.head;
    let mut out = Vec::with_capacity(head.bytes().len() + more + 128);
    let path = head
        .path_and_query()
        .map(|_| copy.rewrite.target(request.path_and_query()));
    let changed = path.as_deref().filter(|path| Some(*path) != head.path_and_query());
    let change = |name, value| match copy.rewrite.field(name, value) {
        FieldAction::Keep => Change::Keep,
        FieldAction::Remove => Change::Remove,
        FieldAction::Replace(value) => Change::Replace(value),
    };
    let appended = copy.rewrite.appended().iter().chain(ticket.own());
    let appended = appended.map(|(name, value)| (&**name, &**value));
    write_copy(head, changed, change, appended, &mut out);
    out
}
