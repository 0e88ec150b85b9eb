//! A lane: everything one worker does for one mirror, off the production path.
//!
//! A copy enters by [`Lane::admit`], which takes it or sheds it at once, and [`Lane::send`], which gives it to a
//! kept-alive connection or a new one. From there it is on its own: whatever becomes of it ends in exactly one outcome,
//! counted when its [`Ticket`] is finished or dropped.

mod admit;
mod http1;
mod http2;
pub(crate) mod queue;
mod share;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use http::Request;
use mynah_config::model::{Mirror, SampleBy};
use mynah_core::{CircuitBreaker, Diffusion, RateLimiter, ShedReason};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::admit::{OwnField, Ticket};
pub(crate) use self::http2::agreed as agreed_on_http2;
use self::queue::BodyQueue;
pub(crate) use self::share::Share;
use crate::access_log::WorkerLog;
use crate::plan::MirrorPlan;
use crate::stats::{MirrorStats, SharedRatio};
use crate::worker::{Held, Worker};

/// One worker's lane to one mirror.
pub(crate) struct Lane {
    pub(crate) plan: Arc<MirrorPlan>,
    pub(crate) ratio: Arc<SharedRatio>,
    pub(crate) stats: Arc<MirrorStats>,
    pub(crate) diffusion: RefCell<Diffusion>,
    /// Without it every copy is sent.
    pub(crate) share: Option<Share>,
    breaker: RefCell<CircuitBreaker>,
    rate: RefCell<Option<RateLimiter>>,
    load: Rc<Load>,
    max_in_flight: usize,
    max_connections: usize,
    /// Every connection, the newest at the end.
    seats: RefCell<Vec<Rc<Seat>>>,
    /// Connections that wait for a copy, the one used last at the end.
    idle: RefCell<Vec<Rc<Seat>>>,
    /// HTTP/2 connections.
    links: RefCell<Vec<Rc<http2::Link>>>,
    /// Which address is next.
    cursor: Cell<usize>,
    shut: Cell<bool>,
    /// A new configuration has no use for it: what is under way ends, nothing follows.
    retired: Cell<bool>,
    /// The mirror's access log.
    access_log: Option<Rc<WorkerLog>>,
}

/// What a mirror's bounds are about. A lane that takes another's place goes on with its load, so that the bounds hold for
/// both together.
#[derive(Default)]
struct Load {
    in_flight: Cell<usize>,
    connections: Cell<usize>,
    /// No copy is in flight any more.
    ended: Notify,
}

/// A connection's place in the lane, where it waits for its next copy.
#[derive(Default)]
pub(crate) struct Seat {
    copy: RefCell<Option<WireCopy>>,
    waker: RefCell<Option<Waker>>,
    /// The connection is to be closed, and what it carries is shed for this reason.
    taken_away: Cell<Option<ShedReason>>,
}

impl Seat {
    fn take_away(&self, why: ShedReason) {
        self.taken_away.set(Some(why));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether the connection is to be closed; wakes the task when that changes, or a copy comes.
    fn poll_taken_away(&self, cx: &Context<'_>) -> Option<ShedReason> {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.taken_away.get()
    }
}

/// A copy as HTTP/1 bytes.
pub(crate) struct WireCopy {
    pub(crate) ticket: Ticket,
    /// Counts the head as held until it is written.
    pub(crate) held: Option<Held>,
    /// The head, and the body too if it was there at once.
    pub(crate) head: Vec<u8>,
    /// The rest of the body.
    pub(crate) body: Option<Rc<BodyQueue>>,
    /// The body comes decoded and leaves in chunks.
    pub(crate) encode_chunked: bool,
    /// The method was HEAD: the response has no body.
    pub(crate) is_head: bool,
}

/// A copy as a decoded head, for HTTP/2.
pub(crate) struct DecodedCopy {
    pub(crate) ticket: Ticket,
    /// Counts the head as held.
    pub(crate) _held: Held,
    pub(crate) request: Request<()>,
    /// The body, decoded.
    pub(crate) body: Option<Rc<BodyQueue>>,
}

impl Lane {
    /// A lane of one worker among so many. It goes on where `before`, an earlier lane to the same mirror, is.
    pub(crate) fn new(plan: Arc<MirrorPlan>, worker: usize, workers: usize, before: Option<&Self>) -> Rc<Self> {
        let mirror = &plan.mirror;
        let share = |total: usize| (total / workers + usize::from(worker < total % workers)).max(1);
        // Workers start their error diffusion apart, so that few requests over many workers are not all copied.
        let phase = (worker as u64 * u64::from(mynah_core::Ratio::ONE.units()) / workers as u64) as u32;
        let diffusion = before.map_or_else(|| Diffusion::new(phase), |lane| lane.diffusion.borrow().clone());
        let now = Instant::now();
        let share_before = before.and_then(|lane| lane.share.as_ref());
        let lane = Rc::new(Self {
            ratio: plan.ratio.clone(),
            stats: plan.stats[worker].clone(),
            diffusion: RefCell::new(diffusion),
            share: mirror.adaptive.map(|spec| Share::new(spec, now, share_before)),
            breaker: RefCell::new(CircuitBreaker::new(mirror.breaker.failures, mirror.breaker.open_for)),
            rate: RefCell::new(
                mirror
                    .requests_per_second
                    .map(|rps| RateLimiter::new(rps / workers as f64, now.into_std())),
            ),
            load: before.map(|lane| lane.load.clone()).unwrap_or_default(),
            max_in_flight: share(mirror.max_in_flight),
            max_connections: share(mirror.max_connections),
            seats: RefCell::default(),
            idle: RefCell::default(),
            links: RefCell::default(),
            cursor: Cell::new(worker),
            shut: Cell::new(false),
            retired: Cell::new(false),
            access_log: plan.access_log.as_ref().map(WorkerLog::new),
            plan,
        });
        lane.show_breaker();
        lane.show_share();
        lane
    }

    pub(crate) fn mirror(&self) -> &Mirror {
        &self.plan.mirror
    }

    /// What decides which requests are copied.
    pub(crate) fn by(&self) -> &SampleBy {
        &self.mirror().by
    }

    /// Whether a copy of a request that came by HTTP/2 (or, if false, HTTP/1) leaves by HTTP/2.
    pub(crate) fn speaks_http2(&self, client_http2: bool) -> bool {
        crate::connect::speaks_http2(self.mirror().protocol, client_http2)
    }

    /// The scheme of the mirror's URL.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.mirror().url.tls { "https" } else { "http" }
    }

    /// Gives an admitted copy to an HTTP/2 connection with room for it, or to a new one.
    pub(crate) fn send_http2(self: &Rc<Self>, worker: &Rc<Worker>, copy: DecodedCopy) {
        let link = self.link_with_room();
        match link {
            Some(link) => link.take(self, copy),
            None => {
                let slot = ConnectionSlot::take(self, worker);
                let link = http2::Link::new(slot.seat.clone());
                link.take(self, copy);
                self.links.borrow_mut().push(link.clone());
                tokio::task::spawn_local(http2::run(self.clone(), slot, link));
            }
        }
    }

    fn link_with_room(&self) -> Option<Rc<http2::Link>> {
        self.links.borrow().iter().find(|link| link.has_room()).cloned()
    }

    /// Gives an admitted copy to a connection.
    pub(crate) fn send(self: &Rc<Self>, worker: &Rc<Worker>, copy: WireCopy) {
        let seat = self.idle.borrow_mut().pop();
        match seat {
            Some(seat) => {
                seat.copy.replace(Some(copy));
                if let Some(waker) = seat.waker.take() {
                    waker.wake();
                }
            }
            None => {
                let slot = ConnectionSlot::take(self, worker);
                tokio::task::spawn_local(http1::run(self.clone(), worker.clone(), slot, copy));
            }
        }
    }

    /// Whether a copy could be given to a connection now, idle or new.
    fn has_connection(&self, worker: &Worker, http2: bool) -> Result<(), ShedReason> {
        let open = if http2 {
            self.link_with_room().is_some()
        } else {
            !self.idle.borrow().is_empty()
        };
        if open {
            Ok(())
        } else if self.load.connections.get() >= self.max_connections {
            Err(ShedReason::Connections)
        } else if !worker.may_open_for_copies() {
            Err(ShedReason::Descriptors)
        } else {
            Ok(())
        }
    }

    /// Closes up to so many idle connections, so that production has their file descriptors. How many.
    pub(crate) fn take_away_idle(&self, count: usize) -> usize {
        let mut idle = self.idle.borrow_mut();
        let kept = idle.len().saturating_sub(count);
        let reason = ShedReason::Descriptors;
        let taken = idle.drain(kept..).map(|seat| seat.take_away(reason)).count();
        let links = self.links.borrow();
        let unused = links.iter().filter(|link| link.is_idle());
        taken + unused.take(count - taken).map(|link| link.take_away(reason)).count()
    }

    /// Closes up to so many connections whose copies are under way, the newest first. How many.
    pub(crate) fn take_away_busy(&self, count: usize) -> usize {
        let seats = self.seats.borrow();
        let busy = seats.iter().rev().filter(|seat| seat.taken_away.get().is_none());
        busy.take(count)
            .map(|seat| seat.take_away(ShedReason::Descriptors))
            .count()
    }

    /// Sheds every copy that is under way, and closes every connection.
    pub(crate) fn shed(&self, why: ShedReason) {
        self.idle.borrow_mut().clear();
        self.links.borrow().iter().for_each(|link| link.take_away(why));
        self.seats.borrow().iter().for_each(|seat| seat.take_away(why));
    }

    /// Connections that were taken away and are not closed yet.
    pub(crate) fn leaving(&self) -> usize {
        self.seats
            .borrow()
            .iter()
            .filter(|seat| seat.taken_away.get().is_some())
            .count()
    }

    /// Sheds everything from now on, and whatever is still under way.
    pub(crate) fn shut(&self) {
        self.shut.set(true);
        self.take_away_idle(usize::MAX);
    }

    /// Lets what is under way end, and closes each connection then.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.take_away_idle(usize::MAX);
    }

    /// Whether connections wait for further copies.
    fn keeps_connections(&self) -> bool {
        !self.shut.get() && !self.retired.get()
    }

    /// Waits until no copy is in flight.
    pub(crate) async fn copies_ended(&self) {
        while self.load.in_flight.get() > 0 {
            self.load.ended.notified().await;
        }
    }

    /// Time at which a copy handed over now is given up.
    pub(crate) fn deadline(&self, started: Instant) -> Instant {
        started + self.mirror().timeout
    }

    fn idle_timeout(&self) -> Duration {
        self.mirror().idle_timeout
    }
}

/// A place among the lane's connections, and a file descriptor; given back when dropped.
pub(crate) struct ConnectionSlot {
    lane: Rc<Lane>,
    worker: Rc<Worker>,
    seat: Rc<Seat>,
}

impl ConnectionSlot {
    pub(crate) fn take(lane: &Rc<Lane>, worker: &Rc<Worker>) -> Self {
        let open = &lane.load.connections;
        open.set(open.get() + 1);
        lane.stats.connections.add(1);
        worker.add_descriptors(1);
        let seat = Rc::<Seat>::default();
        lane.seats.borrow_mut().push(seat.clone());
        Self {
            lane: lane.clone(),
            worker: worker.clone(),
            seat,
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.lane
            .seats
            .borrow_mut()
            .retain(|seat| !Rc::ptr_eq(seat, &self.seat));
        let open = &self.lane.load.connections;
        open.set(open.get() - 1);
        self.lane.stats.connections.add(-1);
        self.worker.return_descriptors(1);
    }
}
