//! Where different protocols meet: a request and its response as decoded heads, data and trailers.
//!
//! HTTP/1 on both sides is relayed as bytes and never comes here. Everything else does: each side is a [`Source`] that
//! parts of a body come from, or a [`Sink`] that they go to, of either protocol. Parts pass one by one, and the next is
//! asked for when the last has gone: flow control on one side is flow control on the other. How one side ends is how the
//! other does, down to the code of a reset.

pub(crate) mod http1;
pub(crate) mod http2;

use std::future::{Future as _, poll_fn};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};
use tokio::time::{Instant, Sleep};

use crate::stats::ProductionError;
use crate::tee::Tee;

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
    /// The connection is gone.
    Lost,
    /// What came is not what it should be.
    Malformed,
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() => Self::Reset(reason),
            // The peer did not process this stream, and whoever asked may ask again (RFC 9113 §8.7).
            Some(_) if error.is_go_away() && error.is_remote() => Self::Reset(Reason::REFUSED_STREAM),
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

/// Passes a body on to its end, and its copies with it.
async fn pump(source: &mut Source, sink: &mut Sink, mut tee: Option<Box<Tee>>) -> Result<(), Cut> {
    loop {
        let part = poll_fn(|cx| match source.poll_next(cx) {
            Poll::Ready(part) => Poll::Ready(part.map_err(Cut::Source)),
            Poll::Pending => sink.poll_refused(cx).map(|broken| Err(Cut::Sink(broken))),
        })
        .await?;
        let ended = match part {
            Part::Data(data, last) => {
                let len = data.len();
                if let Some(tee) = &mut tee {
                    tee.data(&data);
                }
                if last {
                    end(&mut tee, None);
                }
                sink.data(data, last).await.map_err(Cut::Sink)?;
                source.release(len);
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
    /// Where its body goes, if it has one.
    pub(crate) sink: Option<Sink>,
    pub(crate) pending: Pending,
    /// Time from the end of the request to the head of the response.
    pub(crate) response_timeout: Option<Duration>,
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

    /// Says that there will be no response, or no more of it.
    async fn fail(&mut self, status: u16, reason: Reason) {
        match self {
            Self::Http1(reply) => reply.fail(status).await,
            Self::Http2(reply) => reply.fail(status, reason),
        }
    }

    /// The upstream reset the request's stream.
    fn reset(&mut self, reason: Reason) {
        match self {
            Self::Http1(reply) => reply.abort(),
            Self::Http2(reply) => reply.reset(reason),
        }
    }

    pub(crate) async fn refuse(&mut self, error: ProductionError) {
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

/// Carries one exchange to its end. The status of the response, if there was one, and how it ended.
pub(crate) async fn run(
    call: Call,
    source: &mut Option<Source>,
    reply: &mut Reply,
    tee: Option<Box<Tee>>,
) -> (Option<u16>, Outcome) {
    let Call {
        mut sink,
        pending,
        response_timeout,
    } = call;
    let mut status = None;
    let end = carry(
        source.as_mut().zip(sink.as_mut()),
        pending,
        reply,
        tee,
        response_timeout,
        &mut status,
    )
    .await;
    let outcome = match end {
        Ok(()) => {
            if let Some(Sink::Http1(outgoing)) = sink {
                outgoing.finish();
            }
            Outcome::Complete
        }
        Err(End::Client(broken)) => {
            if let Some(sink) = &mut sink {
                sink.reset(broken.reason());
            }
            reply.reset(broken.reason());
            let error = match broken {
                Broken::Malformed => ProductionError::BadRequest,
                _ => ProductionError::ClientAborted,
            };
            Outcome::Failed(Some(error))
        }
        Err(End::Upstream(Broken::Reset(reason))) => {
            reply.reset(reason);
            // After a whole response, and for streams never processed, a reset is not an error.
            let error = match reason {
                Reason::NO_ERROR | Reason::REFUSED_STREAM | Reason::CANCEL => None,
                _ if status.is_some() => Some(ProductionError::Truncated),
                _ => Some(ProductionError::UpstreamClosed),
            };
            Outcome::Failed(error)
        }
        Err(End::Upstream(broken)) => {
            let error = match (status, broken) {
                (_, Broken::Malformed) => ProductionError::BadResponse,
                (Some(_), _) => ProductionError::Truncated,
                (None, _) => ProductionError::UpstreamClosed,
            };
            reply.refuse(error).await;
            status = status.or(Some(error.status()));
            Outcome::Failed(Some(error))
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
    (status, outcome)
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
) -> Result<(), End> {
    let answered = std::cell::Cell::new(false);
    let timer = || response_timeout.map(|time| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
    let Some((source, sink)) = body else {
        return respond(pending, reply, status, &answered, timer()).await;
    };
    let mut timed = None;
    let mut request = std::pin::pin!(pump(source, sink, tee));
    let mut response = std::pin::pin!(respond(pending, reply, status, &answered, None));
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
                // The upstream wants no more of it. What it says is told by the response, or was.
                Poll::Ready(Err(Cut::Sink(broken))) if received => return Poll::Ready(Err(End::Upstream(broken))),
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
        poll_timer(&mut timed, &answered, cx)
    })
    .await
}

type Timer = Option<std::pin::Pin<Box<Sleep>>>;

fn poll_timer(timer: &mut Timer, answered: &std::cell::Cell<bool>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
    match timer {
        Some(timer) if !answered.get() => timer.as_mut().poll(cx).map(|()| Err(End::Timeout)),
        _ => Poll::Pending,
    }
}

async fn respond(
    mut pending: Pending,
    reply: &mut Reply,
    status: &mut Option<u16>,
    answered: &std::cell::Cell<bool>,
    mut timer: Timer,
) -> Result<(), End> {
    loop {
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = pending.poll_next(cx) {
                return Poll::Ready(answer.map_err(End::Upstream));
            }
            if let Poll::Ready(Err(end)) = poll_timer(&mut timer, answered, cx) {
                return Poll::Ready(Err(end));
            }
            reply.poll_cancelled(cx).map(|broken| Err(End::Client(broken)))
        })
        .await?;
        match answer {
            Answer::Interim(response) => reply.interim(response).await.map_err(End::Client)?,
            Answer::Final(response, source) => {
                answered.set(true);
                *status = Some(response.status().as_u16());
                reply.begin(response, source.is_some()).await.map_err(End::Client)?;
                if let (Some(mut source), Some(sink)) = (source, reply.sink()) {
                    pump(&mut source, sink, None).await.map_err(|cut| match cut {
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
