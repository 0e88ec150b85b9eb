//! The relay's side of the access log: which line is told what.
//!
//! Requests are answered in their order: what comes from the upstream belongs to the oldest line, what comes from the
//! client to the newest.

use std::time::Duration;

use tokio::time::Instant;

use super::{Relay, ResponseState};
use crate::route::Http1View;
use crate::snapshot::{RouteEntry, Snapshot};
use crate::stats::ProductionError;

impl Relay {
    /// Begins the line of a request, if there is an access log.
    #[inline]
    pub(super) fn begin_line(
        &mut self,
        snapshot: &Snapshot,
        view: &Http1View<'_, '_>,
        route: &RouteEntry,
        started: Instant,
    ) {
        if let Some(log) = &snapshot.access_log {
            self.lines.push_back(log.begin(view, route.index, started));
        }
    }

    /// Bytes of the newest request's body have passed.
    #[inline]
    pub(super) fn line_sent(&mut self, bytes: usize) {
        if let Some(line) = self.lines.back_mut() {
            line.sent(bytes as u64);
        }
    }

    /// Bytes of the oldest request's response have passed.
    #[inline]
    pub(super) fn line_received(&mut self, bytes: usize) {
        if let Some(line) = self.lines.front_mut() {
            line.received(bytes as u64);
        }
    }

    /// The response to the oldest request has ended.
    #[inline]
    pub(super) fn end_line(&mut self, took: Duration) {
        if let Some(line) = self.lines.pop_front() {
            line.end(took);
        }
    }

    /// The oldest request gets a response of Mynah's.
    pub(super) fn line_refused(&mut self, status: u16) {
        if let Some(line) = self.lines.front_mut() {
            line.refused(status);
        }
    }

    /// Counts an error, and says so in the line of every request that it ends.
    pub(super) fn error(&mut self, error: ProductionError) {
        self.worker.stats.error(error);
        for line in &mut self.lines {
            if error == ProductionError::ClientAborted {
                line.client_gone();
            } else {
                line.reason(error.as_str());
            }
        }
    }

    /// Something that was no request is refused.
    pub(super) fn line_of_nothing(&self, status: u16, error: ProductionError) {
        if let Some(log) = &self.worker.snapshot().access_log {
            log.refused(&self.peer, status, error.as_str());
        }
    }

    /// Ends every line: a tunnel's is complete, whoever else is left is not served.
    pub(super) fn end_lines(&mut self) {
        let tunnel = matches!(self.response, ResponseState::Tunnel);
        for mut line in self.lines.drain(..) {
            if !tunnel {
                line.client_gone();
            }
            line.end_now();
        }
    }
}
