//! Connections to upstreams, for what is passed on decoded: by HTTP/2 one that carries every stream; by HTTP/1 one for each
//! request under way, kept for the next.
//!
//! They belong to one client connection or, where an upstream's are shared, to the worker.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Version};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::pool::Pool;
use crate::connect::{ConnectError, connect_upstream_first};
use crate::exchange::http1::{Awaited, Idle, Input, Keep, Output, send_request};
use crate::exchange::{self, Call, Outcome, Pending, Ran, Reply, Sink, Source, Tally};
use crate::lane::agreed_on_http2;
use crate::snapshot::UpstreamTarget;
use crate::stats::ProductionError;
use crate::tee::Tee;
use crate::worker::{Peer, Worker};

/// Bytes of one message that its sender may send ahead of the other side.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of a whole connection: so much that streams which stand still leave room for the others.
pub(crate) const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The same of a connection that many clients share: each may stand still.
const SHARED_WINDOW: u32 = (1 << 31) - 1;

/// The upstream connections of one client connection.
pub(crate) struct Links {
    worker: Rc<Worker>,
    peer: Peer,
    client_http2: bool,
    links: RefCell<Vec<Rc<Link>>>,
    ended: Rc<Ended>,
}

/// Connections to one upstream.
pub(crate) struct Link {
    target: Rc<UpstreamTarget>,
    carriers: RefCell<Vec<Rc<Carrier>>>,
    /// Held while a connection is made, so that no other is.
    connecting: Mutex<()>,
    /// How often that failed, and how at last.
    failed: Cell<(usize, ProductionError)>,
    idle: Rc<Idle>,
    /// The same for what is relayed as bytes.
    pub(crate) pool: Pool,
}

/// An HTTP/2 connection.
struct Carrier {
    sender: SendRequest<Bytes>,
    streams: Cell<usize>,
}

/// A request under way on an HTTP/2 connection; counted until it is dropped.
pub(crate) struct Busy(Rc<Carrier>);

impl Busy {
    fn new(carrier: Rc<Carrier>) -> Self {
        carrier.streams.set(carrier.streams.get() + 1);
        Self(carrier)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

/// Tells the client's connection that an upstream's has ended.
#[derive(Default)]
struct Ended {
    happened: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Ended {
    fn tell(&self) {
        self.happened.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Link {
    pub(crate) fn new(target: Rc<UpstreamTarget>) -> Rc<Self> {
        Rc::new(Self {
            target,
            carriers: RefCell::default(),
            connecting: Mutex::default(),
            failed: Cell::new((0, ProductionError::Connect)),
            idle: Rc::default(),
            pool: Pool::default(),
        })
    }

    pub(crate) fn target(&self) -> &Rc<UpstreamTarget> {
        &self.target
    }

    /// An HTTP/2 connection that takes one more stream. Those that have been closed are forgotten; whether there were any.
    fn carrier(&self) -> (Option<Rc<Carrier>>, bool) {
        let mut carriers = self.carriers.borrow_mut();
        let before = carriers.len();
        carriers.retain(|carrier| carrier.is_open());
        let closed = carriers.len() < before;
        let mut open = carriers.iter();
        let carrier = if self.target.is_shared() {
            open.find(|carrier| carrier.streams.get() < carrier.sender.current_max_send_streams())
        } else {
            // What is past the upstream's limit waits for its turn, as it would at the client.
            open.next()
        };
        (carrier.cloned(), closed)
    }
}

impl Carrier {
    fn is_open(&self) -> bool {
        let mut sender = self.sender.clone();
        !matches!(
            sender.poll_ready(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(Err(_))
        )
    }
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
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> bool {
        if self.ended.happened.replace(false) {
            return true;
        }
        let mut waker = self.ended.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    /// Whether an upstream turns out to take extended CONNECT (RFC 8441); asked until it does.
    pub(crate) fn takes_extended_connect(&self, target: &Rc<UpstreamTarget>) -> bool {
        let link = self.link(target);
        let carriers = link.carriers.borrow();
        carriers
            .first()
            .is_some_and(|carrier| carrier.sender.is_extended_connect_protocol_enabled())
    }

    fn link(&self, target: &Rc<UpstreamTarget>) -> Rc<Link> {
        if target.is_shared() {
            return self.worker.shared_link(target);
        }
        let mut links = self.links.borrow_mut();
        if let Some(link) = links.iter().find(|link| Rc::ptr_eq(&link.target, target)) {
            return link.clone();
        }
        // Those of an earlier configuration end with their last stream.
        let snapshot = self.worker.snapshot();
        links.retain(|link| snapshot.has_upstream(&link.target));
        let link = Link::new(target.clone());
        links.push(link.clone());
        link
    }

    /// Carries an exchange to its end; once more on a new connection when its own was closed before any of it was processed.
    /// The status of the response, if there was one, and how it ended.
    pub(crate) async fn carry(
        &self,
        target: &Rc<UpstreamTarget>,
        mut request: Request<()>,
        source: &mut Option<Source>,
        reply: &mut Reply,
        mut tee: Option<Box<Tee>>,
        tally: &Tally,
    ) -> (Option<u16>, Outcome) {
        loop {
            let call = match self.call(target, request, source.is_some()).await {
                Ok(call) => call,
                Err(error) => {
                    reply.refuse(error).await;
                    return (Some(error.status()), Outcome::Failed(Some(error)));
                }
            };
            match exchange::run(call, source, reply, tee.take(), tally).await {
                Ran::With(status, outcome) => return (status, outcome),
                Ran::Again(again) => {
                    self.worker.stats.resent.add(1);
                    request = *again;
                }
            }
        }
    }

    /// Sends a request's head.
    async fn call(
        &self,
        target: &Rc<UpstreamTarget>,
        request: Request<()>,
        has_body: bool,
    ) -> Result<Call, ProductionError> {
        let link = self.link(target);
        if target.speaks_http2(self.client_http2) {
            self.call_http2(&link, request, has_body).await
        } else {
            self.call_http1(&link, request, has_body).await
        }
    }

    async fn call_http2(
        &self,
        link: &Rc<Link>,
        mut request: Request<()>,
        has_body: bool,
    ) -> Result<Call, ProductionError> {
        if request.uri().authority().is_none() {
            // Without an authority h2 takes the request only as one of HTTP/1.
            *request.version_mut() = Version::HTTP_11;
        }
        let (carrier, new) = self.carrier(link).await?;
        // Where others are under way, the upstream does not close for want of requests.
        let may_be_closed = !new && carrier.streams.get() == 0;
        let again = (may_be_closed && !has_body).then(|| Box::new(request.clone()));
        let (response, stream) = carrier
            .sender
            .clone()
            .send_request(request, !has_body)
            .map_err(|error| {
                tracing::debug!(%error, "request not sent");
                ProductionError::UpstreamClosed
            })?;
        Ok(Call {
            sink: Some(Sink::Http2(stream)),
            pending: Pending::Http2(response),
            response_timeout: link.target.plan.upstream.response_timeout,
            again,
            busy: Some(Busy::new(carrier)),
        })
    }

    /// An HTTP/2 connection, and whether it is a new one.
    async fn carrier(&self, link: &Rc<Link>) -> Result<(Rc<Carrier>, bool), ProductionError> {
        let failures = link.failed.get().0;
        let (carrier, closed) = link.carrier();
        if closed && !link.target.is_shared() {
            self.ended.tell();
        }
        if let Some(carrier) = carrier {
            return Ok((carrier, false));
        }
        let _connecting = link.connecting.lock().await;
        // Meanwhile somebody else may have connected, or failed to.
        if let Some(carrier) = link.carrier().0 {
            return Ok((carrier, false));
        }
        let (failed, error) = link.failed.get();
        if failed != failures {
            return Err(error);
        }
        match self.connect_http2(link).await {
            Ok(sender) => {
                let carrier = Rc::new(Carrier {
                    sender,
                    streams: Cell::new(0),
                });
                link.carriers.borrow_mut().push(carrier.clone());
                Ok((carrier, true))
            }
            Err(error) => {
                link.failed.set((failed + 1, error));
                Err(error)
            }
        }
    }

    async fn connect_http2(&self, link: &Rc<Link>) -> Result<SendRequest<Bytes>, ProductionError> {
        let target = &link.target;
        let limits = &target.plan.upstream;
        let descriptor = Descriptor::take(&self.worker);
        let stream = connect_upstream_first(self.worker.clone(), target.clone(), self.peer, self.client_http2).await?;
        agreed_on_http2(&stream)?;
        let window = if target.is_shared() {
            SHARED_WINDOW
        } else {
            CONNECTION_WINDOW
        };
        let handshake = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window)
            .max_header_list_size(self.worker.snapshot().limits.head as u32)
            .enable_push(false)
            .handshake(stream);
        let (sender, connection) = match timeout(limits.connect_timeout, handshake).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(ConnectError::Connect(io::Error::other(error)).into()),
            Err(_) => return Err(ConnectError::Timeout.into()),
        };
        let ended = (!target.is_shared()).then(|| self.ended.clone());
        let link = Rc::downgrade(link);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection broke");
            }
            drop(descriptor);
            // Without its link it is one that a new configuration has no use for; the client goes on with another.
            if let Some(ended) = ended.filter(|_| link.strong_count() > 0) {
                ended.tell();
            }
        });
        Ok(sender)
    }

    async fn call_http1(&self, link: &Rc<Link>, request: Request<()>, has_body: bool) -> Result<Call, ProductionError> {
        loop {
            let idle = link.idle.borrow_mut().pop();
            let reused = idle.is_some();
            let (mut input, output) = match idle {
                Some(connection) => connection,
                None => self.connect_http1(&link.target).await?,
            };
            if reused && !input.is_quiet() {
                // It was closed in the meantime.
                continue;
            }
            let keep = Keep::new(link.idle.clone());
            match send_request(output, &request, has_body, &keep).await {
                Ok(sink) => {
                    let awaited = Awaited::new(input, request.method(), keep);
                    return Ok(Call {
                        sink,
                        pending: Pending::Http1(Box::new(awaited)),
                        response_timeout: link.target.plan.upstream.response_timeout,
                        again: (reused && !has_body).then(|| Box::new(request)),
                        busy: None,
                    });
                }
                Err(_) if reused => self.worker.stats.resent.add(1),
                Err(_) => return Err(ProductionError::UpstreamClosed),
            }
        }
    }

    async fn connect_http1(&self, target: &Rc<UpstreamTarget>) -> Result<(Input, Output), ProductionError> {
        let descriptor = Descriptor::take(&self.worker);
        let stream = connect_upstream_first(self.worker.clone(), target.clone(), self.peer, self.client_http2).await?;
        let (reading, writing) = tokio::io::split(stream);
        let input = Input::new(self.worker.clone(), reading, Bytes::new());
        Ok((input, Output::new(writing, Some(descriptor))))
    }
}

/// The file descriptor of an upstream connection that may be one of many; given back when dropped.
pub(crate) struct Descriptor(Rc<Worker>);

impl Descriptor {
    pub(super) fn take(worker: &Rc<Worker>) -> Self {
        worker.add_descriptors(1);
        Self(worker.clone())
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.return_descriptors(1);
    }
}
