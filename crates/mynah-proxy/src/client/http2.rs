//! A client's HTTP/2 connection: every stream a task of its own, with an upstream connection that belongs to the client's.
//!
//! Nothing is held back: bodies pass as they arrive, as far as the windows of the other side allow. When the upstream ends
//! its connection, the client is told to ask on a new one (GOAWAY), as it would be without Mynah.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{Method, Request};
use tokio::time::{Instant, timeout};

use crate::exchange::http2::Replying;
use crate::exchange::{self, Outcome, Reply, Source};
use crate::route::DecodedView;
use crate::stats::ProductionError;
use crate::stream::{Rewound, Stream};
use crate::tee;
use crate::upstream::links::Links;
use crate::worker::{Peer, Worker};

/// Bytes of one request, and of all together, that a client may send ahead of the upstream.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What the streams of a connection have in common.
struct Shared {
    worker: Rc<Worker>,
    peer: Peer,
    links: Links,
}

/// Serves a connection of which `read` has been read.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, peer: Peer, read: Bytes) {
    let snapshot = worker.snapshot();
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(snapshot.streams)
        .max_header_list_size(snapshot.limits.head as u32)
        .handshake(Rewound::new(read, stream));
    let connection = match timeout(snapshot.head_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            if !error.is_io() {
                worker.stats.error(ProductionError::BadRequest);
            }
            return;
        }
        Err(_) => return worker.stats.error(ProductionError::HeadTimeout),
    };
    drop(snapshot);
    let shared = Rc::new(Shared {
        links: Links::new(worker.clone(), peer, true),
        worker,
        peer,
    });
    accept(&shared, connection).await;
}

async fn accept(shared: &Rc<Shared>, mut connection: Connection<Rewound, Bytes>) {
    let mut last = false;
    loop {
        let accepted = poll_fn(|cx| {
            let ended = shared.links.poll_ended(cx);
            if (ended || shared.worker.is_draining()) && !last {
                last = true;
                connection.graceful_shutdown();
            }
            connection.poll_accept(cx)
        })
        .await;
        match accepted {
            Some(Ok((request, respond))) => {
                tokio::task::spawn_local(serve_stream(shared.clone(), request, respond));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "client connection broke");
                if !error.is_io() && !error.is_remote() {
                    shared.worker.stats.error(ProductionError::BadRequest);
                }
                break;
            }
            None => break,
        }
    }
    // What was sent last is still on its way out.
    let _ = poll_fn(|cx| match connection.poll_closed(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    })
    .await;
}

async fn serve_stream(shared: Rc<Shared>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let worker = &shared.worker;
    worker.stats.requests.add(1);
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, ());
    let has_body = !body.is_end_stream() || request.method() == Method::CONNECT;
    let mut reply = Reply::Http2(Replying::new(respond));
    let snapshot = worker.snapshot();
    let view = DecodedView {
        request: &request,
        client: shared.peer.client.ip(),
        http2: true,
    };
    let route = snapshot.route(&view);
    let tee = tee::decoded::begin(worker, route, &view, has_body);
    let request = route.upstream.forward_decoded(request, route, &shared.peer);
    let (status, outcome) = match shared.links.call(&route.upstream, request, has_body).await {
        Ok(call) => {
            let mut source = has_body.then_some(Source::Http2(body));
            exchange::run(call, &mut source, &mut reply, tee).await
        }
        Err(error) => {
            reply.refuse(error).await;
            (Some(error.status()), Outcome::Failed(Some(error)))
        }
    };
    worker.stats.exchange(status, outcome, started.elapsed());
}
