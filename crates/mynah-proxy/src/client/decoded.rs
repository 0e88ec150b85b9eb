//! A client's HTTP/1 connection before an upstream that is spoken to in HTTP/2: one exchange after the other, decoded.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use mynah_http1::{Framing, RequestHead, RequestKind, Version};
use tokio::time::{Instant, timeout};

use super::linger;
use crate::exchange::http1::{Incoming, Input, Output, Replying, decode_request};
use crate::exchange::{Outcome, Reply, Source, Tally};
use crate::route::DecodedView;
use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::tee;
use crate::upstream::links::Links;
use crate::worker::{Peer, Worker};

/// What a head says about its exchange.
struct Begun {
    request: Request<()>,
    body: Framing,
    is_head: bool,
    is_old: bool,
    last: bool,
}

/// Serves a connection of which `read` has been read.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, peer: Peer, read: Bytes) {
    let scheme = if stream.is_tls() { "https" } else { "http" };
    let links = Links::new(worker.clone(), peer, false);
    let (reading, writing) = tokio::io::split(stream);
    let mut connection = Some((Input::new(worker.clone(), reading, read), Output::new(writing, None)));
    while let Some((mut input, output)) = connection.take() {
        let head = match next_head(&worker, &links, &mut input).await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err((error, status)) => {
                refused(&worker, &peer, error, status);
                return refuse(&worker, input, output, status).await;
            }
        };
        let begun = match begin(&worker, &head, scheme) {
            Ok(begun) => begun,
            Err(status) => {
                refused(&worker, &peer, ProductionError::BadRequest, status);
                return refuse(&worker, input, output, status).await;
            }
        };
        connection = exchange(&worker, &links, peer, begun, input, output).await;
    }
}

/// Says why there is no response, and ends the connection.
async fn refuse(worker: &Worker, input: Input, mut output: Output, status: u16) {
    if output.write(super::error_response(status)).await.is_ok()
        && let Some(stream) = input.rejoin(output)
    {
        linger(worker, stream).await;
    }
}

/// Counts, and logs, that something was refused that was no request.
fn refused(worker: &Worker, peer: &Peer, error: ProductionError, status: u16) {
    worker.stats.error(error);
    if let Some(log) = &worker.snapshot().access_log {
        log.refused(peer, status, error.as_str());
    }
}

/// The next head; none when the client, the upstream or a drain has ended the connection between requests.
async fn next_head(
    worker: &Rc<Worker>,
    links: &Links,
    input: &mut Input,
) -> Result<Option<Bytes>, (ProductionError, u16)> {
    let limit = worker.snapshot().head_timeout;
    let idle = poll_fn(|cx| {
        let head = input.poll_head(cx);
        if head.is_ready() {
            return head.map(Some);
        }
        if input.has_begun() {
            return Poll::Ready(None);
        }
        if links.poll_ended(cx) || worker.is_draining() {
            return Poll::Ready(Some(Ok(None)));
        }
        Poll::Pending
    })
    .await;
    let head = match idle {
        Some(head) => head,
        None => match timeout(limit, poll_fn(|cx| input.poll_head(cx))).await {
            Ok(head) => head,
            Err(_) => return Err((ProductionError::HeadTimeout, 408)),
        },
    };
    head.map_err(|status| (ProductionError::BadRequest, status))
}

fn begin(worker: &Rc<Worker>, bytes: &Bytes, scheme: &str) -> Result<Begun, u16> {
    let mut fields = worker.take_fields();
    let begun = RequestHead::parse(bytes, &mut fields, &worker.snapshot().limits)
        .map_err(|error| error.status())
        .and_then(|head| {
            let kind = RequestKind::of(head.method());
            if kind == RequestKind::Connect {
                // A tunnel has no place in this translation.
                return Err(501);
            }
            Ok(Begun {
                request: decode_request(&head, scheme).ok_or(400_u16)?,
                body: head.body(),
                is_head: kind == RequestKind::Head,
                is_old: head.version() == Version::Http10,
                last: !head.persistent(),
            })
        });
    worker.return_fields(fields);
    begun
}

/// One exchange. The connection, if another can follow.
async fn exchange(
    worker: &Rc<Worker>,
    links: &Links,
    peer: Peer,
    begun: Begun,
    input: Input,
    output: Output,
) -> Option<(Input, Output)> {
    worker.stats.requests.add(1);
    let started = Instant::now();
    let has_body = !matches!(begun.body, Framing::None | Framing::Length(0));
    let last = begun.last || worker.is_draining();
    let mut reply = Reply::Http1(Box::new(Replying::new(output, begun.is_head, begun.is_old, last)));
    let snapshot = worker.snapshot();
    let protocol = if begun.is_old { "HTTP/1.0" } else { "HTTP/1.1" };
    let view = DecodedView::new(worker, &snapshot, &begun.request, peer, protocol);
    let route = snapshot.route(&view);
    let line = snapshot
        .access_log
        .as_ref()
        .map(|log| log.begin(&view, route.index, started));
    let tally = Tally::default();
    let tee = tee::decoded::begin(worker, route, &view, has_body);
    let request = route.upstream.forward_decoded(begun.request, route, &peer);
    let incoming = Incoming::new(input, begun.body);
    let (mut input, mut source) = if has_body {
        (None, Some(Source::Http1(incoming)))
    } else {
        (Some(incoming.into_input()), None)
    };
    let target = route.upstream.clone();
    let (status, outcome) = links
        .carry(&target, request, &mut source, &mut reply, tee, &tally)
        .await;
    worker.stats.exchange(status, outcome, started.elapsed());
    tally.end(line, status, outcome, started);
    let Reply::Http1(reply) = reply else { return None };
    let read_whole = match source {
        Some(Source::Http1(incoming)) => {
            let whole = incoming.is_whole();
            input = Some(incoming.into_input());
            whole
        }
        _ => true,
    };
    if outcome == Outcome::Complete && read_whole && !reply.last {
        return input.zip(reply.into_output());
    }
    if let (Some(input), (Some(output), true)) = (input, reply.into_last_output())
        && let Some(stream) = input.rejoin(output)
    {
        linger(worker, stream).await;
    }
    None
}
