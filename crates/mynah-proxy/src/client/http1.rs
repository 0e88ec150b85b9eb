//! A client's HTTP/1 connection and the upstream connection that belongs to it.
//!
//! Both are relayed by one task. The request side reads from the client, finds heads and bodies, and passes the bytes on
//! as they came; the response side does the same the other way. Neither waits for the other, so an answer that comes
//! early goes out at once, and pipelined requests reach the application as the client sent them. What was read is written
//! before more is read: a slow reader on either side holds back only its own sender.
//!
//! What the application does to its connection happens to the client's: an end of stream is passed on as one, a reset as
//! one. Copies leave through a [`Tee`] on the request side, which never waits.

mod line;
mod request;
mod response;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use mynah_http1::{BodyDecoder, HeadScanner, RequestKind};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep, sleep_until};

use super::LINGER;
use crate::access_log::Draft;
use crate::alarm::Alarm;
use crate::connect::{ConnectError, connect_upstream_first};
use crate::out::Out;
use crate::snapshot::UpstreamTarget;
use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::tee::Tee;
use crate::worker::{Peer, Worker};

/// How long the other side may keep a connection open that one side has closed while nothing is under way.
const HALF_CLOSED: Duration = Duration::from_secs(10);
/// How long an idle connection is kept once a drain has begun, for a request that is already on its way.
const DRAIN_IDLE: Duration = Duration::from_millis(500);

/// What became of a connection.
pub(crate) enum End {
    /// It is closed.
    Closed,
    /// The client speaks HTTP/2; these bytes were read.
    Http2(Stream, Bytes),
    /// The next request's upstream is spoken to in HTTP/2; these bytes were read.
    Translate(Stream, Bytes),
}

/// Serves a client connection by HTTP/1 until it ends or turns out to need another protocol.
pub(crate) fn serve(worker: Rc<Worker>, client: Stream, peer: Peer) -> impl Future<Output = End> {
    let mut relay = Box::new(Relay::new(worker, client, peer));
    async move {
        let over = poll_fn(|cx| relay.poll(cx)).await;
        relay.end_lines();
        match over {
            Over::Close => End::Closed,
            Over::Abort => {
                relay.client.abort();
                End::Closed
            }
            Over::Http2(bytes) => End::Http2(relay.client, bytes),
            Over::Translate(bytes) => End::Translate(relay.client, bytes),
        }
    }
}

/// Why the relay is over.
enum Over {
    Close,
    /// The client's connection is reset, as the upstream's was.
    Abort,
    Http2(Bytes),
    Translate(Bytes),
}

struct Relay {
    worker: Rc<Worker>,
    peer: Peer,
    client: Stream,
    client_alarm: Alarm,
    upstream: Upstream,
    upstream_alarm: Alarm,
    target: Option<Rc<UpstreamTarget>>,
    request: RequestState,
    /// Bytes of the client's that wait: part of a head, or all that came behind an upgrade.
    unread: Vec<u8>,
    scanner: HeadScanner,
    to_upstream: Out,
    client_ended: bool,
    response: ResponseState,
    /// Part of a response's head.
    partial: Vec<u8>,
    response_scanner: HeadScanner,
    to_client: Out,
    upstream_ended: bool,
    /// Requests passed on whose response has not ended, the oldest first.
    exchange: Option<Exchange>,
    pipelined: VecDeque<Exchange>,
    /// The lines of all of these in the access log; empty when there is none.
    lines: VecDeque<Draft>,
    /// The upstream connection has completed a response and stays open: the next request may meet its end.
    reused: bool,
    /// A request that can be sent again if the upstream connection turns out to have been closed.
    replay: Option<Replay>,
    /// The client's end of stream has been passed on, or in a tunnel the upstream's.
    end_sent: bool,
    tunnel_end_sent: bool,
    /// A response said that it is the last on this connection, because of a drain.
    last_announced: bool,
    closing: Closing,
    deadline: Option<(Instant, Deadline)>,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Upstream {
    None,
    Connecting(Pin<Box<dyn Future<Output = Result<Stream, ConnectError>>>>),
    Open(Stream),
    /// Writing to it failed; what it still says is passed on.
    Deaf(Stream),
}

enum RequestState {
    /// Between requests, or within a head.
    Head,
    Body {
        decoder: BodyDecoder,
        tee: Option<Box<Tee>>,
        then_hold: bool,
    },
    /// Reading stops until the response tells what follows an upgrade or CONNECT.
    Upgrade,
    /// Reading stops for a while; what was read waits in `unread`.
    Wait(Until),
    /// The next message is refused once every earlier response has ended.
    Refuse(u16),
    Tunnel,
}

/// What a held request waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Every earlier response has ended: the next request has another upstream.
    Answered,
    /// Fewer pipelined requests are under way.
    Room,
    /// Nothing any more.
    Now,
}

enum ResponseState {
    Head,
    Body { decoder: BodyDecoder },
    Tunnel,
}

/// A whole request, kept until the first byte of its response.
struct Replay {
    bytes: Box<[u8]>,
    /// Sending it twice does no harm (RFC 9110 §9.2.2).
    idempotent: bool,
}

#[derive(Clone, Copy)]
struct Exchange {
    kind: RequestKind,
    upgrade: bool,
    idempotent: bool,
    started: Instant,
    status: u16,
}

/// How far a close has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// When everything for the client is written.
    Flush,
    /// The end of stream is sent; the client's is awaited.
    Linger,
    /// The upstream ended its stream while nothing was under way. Unless a request is already on its way, the end is
    /// passed on.
    PassEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    RequestHead,
    Response,
    Close,
}

/// Bytes of what a connection needs while it is idle.
#[cfg(test)]
pub(crate) const RELAY: usize = size_of::<Relay>();

impl Relay {
    fn new(worker: Rc<Worker>, client: Stream, peer: Peer) -> Self {
        let head_timeout = worker.snapshot().head_timeout;
        Self {
            worker,
            peer,
            client,
            client_alarm: Alarm::default(),
            upstream: Upstream::None,
            upstream_alarm: Alarm::default(),
            target: None,
            request: RequestState::Head,
            unread: Vec::new(),
            scanner: HeadScanner::new(),
            to_upstream: Out::default(),
            client_ended: false,
            response: ResponseState::Head,
            partial: Vec::new(),
            response_scanner: HeadScanner::new(),
            to_client: Out::default(),
            upstream_ended: false,
            exchange: None,
            pipelined: VecDeque::new(),
            lines: VecDeque::new(),
            reused: false,
            replay: None,
            end_sent: false,
            tunnel_end_sent: false,
            last_announced: false,
            closing: Closing::No,
            deadline: Some((Instant::now() + head_timeout, Deadline::RequestHead)),
            timer: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if matches!(self.closing, Closing::Flush | Closing::Linger) {
                if let Poll::Ready(over) = self.poll_close(cx) {
                    return Poll::Ready(over);
                }
            } else {
                if let Poll::Ready(over) = self.poll_response(cx) {
                    return Poll::Ready(over);
                }
                if self.closing != Closing::Flush
                    && let Poll::Ready(over) = self.poll_request(cx)
                {
                    return Poll::Ready(over);
                }
                if self.closing == Closing::PassEnd {
                    // No request was on its way when the upstream ended.
                    self.drop_upstream();
                    self.close();
                }
                if self.closing == Closing::Flush || self.may_resume() {
                    continue;
                }
            }
            if let Some(over) = ready!(self.poll_deadline(cx)) {
                return Poll::Ready(over);
            }
        }
    }

    /// Whether a request that was held back can go on.
    fn may_resume(&self) -> bool {
        match self.request {
            RequestState::Wait(Until::Answered) | RequestState::Refuse(_) => self.exchange.is_none(),
            RequestState::Wait(Until::Room) => self.has_room(),
            RequestState::Wait(Until::Now) => true,
            _ => false,
        }
    }

    fn has_room(&self) -> bool {
        self.pipelined.len() + 1 < self.worker.snapshot().pipelined
    }

    fn is_idle(&self) -> bool {
        self.exchange.is_none()
            && matches!(self.request, RequestState::Head)
            && self.unread.is_empty()
            && self.to_client.is_empty()
            && self.closing == Closing::No
    }

    fn expect_response(&mut self, exchange: Exchange) {
        if self.exchange.is_none() {
            self.exchange = Some(exchange);
        } else {
            self.pipelined.push_back(exchange);
        }
    }

    /// Takes a connection to the current target that waits for a request, if they are shared, or begins to connect.
    fn connect(&mut self) {
        if let Some(target) = &self.target
            && target.is_shared()
            && let Some(stream) = self.worker.shared_link(target).pool.take(&self.worker)
        {
            self.upstream = Upstream::Connecting(Box::pin(std::future::ready(Ok(stream))));
            self.reused = true;
            self.end_sent = false;
        } else {
            self.connect_anew();
        }
    }

    fn connect_anew(&mut self) {
        if let Some(target) = &self.target {
            let connecting = connect_upstream_first(self.worker.clone(), target.clone(), self.peer, false);
            self.upstream = Upstream::Connecting(Box::pin(connecting));
            self.reused = false;
            self.end_sent = false;
        }
    }

    fn shares_upstream(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.is_shared())
    }

    /// Leaves a shared connection to whoever asks next, once nothing is under way on it.
    fn leave_upstream(&mut self) {
        let is_free = self.reused
            && self.exchange.is_none()
            && matches!(self.request, RequestState::Head)
            && matches!(self.response, ResponseState::Head)
            && self.unread.is_empty()
            && self.partial.is_empty()
            && self.to_upstream.is_empty()
            && !self.client_ended
            && self.closing == Closing::No;
        if !is_free {
            return;
        }
        match std::mem::replace(&mut self.upstream, Upstream::None) {
            Upstream::Open(stream) => {
                if let Some(target) = &self.target {
                    self.worker.shared_link(target).pool.put(&self.worker, stream);
                }
                self.reused = false;
            }
            other => self.upstream = other,
        }
    }

    /// A production error within an exchange: the client gets a response if none of the application's was begun, and its
    /// connection is closed.
    fn fail(&mut self, error: ProductionError) {
        self.error(error);
        self.end_unserved(error);
    }

    /// What the client sees of a production error.
    fn end_unserved(&mut self, error: ProductionError) {
        self.cut_copies();
        let unanswered = matches!(self.response, ResponseState::Head);
        if unanswered && let Some(exchange) = self.exchange {
            self.respond(error.status());
            self.worker.stats.response(error.status(), exchange.started.elapsed());
            self.line_refused(error.status());
        }
        self.drop_upstream();
        self.close();
    }

    /// Says why, in Mynah's own words.
    fn respond(&mut self, status: u16) {
        self.to_client.push(super::error_response(status));
    }

    fn drop_upstream(&mut self) {
        self.upstream = Upstream::None;
        self.reused = false;
        self.to_upstream.clear();
        self.exchange = None;
        self.pipelined = VecDeque::new();
        self.end_lines();
        self.replay = None;
    }

    /// Closes the client's connection once all that waits for it is written.
    fn close(&mut self) {
        self.closing = Closing::Flush;
        self.cut_copies();
    }

    /// The original will not be whole.
    fn cut_copies(&mut self) {
        if let RequestState::Body { tee, .. } = &mut self.request {
            *tee = None;
        }
    }

    fn set_deadline(&mut self, after: Duration, what: Deadline) {
        self.deadline = Some((Instant::now() + after, what));
    }

    /// Ready with nothing when the deadline moved and something is to be looked at again.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Option<Over>> {
        if self.worker.is_draining() && self.is_idle() && !matches!(self.deadline, Some((_, Deadline::Close))) {
            self.set_deadline(DRAIN_IDLE, Deadline::Close);
        }
        let Some((at, what)) = self.deadline else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() < at {
                timer.as_mut().reset(at);
                continue;
            }
            self.deadline = None;
            return Poll::Ready(self.deadline_passed(what));
        }
        Poll::Pending
    }

    fn deadline_passed(&mut self, what: Deadline) -> Option<Over> {
        match what {
            Deadline::Close => Some(Over::Close),
            Deadline::Response => {
                self.fail(ProductionError::ResponseTimeout);
                None
            }
            // A connection on which nothing was ever said is closed without a word.
            Deadline::RequestHead if self.unread.is_empty() => Some(Over::Close),
            Deadline::RequestHead => {
                self.error(ProductionError::HeadTimeout);
                self.line_of_nothing(ProductionError::HeadTimeout.status(), ProductionError::HeadTimeout);
                self.respond(ProductionError::HeadTimeout.status());
                self.close();
                None
            }
        }
    }

    /// Finishes a close that has begun: the rest is written, the stream ended, and the client's end awaited.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if self.closing == Closing::Flush {
            if ready!(self.to_client.poll_write_all(cx, &mut self.client)).is_err() {
                return Poll::Ready(Over::Close);
            }
            let _ = ready!(Pin::new(&mut self.client).poll_shutdown(cx));
            if self.client_ended {
                return Poll::Ready(Over::Close);
            }
            self.closing = Closing::Linger;
            self.set_deadline(LINGER, Deadline::Close);
        }
        loop {
            match ready!(self.client_alarm.poll_read(&self.worker, cx, &mut self.client)) {
                Ok(bytes) if !bytes.is_empty() => {}
                _ => return Poll::Ready(Over::Close),
            }
        }
    }
}
