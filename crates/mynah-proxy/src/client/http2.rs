//! A client's HTTP/2 connection: every stream a task of its own, with an upstream connection that belongs to the client's.
//!
//! Nothing is held back: bodies pass as they arrive, as far as the windows of the other side allow. When the upstream ends
//! its connection, the client is told to ask on a new one (GOAWAY), as it would be without Mynah.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Uri, header};
use mynah_http1::Limits;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::linger;
use super::wire::{Watch, Wire};
use crate::exchange::http2::{Replying, unclear_length};
use crate::exchange::{Outcome, Reply, Source, Tally};
use crate::route::{DecodedView, HTTP2};
use crate::snapshot::UpstreamTarget;
use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::tee;
use crate::upstream::links::{CONNECTION_WINDOW, Links, STREAM_WINDOW};
use crate::worker::{Peer, Worker};

/// What the decoded size of a field is more than its name and value (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// Streams after which a client is judged by how many of them it took back, and how early that is.
const JUDGED_AFTER: u32 = 500;
const EARLY: Duration = Duration::from_secs(1);

/// What the streams of a connection have in common.
struct Shared {
    worker: Rc<Worker>,
    peer: Peer,
    links: Links,
    watch: Rc<Watch>,
    /// An upstream takes extended CONNECT (RFC 8441).
    extended_connect: Cell<bool>,
    streams: Cell<u32>,
    /// Streams that the client reset before there was an answer to them.
    taken_back: Cell<u32>,
}

impl Shared {
    /// Whether most of what the client asks it takes back at once, which costs it nothing and everyone else a lot.
    fn is_abused(&self) -> bool {
        self.streams.get() >= JUDGED_AFTER && self.taken_back.get() > self.streams.get() / 2
    }
}

/// Serves a connection of which `read` has been read.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, peer: Peer, read: Bytes) {
    let watch = Watch::new(worker.clone());
    let clean = serve_watched(&worker, Wire::new(read, stream, watch.clone()), peer, &watch).await;
    if let Some(stream) = watch.take_left()
        && !clean
    {
        linger(&worker, stream).await;
    }
}

/// Whether the connection ended without a word of Mynah's that the client has to read.
async fn serve_watched(worker: &Rc<Worker>, wire: Wire, peer: Peer, watch: &Rc<Watch>) -> bool {
    let snapshot = worker.snapshot();
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(snapshot.streams)
        // What is past the limit is refused here, where it is counted; `h2` only keeps it from growing without end.
        .max_header_list_size((snapshot.limits.head as u32).saturating_mul(2))
        .handshake(wire);
    let head_timeout = snapshot.head_timeout;
    let connection = match timeout(head_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            if !error.is_io() {
                worker.stats.error(ProductionError::BadRequest);
            }
            return false;
        }
        Err(_) => {
            worker.stats.error(ProductionError::HeadTimeout);
            return true;
        }
    };
    drop(snapshot);
    let shared = Rc::new(Shared {
        links: Links::new(worker.clone(), peer, true),
        worker: worker.clone(),
        peer,
        watch: watch.clone(),
        extended_connect: Cell::new(false),
        streams: Cell::new(0),
        taken_back: Cell::new(0),
    });
    accept(&shared, connection, head_timeout).await
}

async fn accept(shared: &Rc<Shared>, mut connection: Connection<Wire, Bytes>, head_timeout: Duration) -> bool {
    let mut last = false;
    let mut extended_connect = false;
    // Nothing was ever asked.
    let mut silent: Option<Pin<Box<Sleep>>> = Some(Box::pin(sleep(head_timeout)));
    let clean = loop {
        let accepted = poll_fn(|cx| {
            let ended = shared.links.poll_ended(cx);
            if (ended || shared.worker.is_draining()) && !last {
                last = true;
                connection.graceful_shutdown();
            }
            if shared.extended_connect.get() && !extended_connect {
                // Fails only while an earlier change is not acknowledged, and there is none.
                extended_connect = connection.enable_connect_protocol().is_ok();
            }
            if silent
                .as_mut()
                .is_some_and(|silent| silent.as_mut().poll(cx).is_ready())
            {
                silent = None;
                connection.abrupt_shutdown(Reason::NO_ERROR);
            }
            connection.poll_accept(cx)
        })
        .await;
        match accepted {
            Some(Ok((request, respond))) => {
                silent = None;
                shared.streams.set(shared.streams.get() + 1);
                if shared.is_abused() {
                    shared.worker.stats.error(ProductionError::BadRequest);
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    continue;
                }
                tokio::task::spawn_local(serve_stream(shared.clone(), request, respond));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "client connection broke");
                if error.is_library() {
                    shared.worker.stats.error(ProductionError::BadRequest);
                }
                break error.is_io();
            }
            None => break false,
        }
    };
    // What was sent last is still on its way out.
    let _ = poll_fn(|cx: &mut Context<'_>| connection.poll_closed(cx).map(|_| ())).await;
    clean
}

/// Counts the panic of a stream's task.
struct Guard<'a>(&'a Worker);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stats.error(ProductionError::Panic);
        }
    }
}

async fn serve_stream(shared: Rc<Shared>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let worker = &shared.worker;
    let _guard = Guard(worker);
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let snapshot = worker.snapshot();
    if let Err(status) = check(&request, &snapshot.limits) {
        worker.stats.error(ProductionError::BadRequest);
        if let Some(log) = &snapshot.access_log {
            log.refused(&shared.peer, status, ProductionError::BadRequest.as_str());
        }
        Replying::new(respond, shared.watch.clone()).fail(status, Reason::PROTOCOL_ERROR);
        return;
    }
    let tally = Tally::default();
    let has_body = !body.is_end_stream() || request.method() == Method::CONNECT;
    let view = DecodedView::new(worker, &snapshot, &request, shared.peer, HTTP2);
    let route = snapshot.route(&view);
    let line = snapshot
        .access_log
        .as_ref()
        .map(|log| log.begin(&view, route.index, started));
    let target = route.upstream.clone();
    if let Err(status) = check_for(&request, &target) {
        worker.stats.error(ProductionError::BadRequest);
        let outcome = Outcome::Failed(Some(ProductionError::BadRequest));
        tally.end(line, Some(status), outcome, started);
        Replying::new(respond, shared.watch.clone()).fail(status, Reason::PROTOCOL_ERROR);
        return;
    }
    worker.stats.requests.add(1);
    let tee = tee::decoded::begin(worker, route, &view, has_body);
    let request = route.upstream.forward_decoded(request, route, &shared.peer);
    drop(snapshot);
    let mut source = has_body.then_some(Source::Http2(body));
    let mut reply = Reply::Http2(Replying::new(respond, shared.watch.clone()));
    let (status, outcome) = shared
        .links
        .carry(&target, request, &mut source, &mut reply, tee, &tally)
        .await;
    if !shared.extended_connect.get() {
        shared
            .extended_connect
            .set(shared.links.takes_extended_connect(&target));
    }
    let took = started.elapsed();
    if outcome == Outcome::Failed(Some(ProductionError::ClientAborted)) && status.is_none() && took < EARLY {
        shared.taken_back.set(shared.taken_back.get() + 1);
    }
    worker.stats.exchange(status, outcome, took);
    tally.end(line, status, outcome, started);
}

/// Refuses what is larger than allowed, and what two servers could read differently. With which status.
fn check(request: &Request<()>, limits: &Limits) -> Result<(), u16> {
    let headers = request.headers();
    if path(request.uri()).len() > limits.request_line {
        return Err(414);
    }
    if headers.len() > limits.fields || size(request) > limits.head {
        return Err(431);
    }
    if unclear_length(headers) || !one_host(request.uri(), headers) {
        return Err(400);
    }
    Ok(())
}

/// Refuses what cannot be said to an upstream in its protocol. With which status.
fn check_for(request: &Request<()>, target: &UpstreamTarget) -> Result<(), u16> {
    if target.speaks_http2(true) {
        return Ok(());
    }
    if request.method() == Method::CONNECT || request.extensions().get::<Protocol>().is_some() {
        // A tunnel has no place in this translation.
        return Err(501);
    }
    let host = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| request.headers().get(header::HOST).map(|host| host.as_bytes()));
    match host {
        Some(host) if !host.contains(&b'@') => Ok(()),
        // HTTP/1.1 needs a host (RFC 9112 §3.2), and one that is nobody's password.
        _ => Err(400),
    }
}

/// Whether at most one host is named.
fn one_host(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next(), uri.authority()) {
        (_, Some(_), _) => false,
        (Some(host), None, Some(authority)) => host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()),
        _ => true,
    }
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |path| path.as_str())
}

/// Bytes of a head.
fn size(request: &Request<()>) -> usize {
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD);
    path(request.uri()).len() + fields.sum::<usize>()
}
