//! The response side: from the upstream to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mynah_http1::edit::forward_response;
use mynah_http1::{BodyDecoder, Framing, HeadScanner, ResponseHead};
use tokio::io::AsyncWrite;

use super::{Closing, Deadline, Over, Relay, RequestState, ResponseState, Until, Upstream};
use crate::stats::ProductionError;

impl Relay {
    /// Pending when nothing more can be done for now.
    pub(super) fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            if ready!(self.to_client.poll_write_all(cx, &mut self.client)).is_err() {
                return Poll::Ready(self.client_reset());
            }
            if self.upstream_ended {
                return self.poll_tunnel_end(cx);
            }
            let (Upstream::Open(stream) | Upstream::Deaf(stream)) = &mut self.upstream else {
                return Poll::Pending;
            };
            match ready!(self.upstream_alarm.poll_read(&self.worker, cx, stream)) {
                Ok(chunk) if chunk.is_empty() => self.upstream_end(),
                Ok(chunk) => {
                    self.replay = None;
                    self.pass_back(chunk);
                    if self.shares_upstream() {
                        self.leave_upstream();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "upstream connection broke");
                    if let Some(over) = self.upstream_reset() {
                        return Poll::Ready(over);
                    }
                }
            }
            if self.closing != Closing::No {
                return Poll::Pending;
            }
        }
    }

    /// In a tunnel each direction ends by itself.
    fn poll_tunnel_end(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        if !self.tunnel_end_sent {
            let _ = ready!(Pin::new(&mut self.client).poll_shutdown(cx));
            self.tunnel_end_sent = true;
        }
        if self.client_ended && self.end_sent || matches!(self.upstream, Upstream::Deaf(_)) {
            return Poll::Ready(Over::Close);
        }
        Poll::Pending
    }

    /// The upstream sends no more.
    fn upstream_end(&mut self) {
        match &mut self.response {
            ResponseState::Tunnel => self.upstream_ended = true,
            ResponseState::Body { decoder } => {
                if decoder.finish_eof().is_ok() {
                    self.complete();
                } else {
                    self.error(ProductionError::Truncated);
                }
                self.drop_upstream();
                self.close();
            }
            ResponseState::Head if self.exchange.is_some() => self.unanswered(),
            ResponseState::Head
                if matches!(self.request, RequestState::Head) && self.unread.is_empty() && self.reused =>
            {
                self.closing = Closing::PassEnd;
            }
            ResponseState::Head => {
                self.drop_upstream();
                self.close();
            }
        }
    }

    /// The upstream's connection broke: so does the client's, unless it still waits for a first byte.
    fn upstream_reset(&mut self) -> Option<Over> {
        match self.response {
            ResponseState::Head => {
                if self.exchange.is_some() {
                    self.unanswered();
                } else {
                    self.upstream_end();
                }
                None
            }
            ResponseState::Body { .. } => {
                self.error(ProductionError::Truncated);
                Some(Over::Abort)
            }
            ResponseState::Tunnel => Some(Over::Abort),
        }
    }

    fn unanswered(&mut self) {
        if self.client_ended && matches!(self.request, RequestState::Body { .. }) {
            // The client has cut its request short, and that was counted; nobody else is at fault.
            return self.end_unserved(ProductionError::UpstreamClosed);
        }
        if !self.partial.is_empty() || !self.try_resend(false) {
            self.fail(ProductionError::UpstreamClosed);
        }
    }

    /// Passes on what the upstream sent.
    fn pass_back(&mut self, mut chunk: Bytes) {
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(&chunk);
            chunk = Bytes::from(std::mem::take(&mut self.partial));
        }
        let mut at = 0;
        let mut run = 0;
        while at < chunk.len() {
            match &mut self.response {
                ResponseState::Head => {
                    if self.exchange.is_none() {
                        // Nobody asked.
                        self.to_client.push(chunk.slice(run..at));
                        self.worker.stats.error(ProductionError::BadResponse);
                        self.drop_upstream();
                        self.close();
                        return;
                    }
                    let (len, begun) = match self.begin_plain_response(&chunk[at..]) {
                        Some(begun) => begun,
                        None => match self.response_scanner.scan(&chunk[at..], &self.worker.snapshot().limits) {
                            Ok(Some(len)) => {
                                self.response_scanner = HeadScanner::new();
                                (len, self.begin_response(&chunk[at..at + len]))
                            }
                            Ok(None) => {
                                self.partial = chunk[at..].to_vec();
                                break;
                            }
                            Err(_) => {
                                self.to_client.push(chunk.slice(run..at));
                                return self.fail(ProductionError::BadResponse);
                            }
                        },
                    };
                    match begun {
                        Some(None) => {}
                        Some(Some(edited)) => {
                            self.to_client.push(chunk.slice(run..at));
                            self.to_client.push(Bytes::from(edited));
                            run = at + len;
                        }
                        None => {
                            self.to_client.push(chunk.slice(run..at));
                            return self.fail(ProductionError::BadResponse);
                        }
                    }
                    at += len;
                }
                ResponseState::Body { decoder } => {
                    let Ok(len) = decoder.decode(&chunk[at..], &mut ()) else {
                        self.to_client.push(chunk.slice(run..at));
                        return self.fail(ProductionError::BadResponse);
                    };
                    at += len;
                    if let Some(line) = self.lines.front_mut() {
                        line.received(len as u64);
                    }
                    if decoder.is_ended() {
                        self.complete();
                    }
                }
                ResponseState::Tunnel => {
                    self.line_received(chunk.len() - at);
                    at = chunk.len();
                }
            }
        }
        self.to_client.push(chunk.slice(run..at));
    }

    /// The length of a head that is whole and plain, and what [`Self::begin_response`] makes of it.
    fn begin_plain_response(&mut self, bytes: &[u8]) -> Option<(usize, Option<Option<Vec<u8>>>)> {
        if !self.response_scanner.is_new() {
            return None;
        }
        let worker = self.worker.clone();
        let mut fields = worker.take_fields();
        let kind = self.exchange?.kind;
        let begun = ResponseHead::read(bytes, &mut fields, &worker.snapshot().limits, kind)
            .map(|head| (head.bytes().len(), self.begin_response_parsed(&head)));
        worker.return_fields(fields);
        begun
    }

    /// None when the head is malformed; otherwise the head in place of the one that came, if it has to be another.
    fn begin_response(&mut self, bytes: &[u8]) -> Option<Option<Vec<u8>>> {
        let worker = self.worker.clone();
        let mut fields = worker.take_fields();
        let kind = self.exchange?.kind;
        let edited = ResponseHead::parse(bytes, &mut fields, &worker.snapshot().limits, kind)
            .ok()
            .and_then(|head| self.begin_response_parsed(&head));
        worker.return_fields(fields);
        edited
    }

    fn begin_response_parsed(&mut self, head: &ResponseHead<'_>) -> Option<Option<Vec<u8>>> {
        if head.is_interim() {
            return Some(forward_response(head, false));
        }
        self.deadline = None;
        let exchange = self.exchange.as_mut()?;
        exchange.status = head.status();
        if let Some(line) = self.lines.front_mut() {
            line.answered(head.status());
        }
        let switched = head.status() == 101;
        if switched && !(exchange.upgrade && matches!(self.request, RequestState::Upgrade)) {
            return None;
        }
        if switched || head.body() == Framing::Tunnel {
            self.begin_tunnel();
            return Some(forward_response(head, false));
        }
        self.reused = head.persistent();
        if matches!(self.request, RequestState::Upgrade) && self.pipelined.is_empty() {
            // Refused: what the client sent behind it is its next request.
            self.request = RequestState::Wait(Until::Now);
        }
        let last = self.worker.is_draining()
            && self.pipelined.is_empty()
            && self.unread.is_empty()
            && matches!(self.request, RequestState::Head);
        self.last_announced = last;
        let edited = forward_response(head, last);
        let decoder = BodyDecoder::new(head.body());
        if decoder.is_ended() {
            self.complete();
        } else {
            self.response = ResponseState::Body { decoder };
        }
        Some(edited)
    }

    fn begin_tunnel(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.worker.stats.response(exchange.status, exchange.started.elapsed());
        }
        self.response = ResponseState::Tunnel;
        self.request = RequestState::Tunnel;
        let unread = std::mem::take(&mut self.unread);
        self.line_sent(unread.len());
        self.to_upstream.push(Bytes::from(unread));
    }

    /// The response to the oldest request has ended.
    fn complete(&mut self) {
        self.response = ResponseState::Head;
        if let Some(exchange) = std::mem::replace(&mut self.exchange, self.pipelined.pop_front()) {
            let took = exchange.started.elapsed();
            self.worker.stats.response(exchange.status, took);
            self.end_line(took);
        }
        let response_timeout = self
            .target
            .as_ref()
            .and_then(|target| target.plan.upstream.response_timeout);
        match response_timeout {
            Some(timeout) if self.exchange.is_some() => self.set_deadline(timeout, Deadline::Response),
            _ => {}
        }
        if self.last_announced {
            self.drop_upstream();
            self.close();
        }
    }
}
