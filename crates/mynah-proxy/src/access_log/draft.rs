//! A line under way.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::WorkerLog;

/// A line of which the beginning is known. It is made when this is ended or dropped, exactly once.
pub(crate) struct Draft {
    log: Rc<WorkerLog>,
    data: Option<Box<Data>>,
}

/// What a line is made of.
pub(super) struct Data {
    /// What was known when the request began, run after run.
    pub(super) early: Vec<u8>,
    pub(super) ends: Vec<u32>,
    pub(super) started: Instant,
    /// From then to the head of the response.
    pub(super) answered: Option<Duration>,
    /// From then to the end; none when nobody ended it.
    pub(super) took: Option<Duration>,
    /// 0 when there is none.
    pub(super) status: u16,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            early: Vec::new(),
            ends: Vec::new(),
            started: Instant::now(),
            answered: None,
            took: None,
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            outcome: "",
            reason: "",
        }
    }
}

impl Data {
    /// As if new, but for the memory.
    pub(super) fn clear(&mut self) {
        self.early.clear();
        self.ends.clear();
        self.answered = None;
        self.took = None;
        self.status = 0;
        self.request_bytes = 0;
        self.response_bytes = 0;
        self.outcome = "";
        self.reason = "";
    }
}

/// The status of a request whose client was gone before there was one, as nginx has it.
pub(crate) const CLIENT_GONE: u16 = 499;

impl Draft {
    pub(super) fn new(log: Rc<WorkerLog>, data: Box<Data>) -> Self {
        Self { log, data: Some(data) }
    }

    fn data(&mut self) -> &mut Data {
        self.data.as_mut().expect("it is taken when this is dropped")
    }

    /// So much more of the request's body has passed.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.data().request_bytes += bytes;
    }

    /// So much more of the response's body has passed.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.data().response_bytes += bytes;
    }

    /// The head of the response has come.
    pub(crate) fn answered(&mut self, status: u16) {
        let data = self.data();
        data.status = status;
        data.answered = Some(data.started.elapsed());
    }

    /// The head of the response came so long after that of the request.
    pub(crate) fn answered_after(&mut self, status: Option<u16>, after: Option<Duration>) {
        let data = self.data();
        data.status = status.unwrap_or(data.status);
        data.answered = after;
    }

    /// The client gets this status from Mynah, unless a response has begun.
    pub(crate) fn refused(&mut self, status: u16) {
        let data = self.data();
        if data.status == 0 {
            data.status = status;
        }
    }

    /// Why it fails, unless that is known.
    pub(crate) fn reason(&mut self, reason: &'static str) {
        let data = self.data();
        if data.reason.is_empty() {
            data.reason = reason;
        }
    }

    /// The client went away.
    pub(crate) fn client_gone(&mut self) {
        self.reason("aborted");
        self.refused(CLIENT_GONE);
    }

    /// It has ended, after so long.
    pub(crate) fn end(mut self, took: Duration) {
        self.data().took = Some(took);
    }

    /// It has ended.
    pub(crate) fn end_now(mut self) {
        let data = self.data();
        data.took = Some(data.started.elapsed());
    }

    /// A copy has ended.
    pub(crate) fn end_copy(mut self, outcome: mynah_core::Outcome, took: Duration) {
        let data = self.data();
        data.outcome = outcome.as_str();
        data.reason = outcome.reason();
        data.took = Some(took);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(mut data) = self.data.take() {
            if data.took.is_none() {
                data.took = Some(data.started.elapsed());
                if data.reason.is_empty() {
                    data.reason = if std::thread::panicking() { "panic" } else { "shutdown" };
                }
            }
            self.log.end(data);
        }
    }
}
