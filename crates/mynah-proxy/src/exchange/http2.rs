//! The HTTP/2 side of an exchange.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::client::wire::Watch;

use super::{Answer, Broken, Part, Sink, Source};

/// A last part up to this size is handed over without waiting for room.
const SMALL: usize = 16 * 1024;

/// The next part of a body.
pub(super) fn poll_next(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Part, Broken>> {
    match ready!(stream.poll_data(cx)) {
        Some(Ok(data)) => {
            let last = stream.is_end_stream();
            Poll::Ready(Ok(Part::Data(data, last)))
        }
        Some(Err(error)) => Poll::Ready(Err(error.into())),
        None => match ready!(stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => Poll::Ready(Ok(Part::Trailers(trailers))),
            Ok(None) => Poll::Ready(Ok(Part::End)),
            Err(error) => Poll::Ready(Err(error.into())),
        },
    }
}

/// Sends data as the peer's windows allow.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, last: bool) -> Result<(), Broken> {
    if last && data.len() <= SMALL {
        return stream.send_data(data, true).map_err(Broken::from);
    }
    loop {
        let room = if data.is_empty() {
            0
        } else {
            stream.reserve_capacity(data.len());
            match stream.capacity() {
                0 => match poll_fn(|cx| stream.poll_capacity(cx)).await {
                    Some(room) => room?,
                    None => return Err(refused(stream).await),
                },
                room => room,
            }
        };
        let part = data.split_to(room.min(data.len()));
        let whole = data.is_empty();
        if !part.is_empty() || (whole && last) {
            stream.send_data(part, whole && last)?;
        }
        if whole {
            return Ok(());
        }
    }
}

/// Why a stream takes no more.
async fn refused(stream: &mut SendStream<Bytes>) -> Broken {
    match poll_fn(|cx| Poll::Ready(stream.poll_reset(cx))).await {
        Poll::Ready(Ok(reason)) => Broken::Reset(reason),
        Poll::Ready(Err(error)) => error.into(),
        Poll::Pending => Broken::Lost,
    }
}

/// The next 1xx response, or the response.
pub(super) fn poll_answer(future: &mut ResponseFuture, cx: &mut Context<'_>) -> Poll<Result<Answer, Broken>> {
    match future.poll_informational(cx) {
        // In HTTP/2 nothing is switched (RFC 9113 §8.6).
        Poll::Ready(Some(Ok(response))) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            return Poll::Ready(Err(Broken::Malformed));
        }
        Poll::Ready(Some(Ok(response))) => return Poll::Ready(Ok(Answer::Interim(response))),
        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
        Poll::Ready(None) | Poll::Pending => {}
    }
    let (head, body) = ready!(Pin::new(future).poll(cx))?.into_parts();
    let response = Response::from_parts(head, ());
    if unclear_length(response.headers()) {
        return Poll::Ready(Err(Broken::Malformed));
    }
    let source = (!body.is_end_stream()).then_some(Source::Http2(body));
    Poll::Ready(Ok(Answer::Final(response, source)))
}

/// Whether a message says its length more than once, or with nothing, which `h2` takes for zero.
pub(crate) fn unclear_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    lengths.next().is_some_and(|length| length.is_empty()) || lengths.next().is_some()
}

/// A response to a client.
pub(crate) struct Replying {
    respond: SendResponse<Bytes>,
    pub(super) sink: Option<Sink>,
    begun: bool,
    /// A 1xx response has gone.
    hinted: bool,
    watch: Rc<Watch>,
}

impl Replying {
    pub(crate) fn new(respond: SendResponse<Bytes>, watch: Rc<Watch>) -> Self {
        Self {
            respond,
            sink: None,
            begun: false,
            hinted: false,
            watch,
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun || self.hinted
    }

    pub(super) fn interim(&mut self, response: Response<()>) -> Result<(), Broken> {
        self.hinted = true;
        self.respond.send_informational(response).map_err(Broken::from)
    }

    pub(super) fn begin(&mut self, response: Response<()>, has_body: bool) -> Result<(), Broken> {
        let stream = self.respond.send_response(response, !has_body)?;
        self.begun = true;
        self.sink = has_body.then_some(Sink::Http2(stream));
        Ok(())
    }

    pub(super) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        if self.begun {
            return Poll::Pending;
        }
        self.respond.poll_reset(cx).map(|reset| match reset {
            Ok(reason) => Broken::Reset(reason),
            Err(error) => error.into(),
        })
    }

    pub(crate) fn fail(&mut self, status: u16, reason: Reason) {
        if self.begun {
            return self.reset(reason);
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        if self.respond.send_response(response, true).is_ok() {
            self.begun = true;
        }
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        self.watch.expect(reason);
        match &mut self.sink {
            Some(sink) => sink.reset(reason),
            None => self.respond.send_reset(reason),
        }
    }
}
