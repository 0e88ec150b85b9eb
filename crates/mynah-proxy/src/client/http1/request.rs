//! The request side: from the client to the upstream and, through the tee, to the lanes.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mynah_config::model::Protocol;
use mynah_http1::{BodyDecoder, Framing, HeadScanner, RequestHead, RequestKind};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::{Closing, Deadline, Exchange, HALF_CLOSED, Over, Relay, Replay, RequestState, Until, Upstream};
use crate::access_log::CLIENT_GONE;
use crate::alarm::Alarm;
use crate::route::Http1View;
use crate::stats::ProductionError;
use crate::tee;

/// The start of every HTTP/2 connection by prior knowledge (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests up to this size are kept until their response begins, when their connection could turn out to be closed.
const REPLAY_MAX: usize = 64 * 1024;

/// What stands where a message should start.
enum Found {
    /// An empty line.
    Blank(usize),
    Incomplete,
    /// A head of this length.
    Head(usize),
    Http2,
    Refused(u16),
}

/// What becomes of a request head.
enum Begun {
    /// It is passed on as it came.
    Unchanged,
    /// It is passed on like this.
    Edited(Vec<u8>),
    /// It waits where it is.
    Wait(Until),
    Refused(u16),
    /// Another protocol is needed from here on.
    Translate,
}

impl Relay {
    /// Pending when nothing more can be done for now.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let mut passed = false;
        loop {
            if let Upstream::Connecting(connecting) = &mut self.upstream {
                match ready!(connecting.as_mut().poll(cx)) {
                    Ok(stream) => {
                        self.upstream = Upstream::Open(stream);
                        self.upstream_alarm = Alarm::default();
                        // The response side has not seen it yet, so nothing would wake it.
                        cx.waker().wake_by_ref();
                    }
                    Err(error) => {
                        self.fail(error.into());
                        return Poll::Pending;
                    }
                }
            }
            if !self.to_upstream.is_empty() {
                match &mut self.upstream {
                    Upstream::Open(stream) => {
                        if let Err(error) = ready!(self.to_upstream.poll_write_all(cx, stream)) {
                            self.upstream_deaf(&error);
                        }
                    }
                    Upstream::Deaf(_) => self.to_upstream.clear(),
                    Upstream::None | Upstream::Connecting(_) => self.connect(),
                }
                continue;
            }
            if self.client_ended {
                return self.poll_pass_end(cx);
            }
            let over = if self.may_resume() {
                self.resume()
            } else if matches!(
                self.request,
                RequestState::Head | RequestState::Body { .. } | RequestState::Tunnel
            ) {
                if passed && self.copies_lag() {
                    // Everyone else on this worker has a turn, the lanes among them. Nothing is waited for.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                passed = true;
                match ready!(self.client_alarm.poll_read(&self.worker, cx, &mut self.client)) {
                    Err(_) => Some(self.client_reset()),
                    Ok(chunk) if chunk.is_empty() => {
                        self.client_end();
                        None
                    }
                    Ok(chunk) => self.client_sent(chunk),
                }
            } else {
                return Poll::Pending;
            };
            match over {
                Some(over) => return Poll::Ready(over),
                None if self.closing != Closing::No => return Poll::Pending,
                None => {}
            }
        }
    }

    /// Whether copies of the body that passes by would be cut although their mirrors had no chance to take it.
    fn copies_lag(&self) -> bool {
        matches!(&self.request, RequestState::Body { tee: Some(tee), .. } if tee.lags())
    }

    /// Passes the client's end of stream on, once all before it is written.
    fn poll_pass_end(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if let Upstream::Open(stream) = &mut self.upstream
            && !self.end_sent
        {
            let _ = ready!(Pin::new(stream).poll_shutdown(cx));
            self.end_sent = true;
        }
        if self.exchange.is_none() && self.deadline.is_none() && !matches!(self.request, RequestState::Tunnel) {
            self.set_deadline(HALF_CLOSED, Deadline::Close);
        }
        Poll::Pending
    }

    fn client_end(&mut self) {
        self.client_ended = true;
        match self.request {
            RequestState::Body { .. } => {
                self.error(ProductionError::ClientAborted);
                self.cut_copies();
            }
            RequestState::Tunnel => {}
            _ if self.exchange.is_some() => {}
            _ => {
                if !self.unread.is_empty() {
                    self.worker.stats.error(ProductionError::ClientAborted);
                    self.line_of_nothing(CLIENT_GONE, ProductionError::ClientAborted);
                }
                self.drop_upstream();
                self.close();
            }
        }
    }

    /// The client is gone: so is its upstream connection, in the same manner.
    pub(super) fn client_reset(&mut self) -> Over {
        if self.exchange.is_some() || matches!(self.request, RequestState::Body { .. }) {
            self.error(ProductionError::ClientAborted);
        }
        self.cut_copies();
        if let Upstream::Open(stream) | Upstream::Deaf(stream) = std::mem::replace(&mut self.upstream, Upstream::None) {
            stream.abort();
        }
        Over::Close
    }

    fn client_sent(&mut self, chunk: Bytes) -> Option<Over> {
        if self.closing == Closing::PassEnd {
            // A request crossed the upstream's end: it gets a connection of its own.
            self.closing = Closing::No;
            self.drop_upstream();
        }
        self.pass_on(chunk)
    }

    /// The upstream takes no more. It may still answer, so it is read on; what the client sends is read and dropped.
    fn upstream_deaf(&mut self, error: &io::Error) {
        if self.try_resend(true) {
            return;
        }
        tracing::debug!(%error, "upstream stopped reading");
        self.to_upstream.clear();
        self.cut_copies();
        self.upstream = match std::mem::replace(&mut self.upstream, Upstream::None) {
            Upstream::Open(stream) => Upstream::Deaf(stream),
            other => other,
        };
    }

    /// Sends the one request under way on a new connection, if the old one was closed before anything of it was
    /// processed. A failed write proves that; an end of stream counts only for requests that may be processed twice.
    pub(super) fn try_resend(&mut self, unprocessed: bool) -> bool {
        let Some(replay) = self.replay.take_if(|replay| unprocessed || replay.idempotent) else {
            return false;
        };
        self.worker.stats.resent.add(1);
        self.to_upstream.clear();
        self.to_upstream.push(Bytes::from(replay.bytes));
        self.connect_anew();
        true
    }

    /// Goes on with what was held back.
    fn resume(&mut self) -> Option<Over> {
        match self.request {
            RequestState::Refuse(status) => {
                self.respond(status);
                self.drop_upstream();
                self.close();
                return None;
            }
            RequestState::Wait(Until::Answered) => self.drop_upstream(),
            _ => {}
        }
        self.request = RequestState::Head;
        let unread = std::mem::take(&mut self.unread);
        self.scanner = HeadScanner::new();
        self.pass_on(Bytes::from(unread))
    }

    /// Passes on what was read, up to where something has to be waited for.
    fn pass_on(&mut self, mut chunk: Bytes) -> Option<Over> {
        if !self.unread.is_empty() {
            self.unread.extend_from_slice(&chunk);
            chunk = Bytes::from(std::mem::take(&mut self.unread));
        }
        let alone = self.exchange.is_none();
        let mut at = 0;
        // Start of what is passed on as it came.
        let mut run = 0;
        while at < chunk.len() {
            match &mut self.request {
                RequestState::Head => {
                    let (len, begun) = match self.begin_plain(&chunk, at) {
                        Some(begun) => begun,
                        None => match self.find_head(&chunk, at) {
                            Found::Head(len) => (len, self.begin(&chunk, at, len)),
                            Found::Blank(len) => {
                                // Empty lines before a request are ignored (RFC 9112 §2.2), and not passed on.
                                self.to_upstream.push(chunk.slice(run..at));
                                at += len;
                                run = at;
                                continue;
                            }
                            Found::Http2 => return Some(Over::Http2(chunk)),
                            Found::Incomplete => {
                                self.unread = chunk[at..].to_vec();
                                if self.deadline.is_none() {
                                    self.set_deadline(self.worker.snapshot().head_timeout, Deadline::RequestHead);
                                }
                                break;
                            }
                            Found::Refused(status) => {
                                self.refuse(status);
                                break;
                            }
                        },
                    };
                    match begun {
                        Begun::Unchanged => at += len,
                        Begun::Edited(head) => {
                            self.to_upstream.push(chunk.slice(run..at));
                            self.to_upstream.push(Bytes::from(head));
                            at += len;
                            run = at;
                        }
                        Begun::Wait(until) => {
                            self.unread = chunk[at..].to_vec();
                            self.request = RequestState::Wait(until);
                            break;
                        }
                        Begun::Refused(status) => {
                            self.refuse(status);
                            break;
                        }
                        Begun::Translate => return Some(Over::Translate(chunk.slice(at..))),
                    }
                }
                RequestState::Body {
                    decoder,
                    tee,
                    then_hold,
                } => {
                    let passed = match tee {
                        Some(tee) => tee.pass(decoder, &chunk, at),
                        None => decoder.decode(&chunk[at..], &mut ()),
                    };
                    let Ok(len) = passed else {
                        self.malformed_body();
                        return None;
                    };
                    at += len;
                    if let Some(line) = self.lines.back_mut() {
                        line.sent(len as u64);
                    }
                    if decoder.is_ended() {
                        if let Some(tee) = tee.take() {
                            tee.end();
                        }
                        self.request = if *then_hold {
                            RequestState::Upgrade
                        } else {
                            RequestState::Head
                        };
                    }
                }
                RequestState::Tunnel => {
                    self.line_sent(chunk.len() - at);
                    at = chunk.len();
                }
                RequestState::Upgrade | RequestState::Wait(_) | RequestState::Refuse(_) => {
                    self.unread = chunk[at..].to_vec();
                    break;
                }
            }
        }
        self.to_upstream.push(chunk.slice(run..at));
        self.request_passed(alone);
        None
    }

    /// Looks after what follows a request that is wholly on its way.
    fn request_passed(&mut self, alone: bool) {
        let Some(exchange) = self.exchange else { return };
        if matches!(self.request, RequestState::Body { .. } | RequestState::Tunnel) {
            return;
        }
        if alone
            && (self.reused || self.shares_upstream())
            && self.pipelined.is_empty()
            && self.to_upstream.len() <= REPLAY_MAX
        {
            self.replay = Some(Replay {
                bytes: self.to_upstream.concat(),
                idempotent: exchange.idempotent,
            });
        }
        if let Some(timeout) = self
            .target
            .as_ref()
            .and_then(|target| target.plan.upstream.response_timeout)
        {
            self.set_deadline(timeout, Deadline::Response);
        }
    }

    fn refuse(&mut self, status: u16) {
        self.worker.stats.error(ProductionError::BadRequest);
        self.line_of_nothing(status, ProductionError::BadRequest);
        self.request = RequestState::Refuse(status);
    }

    fn malformed_body(&mut self) {
        if self.pipelined.is_empty() {
            self.fail(ProductionError::BadRequest);
        } else {
            // The response that is due belongs to an earlier request.
            self.error(ProductionError::BadRequest);
            self.drop_upstream();
            self.close();
        }
    }

    fn find_head(&mut self, chunk: &Bytes, at: usize) -> Found {
        let rest = &chunk[at..];
        if self.target.is_none() && at == 0 && rest[0] == b'P' {
            if rest.starts_with(HTTP2_PREFACE) {
                return Found::Http2;
            }
            if HTTP2_PREFACE.starts_with(rest) {
                return Found::Incomplete;
            }
        }
        if rest.starts_with(b"\r\n") {
            return Found::Blank(2);
        }
        match self.scanner.scan(rest, &self.worker.snapshot().limits) {
            Ok(Some(len)) => {
                self.scanner = HeadScanner::new();
                Found::Head(len)
            }
            Ok(None) => Found::Incomplete,
            Err(error) => Found::Refused(error.status()),
        }
    }

    /// The same as finding a head and beginning its request, for one that is whole and plain, with its length.
    fn begin_plain(&mut self, chunk: &Bytes, at: usize) -> Option<(usize, Begun)> {
        if !self.scanner.is_new() {
            return None;
        }
        let worker = self.worker.clone();
        let mut fields = worker.take_fields();
        let begun = RequestHead::read(&chunk[at..], &mut fields, &worker.snapshot().limits).map(|head| {
            let len = head.bytes().len();
            (len, self.begin_parsed(&head, &chunk[at + len..]))
        });
        worker.return_fields(fields);
        begun
    }

    /// Decides about the request whose head is at `at`, and starts its copies.
    fn begin(&mut self, chunk: &Bytes, at: usize, len: usize) -> Begun {
        let worker = self.worker.clone();
        let mut fields = worker.take_fields();
        let begun = match RequestHead::parse(&chunk[at..at + len], &mut fields, &worker.snapshot().limits) {
            Ok(head) => self.begin_parsed(&head, &chunk[at + len..]),
            Err(error) => Begun::Refused(error.status()),
        };
        worker.return_fields(fields);
        begun
    }

    fn begin_parsed(&mut self, head: &RequestHead<'_>, behind: &[u8]) -> Begun {
        let snapshot = self.worker.snapshot();
        let view = Http1View::new(&self.worker, &snapshot, head, self.peer);
        let route = snapshot.route(&view);
        let target = &route.upstream;
        if !self.target.as_ref().is_some_and(|current| Rc::ptr_eq(current, target)) {
            if self.exchange.is_some() {
                return Begun::Wait(Until::Answered);
            }
            self.drop_upstream();
            self.target = Some(target.clone());
        }
        if self.exchange.is_some() && !self.has_room() {
            return Begun::Wait(Until::Room);
        }
        if target.plan.upstream.protocol == Protocol::Http2 {
            return Begun::Translate;
        }
        self.worker.stats.requests.add(1);
        self.deadline = None;
        let kind = RequestKind::of(head.method());
        let upgrade = head.upgrade();
        let hold = upgrade || kind == RequestKind::Connect;
        let tee = tee::begin_http1(&self.worker, route, &view, behind);
        let idempotent = is_idempotent(head.method());
        let started = Instant::now();
        self.begin_line(&snapshot, &view, route, started);
        self.expect_response(Exchange {
            kind,
            upgrade,
            idempotent,
            started,
            status: 0,
        });
        self.request = match head.body() {
            Framing::Length(0) | Framing::None if hold => RequestState::Upgrade,
            Framing::Length(0) | Framing::None => RequestState::Head,
            framing => RequestState::Body {
                decoder: BodyDecoder::new(framing),
                tee,
                then_hold: hold,
            },
        };
        match target.forward_http1(head, route, &self.peer) {
            Some(edited) => Begun::Edited(edited),
            None => Begun::Unchanged,
        }
    }
}

fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}
