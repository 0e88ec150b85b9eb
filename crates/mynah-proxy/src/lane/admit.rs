//! Admission: a copy is taken or shed, at once; and the ticket that makes sure it ends in exactly one outcome.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use mynah_core::{Admission, BreakerState, FailReason, Outcome, ShedReason};
use tokio::time::Instant;

use super::Lane;
use crate::access_log::{Draft, Subject};
use crate::worker::Worker;

impl Lane {
    /// Takes a copy or says why it is shed; either way it is counted. Never waits. One that is not `kept` is beyond the share
    /// that the mirror is sent.
    /// The copy's line in the access log, if there is one, tells of `subject`.
    pub(crate) fn admit<S: Subject>(
        self: &Rc<Self>,
        worker: &Worker,
        http2: bool,
        kept: bool,
        subject: impl FnOnce() -> S,
    ) -> Option<Ticket> {
        self.stats.copies.add(1);
        let mut admitted = self.try_admit(worker, http2, kept);
        if let Some(log) = &self.access_log {
            let started = admitted
                .as_ref()
                .map_or_else(|_| Instant::now(), |ticket| ticket.started);
            let line = log.begin(&subject(), None, started);
            match &mut admitted {
                Ok(ticket) => ticket.line = RefCell::new(Some(line)),
                Err(reason) => line.end_copy(Outcome::Shed(*reason), started.elapsed()),
            }
        }
        admitted.map_err(|reason| self.count(Outcome::Shed(reason))).ok()
    }

    fn try_admit(self: &Rc<Self>, worker: &Worker, http2: bool, kept: bool) -> Result<Ticket, ShedReason> {
        if self.shut.get() {
            return Err(ShedReason::Shutdown);
        }
        if self.ratio.is_paused() {
            return Err(ShedReason::Paused);
        }
        let now = Instant::now();
        // A breaker that is not closed decides by itself, and its probe may be any copy.
        if !kept && self.breaker.borrow().state() == BreakerState::Closed {
            if let Some(share) = &self.share {
                share.held_back(now);
                self.show_share();
            }
            return Err(ShedReason::Adaptive);
        }
        let probe = match self.breaker.borrow_mut().admit(now.into_std()) {
            Admission::Yes => false,
            Admission::Probe => true,
            Admission::No => return Err(ShedReason::BreakerOpen),
        };
        if let Err(reason) = self.within_bounds(worker, http2, now) {
            if probe {
                self.breaker.borrow_mut().probe_cancelled(now.into_std());
            }
            return Err(reason);
        }
        self.show_breaker();
        self.load.in_flight.set(self.load.in_flight.get() + 1);
        self.stats.in_flight.add(1);
        if let Some(share) = &self.share {
            share.sent(now);
            self.show_share();
        }
        Ok(Ticket {
            lane: self.clone(),
            started: now,
            probe,
            http2,
            ended: false,
            status: Cell::new(0),
            line: RefCell::default(),
            own: Vec::new(),
        })
    }

    fn within_bounds(&self, worker: &Worker, http2: bool, now: Instant) -> Result<(), ShedReason> {
        if self.load.in_flight.get() >= self.max_in_flight {
            return Err(ShedReason::InFlight);
        }
        self.has_connection(worker, http2)?;
        let within_rate = self
            .rate
            .borrow_mut()
            .as_mut()
            .is_none_or(|rate| rate.admit(now.into_std()));
        if within_rate { Ok(()) } else { Err(ShedReason::Rate) }
    }

    fn count(&self, outcome: Outcome) {
        self.stats.outcomes[outcome.index()].add(1);
    }

    pub(super) fn show_breaker(&self) {
        if self.retired.get() {
            // The mirror's present lane has a breaker of its own.
            return;
        }
        let state = match self.breaker.borrow().state() {
            BreakerState::Closed => 0,
            BreakerState::Open => 1,
            BreakerState::HalfOpen => 2,
        };
        let before = self.stats.breaker.swap(state, Relaxed);
        if before != state && state != 2 && before != 2 {
            let name = &self.mirror().name;
            match state {
                0 => tracing::info!(mirror = %name, "breaker closed"),
                _ => tracing::warn!(mirror = %name, "breaker opened"),
            }
        }
    }
}

/// Name and value of a field of one copy alone.
pub(crate) type OwnField = (Box<str>, Box<[u8]>);

/// A copy in flight. Exactly one outcome is counted for it: the one it is finished with, or a failure inside Mynah when
/// it is dropped without one, as a panic does.
pub(crate) struct Ticket {
    lane: Rc<Lane>,
    pub(crate) started: Instant,
    probe: bool,
    http2: bool,
    ended: bool,
    /// Of the mirror's response; 0 before its head has come.
    status: Cell<u16>,
    /// Its line in the mirror's access log.
    line: RefCell<Option<Draft>>,
    own: Vec<OwnField>,
}

impl Ticket {
    /// Whether the copy leaves by HTTP/2.
    pub(crate) fn http2(&self) -> bool {
        self.http2
    }

    /// The same copy with these fields of its own.
    pub(crate) fn with_own(mut self, own: Vec<OwnField>) -> Self {
        self.own = own;
        self
    }

    /// Fields that no other copy has.
    pub(crate) fn own(&self) -> &[OwnField] {
        &self.own
    }

    /// So much of the body has been sent.
    pub(crate) fn sent(&self, bytes: usize) {
        if let Some(line) = &mut *self.line.borrow_mut() {
            line.sent(bytes as u64);
        }
    }

    /// The head of the mirror's response has come.
    pub(crate) fn answered(&self, status: u16) {
        self.status.set(status);
        if let Some(line) = &mut *self.line.borrow_mut() {
            line.answered(status);
        }
    }

    /// So much of the body of the mirror's response has come.
    pub(crate) fn received(&self, bytes: usize) {
        if let Some(line) = &mut *self.line.borrow_mut() {
            line.received(bytes as u64);
        }
    }

    /// Counts a response of which no more is read.
    pub(crate) fn cut_response(&self) {
        self.lane.stats.responses_cut.add(1);
    }

    /// Counts how the copy ended.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        let lane = &self.lane;
        lane.load.in_flight.set(lane.load.in_flight.get() - 1);
        lane.stats.in_flight.add(-1);
        // Before anything that may go wrong.
        lane.count(outcome);
        let now = Instant::now();
        {
            let mut breaker = lane.breaker.borrow_mut();
            match outcome {
                Outcome::Delivered => breaker.success(self.probe),
                Outcome::Failed(_) => breaker.failure(now.into_std(), self.probe),
                Outcome::Shed(_) if self.probe => breaker.probe_cancelled(now.into_std()),
                Outcome::Shed(_) => {}
            }
        }
        lane.show_breaker();
        if let Some(share) = &lane.share {
            share.ended(outcome, self.status.get(), self.started, now);
            lane.show_share();
        }
        match outcome {
            Outcome::Delivered => lane.stats.latency.record(now - self.started),
            Outcome::Failed(reason) => {
                tracing::debug!(mirror = %lane.mirror().name, reason = reason.as_str(), "copy failed");
            }
            Outcome::Shed(_) => {}
        }
        if let Some(line) = self.line.take() {
            line.end_copy(outcome, now - self.started);
        }
        if lane.load.in_flight.get() == 0 {
            lane.load.ended.notify_waiters();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            let outcome = if self.lane.shut.get() {
                Outcome::Shed(ShedReason::Shutdown)
            } else {
                Outcome::Failed(FailReason::Internal)
            };
            self.end(outcome);
        }
    }
}
