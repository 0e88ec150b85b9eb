//! A client connection's connections to upstreams, for what is passed on decoded: by HTTP/2 one for each upstream, which
//! carries every stream; by HTTP/1 one for each request under way, kept for the next.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Version};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::connect::{ConnectError, connect_upstream_first, speaks_http2};
use crate::exchange::http1::{Awaited, Idle, Input, Keep, Output, send_request};
use crate::exchange::{Call, Pending, Sink};
use crate::lane::agreed_on_http2;
use crate::snapshot::UpstreamTarget;
use crate::stats::ProductionError;
use crate::worker::{Peer, Worker};

/// Bytes of one response, and of all together, that an upstream may send ahead of the client.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The upstream connections of one client connection.
pub(crate) struct Links {
    worker: Rc<Worker>,
    peer: Peer,
    client_http2: bool,
    links: RefCell<Vec<Rc<Link>>>,
    ended: Rc<Ended>,
}

struct Link {
    target: Rc<UpstreamTarget>,
    http2: Mutex<Option<SendRequest<Bytes>>>,
    idle: Rc<Idle>,
}

/// Tells the client's connection that an upstream's has ended.
#[derive(Default)]
struct Ended {
    happened: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Links {
    pub(crate) fn new(worker: Rc<Worker>, peer: Peer, client_http2: bool) -> Self {
        Self {
            worker,
            peer,
            client_http2,
            links: RefCell::default(),
            ended: Rc::default(),
        }
    }

    /// Whether an upstream has ended its connection since the last call; if not, the task is woken when one does.
    pub(crate) fn poll_ended(&self, cx: &std::task::Context<'_>) -> bool {
        if self.ended.happened.replace(false) {
            return true;
        }
        let mut waker = self.ended.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    fn link(&self, target: &Rc<UpstreamTarget>) -> Rc<Link> {
        let mut links = self.links.borrow_mut();
        if let Some(link) = links.iter().find(|link| Rc::ptr_eq(&link.target, target)) {
            return link.clone();
        }
        let link = Rc::new(Link {
            target: target.clone(),
            http2: Mutex::default(),
            idle: Rc::default(),
        });
        links.push(link.clone());
        link
    }

    /// Sends a request's head.
    pub(crate) async fn call(
        &self,
        target: &Rc<UpstreamTarget>,
        request: Request<()>,
        has_body: bool,
    ) -> Result<Call, ProductionError> {
        let link = self.link(target);
        let upstream = &target.plan.upstream;
        let (sink, pending) = if speaks_http2(upstream.protocol, self.client_http2) {
            self.call_http2(&link, request, has_body).await?
        } else {
            self.call_http1(&link, &request, has_body).await?
        };
        Ok(Call {
            sink,
            pending,
            response_timeout: upstream.response_timeout,
        })
    }

    async fn call_http2(
        &self,
        link: &Link,
        mut request: Request<()>,
        has_body: bool,
    ) -> Result<(Option<Sink>, Pending), ProductionError> {
        if request.uri().authority().is_none() {
            // Without an authority h2 takes the request only as one of HTTP/1.
            *request.version_mut() = Version::HTTP_11;
        }
        let mut sender = self.sender(link).await?;
        let (response, stream) = sender.send_request(request, !has_body).map_err(|error| {
            tracing::debug!(%error, "request not sent");
            ProductionError::UpstreamClosed
        })?;
        Ok((has_body.then_some(Sink::Http2(stream)), Pending::Http2(response)))
    }

    /// The HTTP/2 connection, once it takes one more stream. One that was closed in the meantime is replaced.
    async fn sender(&self, link: &Link) -> Result<SendRequest<Bytes>, ProductionError> {
        loop {
            let mut slot = link.http2.lock().await;
            let new = slot.is_none();
            let mut sender = match &*slot {
                Some(sender) => sender.clone(),
                None => slot.insert(self.connect_http2(&link.target).await?).clone(),
            };
            drop(slot);
            match poll_fn(|cx| sender.poll_ready(cx)).await {
                Ok(()) => return Ok(sender),
                Err(error) if new => {
                    tracing::debug!(%error, "upstream closed a new connection");
                    link.http2.lock().await.take();
                    return Err(ProductionError::UpstreamClosed);
                }
                Err(_) => {
                    self.worker.stats.resent.add(1);
                    link.http2.lock().await.take();
                }
            }
        }
    }

    async fn connect_http2(&self, target: &Rc<UpstreamTarget>) -> Result<SendRequest<Bytes>, ProductionError> {
        let limits = &target.plan.upstream;
        let stream = connect_upstream_first(self.worker.clone(), target.clone(), self.peer, self.client_http2).await?;
        agreed_on_http2(&stream)?;
        let handshake = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(self.worker.snapshot().limits.head as u32)
            .enable_push(false)
            .handshake(stream);
        let (sender, connection) = match timeout(limits.connect_timeout, handshake).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(ConnectError::Connect(io::Error::other(error)).into()),
            Err(_) => return Err(ConnectError::Timeout.into()),
        };
        let ended = self.ended.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection broke");
            }
            ended.happened.set(true);
            if let Some(waker) = ended.waker.take() {
                waker.wake();
            }
        });
        Ok(sender)
    }

    async fn call_http1(
        &self,
        link: &Link,
        request: &Request<()>,
        has_body: bool,
    ) -> Result<(Option<Sink>, Pending), ProductionError> {
        loop {
            let idle = link.idle.borrow_mut().pop();
            let reused = idle.is_some();
            let (mut input, output) = match idle {
                Some(connection) => connection,
                None => self.connect_http1(&link.target).await?,
            };
            if reused && !input.is_quiet().await {
                // It was closed in the meantime.
                continue;
            }
            let keep = Keep::new(link.idle.clone());
            match send_request(output, request, has_body, &keep).await {
                Ok(sink) => {
                    let awaited = Awaited::new(input, request.method(), keep);
                    return Ok((sink, Pending::Http1(Box::new(awaited))));
                }
                Err(_) if reused => self.worker.stats.resent.add(1),
                Err(_) => return Err(ProductionError::UpstreamClosed),
            }
        }
    }

    async fn connect_http1(&self, target: &Rc<UpstreamTarget>) -> Result<(Input, Output), ProductionError> {
        let stream = connect_upstream_first(self.worker.clone(), target.clone(), self.peer, self.client_http2).await?;
        let (reading, writing) = tokio::io::split(stream);
        let input = Input::new(self.worker.clone(), reading, Bytes::new());
        Ok((input, Output::new(writing)))
    }
}
