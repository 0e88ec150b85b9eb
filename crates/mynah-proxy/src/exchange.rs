//! Where different protocols meet: a request and its response as decoded heads, data and trailers.
//!
//! HTTP/1 on both sides is relayed as bytes and never comes here. Everything else does: each side is a [`Source`] that
//! parts of a body come from, or a [`Sink`] that they go to, of either protocol. Parts pass one by one, and the next is
//! asked for when the last has gone: flow control on one side is flow control on the other. How one side ends is how the
//! other does, down to the code of a reset.

pub(crate) mod http1;
pub(crate) mod http2;

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep};

use crate::access_log::Draft;
use crate::stats::ProductionError;
use crate::tee::Tee;
use crate::upstream::links::Busy;

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Part {
    /// Data, and whether it is the last part.
    Data(Bytes, bool),
    /// Trailers; the last part.
    Trailers(HeaderMap),
    /// Nothing more.
    End,
}

/// Why a side is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The peer reset the stream.
    Reset(Reason),
    /// The connection is ending, and the peer has not looked at this stream: whoever asked may ask again (RFC 9113 §8.7).
    Unprocessed,
    /// The connection is gone.
    Lost,
    /// What came is not what it should be.
    Malformed,
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() && !error.is_library() => Self::Reset(reason),
            Some(_) if error.is_go_away() && error.is_remote() => Self::Unprocessed,
            Some(_) => Self::Malformed,
            None => Self::Lost,
        }
    }
}

impl Broken {
    /// The code that tells the other side.
    fn reason(self) -> Reason {
        match self {
            Self::Reset(reason) => reason,
            Self::Unprocessed => Reason::REFUSED_STREAM,
            Self::Lost | Self::Malformed => Reason::INTERNAL_ERROR,
        }
    }
}

/// What a body comes from.
pub(crate) enum Source {
    Http1(http1::Incoming),
    Http2(h2::RecvStream),
}

impl Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Broken>> {
        match self {
            Self::Http1(incoming) => incoming.poll_next(cx),
            Self::Http2(stream) => http2::poll_next(stream, cx),
        }
    }

    /// Whether what came was found malformed, after its stream has ended early.
    fn is_malformed(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.poll_next(&mut cx) {
                Poll::Ready(Ok(Part::Data(_, false))) => {}
                Poll::Ready(Err(broken)) => return broken == Broken::Malformed,
                Poll::Ready(Ok(_)) | Poll::Pending => return false,
            }
        }
    }

    /// All of it has been passed on.
    fn finish(self) {
        if let Self::Http1(incoming) = self {
            incoming.finish();
        }
    }

    /// So many bytes have gone on: the peer may send as many more.
    fn release(&mut self, bytes: usize) {
        if let Self::Http2(stream) = self {
            // Fails only for more than was taken.
            let _ = stream.flow_control().release_capacity(bytes);
        }
    }
}

/// What a body goes to.
pub(crate) enum Sink {
    Http1(http1::Outgoing),
    Http2(h2::SendStream<Bytes>),
}

impl Sink {
    async fn data(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        match self {
            Self::Http1(outgoing) => outgoing.data(data, last).await,
            Self::Http2(stream) => http2::send(stream, data, last).await,
        }
    }

    async fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Broken> {
        match (self, trailers) {
            (Self::Http1(outgoing), trailers) => outgoing.end(trailers).await,
            (Self::Http2(stream), None) => stream.send_data(Bytes::new(), true).map_err(Broken::from),
            (Self::Http2(stream), Some(trailers)) => stream.send_trailers(trailers).map_err(Broken::from),
        }
    }

    /// Whether the peer wants no more.
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        match self {
            Self::Http1(_) => Poll::Pending,
            Self::Http2(stream) => stream.poll_reset(cx).map(|reset| match reset {
                Ok(reason) => Broken::Reset(reason),
                Err(error) => error.into(),
            }),
        }
    }

    fn reset(&mut self, reason: Reason) {
        match self {
            Self::Http1(outgoing) => outgoing.abort(),
            Self::Http2(stream) => stream.send_reset(reason),
        }
    }
}

/// Which side of a pump ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Source(Broken),
    Sink(Broken),
}

/// What an exchange amounts to, for the access log.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    request_bytes: Cell<u64>,
    response_bytes: Cell<u64>,
    /// When the head of the response came.
    answered: Cell<Option<Instant>>,
}

impl Tally {
    /// Completes the exchange's line, if there is an access log.
    pub(crate) fn end(&self, line: Option<Draft>, status: Option<u16>, outcome: Outcome, started: Instant) {
        let Some(mut line) = line else { return };
        line.sent(self.request_bytes.get());
        line.received(self.response_bytes.get());
        line.answered_after(status, self.answered.get().map(|at| at - started));
        match outcome {
            Outcome::Complete | Outcome::Failed(None) => {}
            Outcome::Failed(Some(ProductionError::ClientAborted)) => line.client_gone(),
            Outcome::Failed(Some(error)) => line.reason(error.as_str()),
        }
        line.end_now();
    }
}

/// Passes a body on to its end, and its copies with it.
async fn pump(source: &mut Source, sink: &mut Sink, mut tee: Option<Box<Tee>>, passed: &Cell<u64>) -> Result<(), Cut> {
    loop {
        let part = poll_fn(|cx| match source.poll_next(cx) {
            Poll::Ready(part) => Poll::Ready(part.map_err(Cut::Source)),
            Poll::Pending => sink.poll_refused(cx).map(|broken| Err(Cut::Sink(broken))),
        })
        .await?;
        let ended = match part {
            Part::Data(data, last) => {
                let len = data.len();
                passed.set(passed.get() + len as u64);
                if let Some(tee) = &mut tee {
                    tee.data(&data);
                }
                if last {
                    end(&mut tee, None);
                }
                sink.data(data, last).await.map_err(Cut::Sink)?;
                source.release(len);
                if tee.as_ref().is_some_and(|tee| tee.lags()) {
                    // The lanes have a turn. Nothing is waited for.
                    tokio::task::yield_now().await;
                }
                last
            }
            Part::Trailers(trailers) => {
                end(&mut tee, Some(&trailers));
                sink.end(Some(trailers)).await.map_err(Cut::Sink)?;
                true
            }
            Part::End => {
                end(&mut tee, None);
                sink.end(None).await.map_err(Cut::Sink)?;
                true
            }
        };
        if ended {
            return Ok(());
        }
    }
}

fn end(tee: &mut Option<Box<Tee>>, trailers: Option<&HeaderMap>) {
    if let Some(mut tee) = tee.take() {
        if let Some(trailers) = trailers {
            tee.trailers(trailers);
        }
        tee.end();
    }
}

/// What an upstream answers.
pub(crate) enum Answer {
    /// A 1xx response.
    Interim(Response<()>),
    /// The response, and its body unless it has none.
    Final(Response<()>, Option<Source>),
}

/// A response that is awaited.
pub(crate) enum Pending {
    Http1(Box<http1::Awaited>),
    Http2(h2::client::ResponseFuture),
}

impl Pending {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Broken>> {
        match self {
            Self::Http1(awaited) => awaited.poll_next(cx),
            Self::Http2(future) => http2::poll_answer(future, cx),
        }
    }
}

/// A request on its way to an upstream.
pub(crate) struct Call {
    /// Where its body goes. One without a body has it too in HTTP/2, to be reset by.
    pub(crate) sink: Option<Sink>,
    pub(crate) pending: Pending,
    /// Time from the end of the request to the head of the response.
    pub(crate) response_timeout: Option<Duration>,
    /// The request, when its connection may turn out to have been closed before any of it was processed.
    pub(crate) again: Option<Box<Request<()>>>,
    /// Counts it as under way on its connection.
    pub(crate) busy: Option<Busy>,
}

/// Where a response goes.
pub(crate) enum Reply {
    Http1(Box<http1::Replying>),
    Http2(http2::Replying),
}

impl Reply {
    async fn interim(&mut self, response: Response<()>) -> Result<(), Broken> {
        match self {
            Self::Http1(reply) => reply.interim(&response).await,
            Self::Http2(reply) => reply.interim(response),
        }
    }

    async fn begin(&mut self, response: Response<()>, has_body: bool) -> Result<(), Broken> {
        match self {
            Self::Http1(reply) => reply.begin(&response, has_body).await,
            Self::Http2(reply) => reply.begin(response, has_body),
        }
    }

    /// Where the body goes once the response has begun.
    fn sink(&mut self) -> Option<&mut Sink> {
        match self {
            Self::Http1(reply) => reply.sink.as_mut(),
            Self::Http2(reply) => reply.sink.as_mut(),
        }
    }

    fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        match self {
            Self::Http1(_) => Poll::Pending,
            Self::Http2(reply) => reply.poll_cancelled(cx),
        }
    }

    /// Whether the client has received a 1xx response.
    fn has_begun(&self) -> bool {
        match self {
            Self::Http1(reply) => reply.has_begun(),
            Self::Http2(reply) => reply.has_begun(),
        }
    }

    /// Says that there will be no response, or no more of it.
    async fn fail(&mut self, status: u16, reason: Reason) {
        match self {
            Self::Http1(reply) => reply.fail(status).await,
            Self::Http2(reply) => reply.fail(status, reason),
        }
    }

    /// The upstream reset the request's stream.
    async fn reset(&mut self, reason: Reason) {
        match self {
            Self::Http1(reply) => reply.fail(ProductionError::UpstreamClosed.status()).await,
            Self::Http2(reply) => {
                // A reset throws away what still waits to be sent: let that go first.
                yield_now().await;
                reply.reset(reason);
            }
        }
    }

    pub(crate) async fn refuse(&mut self, error: ProductionError) {
        yield_now().await;
        self.fail(error.status(), Reason::INTERNAL_ERROR).await;
    }
}

/// How an exchange ended for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a whole response.
    Complete,
    /// With an error, which has been told to whoever is left.
    Failed(Option<ProductionError>),
}

/// What an exchange came to.
pub(crate) enum Ran {
    /// The status of the response, if there was one, and how it ended.
    With(Option<u16>, Outcome),
    /// The upstream has not processed it: nothing has been said to the client, and this is to be sent again.
    Again(Box<Request<()>>),
}

/// Carries one exchange to its end.
pub(crate) async fn run(
    call: Call,
    source: &mut Option<Source>,
    reply: &mut Reply,
    tee: Option<Box<Tee>>,
    tally: &Tally,
) -> Ran {
    let Call {
        mut sink,
        pending,
        response_timeout,
        again,
        busy,
    } = call;
    let mut status = None;
    let end = carry(
        source.as_mut().zip(sink.as_mut()),
        pending,
        reply,
        tee,
        response_timeout,
        &mut status,
        tally,
    )
    .await;
    drop(busy);
    let outcome = match end {
        Ok(()) => {
            if let Some(Sink::Http1(outgoing)) = sink {
                outgoing.finish();
            }
            Outcome::Complete
        }
        Err(End::Client(broken)) => {
            let malformed = source.as_mut().is_some_and(Source::is_malformed);
            let broken = if malformed { Broken::Malformed } else { broken };
            if let Some(sink) = &mut sink {
                yield_now().await;
                sink.reset(match broken {
                    Broken::Reset(reason) => reason,
                    _ => Reason::CANCEL,
                });
            }
            client_ended(broken, reply, &mut status).await
        }
        Err(End::Upstream(broken)) => {
            let unsaid = status.is_none() && !reply.has_begun();
            if let Some(request) = again.filter(|request| unsaid && may_repeat(request, broken)) {
                return Ran::Again(request);
            }
            upstream_ended(broken, reply, &mut status).await
        }
        Err(End::Timeout) => {
            if let Some(sink) = &mut sink {
                sink.reset(Reason::CANCEL);
            }
            let error = ProductionError::ResponseTimeout;
            reply.refuse(error).await;
            status = Some(error.status());
            Outcome::Failed(Some(error))
        }
    };
    Ran::With(status, outcome)
}

/// Whether a request that ended like this was not processed, or may be twice (RFC 9110 §9.2.2).
fn may_repeat(request: &Request<()>, broken: Broken) -> bool {
    match broken {
        Broken::Unprocessed => true,
        Broken::Lost => request.method().is_idempotent(),
        Broken::Reset(_) | Broken::Malformed => false,
    }
}

async fn client_ended(broken: Broken, reply: &mut Reply, status: &mut Option<u16>) -> Outcome {
    match (broken, &mut *reply) {
        (Broken::Malformed, Reply::Http1(http1)) => {
            let error = ProductionError::BadRequest;
            if status.is_none() {
                *status = Some(error.status());
            }
            http1.fail(error.status()).await;
            Outcome::Failed(Some(error))
        }
        // The connection has reset the stream, and counts it.
        (Broken::Malformed, Reply::Http2(_)) => Outcome::Failed(None),
        (_, Reply::Http1(http1)) => {
            http1.abort();
            Outcome::Failed(Some(ProductionError::ClientAborted))
        }
        (_, Reply::Http2(_)) => Outcome::Failed(Some(ProductionError::ClientAborted)),
    }
}

async fn upstream_ended(broken: Broken, reply: &mut Reply, status: &mut Option<u16>) -> Outcome {
    let error = match (*status, broken) {
        (_, Broken::Malformed) => ProductionError::BadResponse,
        (Some(_), _) => ProductionError::Truncated,
        (None, _) => ProductionError::UpstreamClosed,
    };
    let told = matches!(reply, Reply::Http2(_));
    match broken {
        Broken::Reset(_) | Broken::Unprocessed => reply.reset(broken.reason()).await,
        Broken::Lost | Broken::Malformed => reply.refuse(error).await,
    }
    if !(told && matches!(broken, Broken::Reset(_) | Broken::Unprocessed)) {
        *status = status.or(Some(error.status()));
    }
    Outcome::Failed(Some(error))
}

/// What ended an exchange early.
enum End {
    Client(Broken),
    Upstream(Broken),
    Timeout,
}

async fn carry(
    body: Option<(&mut Source, &mut Sink)>,
    pending: Pending,
    reply: &mut Reply,
    tee: Option<Box<Tee>>,
    response_timeout: Option<Duration>,
    status: &mut Option<u16>,
    tally: &Tally,
) -> Result<(), End> {
    let answered = &tally.answered;
    let timer = || response_timeout.map(|time| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
    let Some((source, sink)) = body else {
        return respond(pending, reply, status, tally, timer()).await;
    };
    let mut timed = None;
    let mut request = std::pin::pin!(pump(source, sink, tee, &tally.request_bytes));
    let mut response = std::pin::pin!(respond(pending, reply, status, tally, None));
    let mut sent = false;
    let mut received = false;
    poll_fn(|cx| {
        if !received {
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => received = true,
                Poll::Ready(Err(end)) => return Poll::Ready(Err(end)),
                Poll::Pending => {}
            }
        }
        if !sent {
            match request.as_mut().poll(cx) {
                Poll::Ready(Err(Cut::Source(broken))) => return Poll::Ready(Err(End::Client(broken))),
                // The response is whole and the upstream wants no more of the request: neither does Mynah, and says so by
                // dropping the stream.
                Poll::Ready(Err(Cut::Sink(Broken::Reset(Reason::NO_ERROR) | Broken::Lost))) if received => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(Cut::Sink(broken))) if received => return Poll::Ready(Err(End::Upstream(broken))),
                // What it says is told by the response.
                Poll::Ready(_) => {
                    sent = true;
                    timed = timer();
                }
                Poll::Pending => {}
            }
        }
        if sent && received {
            return Poll::Ready(Ok(()));
        }
        poll_timer(&mut timed, answered, cx)
    })
    .await
}

type Timer = Option<std::pin::Pin<Box<Sleep>>>;

fn poll_timer(timer: &mut Timer, answered: &Cell<Option<Instant>>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
    match timer {
        Some(timer) if answered.get().is_none() => timer.as_mut().poll(cx).map(|()| Err(End::Timeout)),
        _ => Poll::Pending,
    }
}

async fn respond(
    mut pending: Pending,
    reply: &mut Reply,
    status: &mut Option<u16>,
    tally: &Tally,
    mut timer: Timer,
) -> Result<(), End> {
    loop {
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = pending.poll_next(cx) {
                return Poll::Ready(answer.map_err(End::Upstream));
            }
            if let Poll::Ready(Err(end)) = poll_timer(&mut timer, &tally.answered, cx) {
                return Poll::Ready(Err(end));
            }
            reply.poll_cancelled(cx).map(|broken| Err(End::Client(broken)))
        })
        .await?;
        match answer {
            Answer::Interim(response) => reply.interim(response).await.map_err(End::Client)?,
            Answer::Final(response, source) => {
                tally.answered.set(Some(Instant::now()));
                *status = Some(response.status().as_u16());
                reply.begin(response, source.is_some()).await.map_err(End::Client)?;
                if let (Some(mut source), Some(sink)) = (source, reply.sink()) {
                    pump(&mut source, sink, None, &tally.response_bytes)
                        .await
                        .map_err(|cut| match cut {
                            Cut::Source(broken) => End::Upstream(broken),
                            Cut::Sink(broken) => End::Client(broken),
                        })?;
                    source.finish();
                }
                return Ok(());
            }
        }
    }
}
