//! A worker: one thread's share of the proxy, and what its connections have in common.
//!
//! A worker owns its listeners, connections, lanes and counters; nothing on a request's way is shared with another
//! thread. What its tasks share among themselves is in [`Worker`], behind `Rc` and `Cell`.

mod entrances;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mynah_core::ShedReason;
use mynah_http1::Field;
use slab::Slab;
use tokio::io::AsyncRead;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use self::entrances::Entrances;
use crate::access_log::IdSource;
use crate::bind::{ListenerId, Socket};
use crate::plan::Plan;
use crate::snapshot::{Snapshot, UpstreamTarget};
use crate::stats::WorkerStats;
use crate::upstream::links::Link;

/// Room for a read: large enough that a big body costs few system calls.
const READ_ROOM: usize = 64 * 1024;
/// Allocated at once; reads take slices of it, and it is reused when nothing refers to it any more.
const READ_BLOCK: usize = 2 * READ_ROOM;
/// Copies get this long after production has drained.
const COPIES_GRACE: Duration = Duration::from_secs(1);
/// How long copies open no connections after the system had too few descriptors.
const STRAIN: Duration = Duration::from_secs(1);

/// What the control thread asks of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Work by this configuration from now on.
    Apply(Box<Update>),
    /// Shed the copies under way to a mirror, or to all: they are paused. What is sent with it is dropped afterwards.
    Shed(Option<Arc<str>>, mpsc::Sender<Infallible>),
    /// Accept no more, let production finish, then end.
    Drain,
    /// End now.
    Abort,
}

/// A configuration to be worked by.
pub(crate) struct Update {
    pub(crate) plan: Arc<Plan>,
    /// The listeners, in the order of the plan.
    pub(crate) listeners: Vec<ListenerId>,
    /// The worker's sockets of those that are new.
    pub(crate) sockets: Vec<Socket>,
    /// Dropped when the configuration is in force.
    pub(crate) applied: mpsc::Sender<Infallible>,
    /// Dropped when the listeners are closed that are no more.
    pub(crate) closed: mpsc::Sender<Infallible>,
}

impl std::fmt::Debug for Update {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Update").finish_non_exhaustive()
    }
}

/// What the tasks of one worker share.
pub(crate) struct Worker {
    pub(crate) stats: Arc<WorkerStats>,
    snapshot: RefCell<Rc<Snapshot>>,
    read: RefCell<BytesMut>,
    fields: RefCell<Vec<Field>>,
    draining: Cell<bool>,
    /// Wakers of the client connections, to tell them of a drain.
    connections: RefCell<Slab<Waker>>,
    closed: Notify,
    /// File descriptors in use by connections, and how many there may be.
    descriptors: Cell<usize>,
    descriptor_limit: usize,
    /// Until when copies open no connections, because the system refused production a descriptor.
    strained: Cell<Option<Instant>>,
    held: Cell<usize>,
    held_limit: Cell<usize>,
    /// Upstream connections that client connections share.
    shared: RefCell<Vec<Rc<Link>>>,
    /// Random identifiers.
    pub(crate) ids: IdSource,
}

impl Worker {
    fn new(plan: &Plan, id: usize) -> Self {
        Self {
            stats: plan.worker_stats(id),
            snapshot: RefCell::new(Rc::new(Snapshot::compile(plan, id, None))),
            read: RefCell::new(BytesMut::new()),
            fields: RefCell::new(Vec::with_capacity(64)),
            draining: Cell::new(false),
            connections: RefCell::default(),
            closed: Notify::new(),
            descriptors: Cell::new(0),
            descriptor_limit: plan.descriptors_per_worker(),
            strained: Cell::new(None),
            held: Cell::new(0),
            held_limit: Cell::new(plan.held_per_worker()),
            shared: RefCell::default(),
            ids: IdSource::new(),
        }
    }

    /// Works by another plan from the next request on. What is under way ends as it began.
    fn apply(&self, plan: &Plan, id: usize) {
        let next = Rc::new(Snapshot::compile(plan, id, Some(&self.snapshot())));
        self.held_limit.set(plan.held_per_worker());
        self.snapshot.replace(next.clone());
        next.retire_lanes();
        self.shared.borrow_mut().retain(|link| next.has_upstream(link.target()));
        // Whoever waits for room looks whether there is more now.
        self.closed.notify_waiters();
    }

    fn shed(&self, mirror: Option<&str>) {
        self.snapshot().shed(mirror, ShedReason::Paused);
    }

    /// The configuration in force.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Whether new requests should be the last of their connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Reads once from `from` into the worker's buffer; empty at the end of the stream.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<Bytes>> {
        let mut buf = self.read.borrow_mut();
        // When nothing refers to the block any more it is used from its start again, which is still in the processor's cache.
        if !buf.try_reclaim(READ_BLOCK) && buf.capacity() < READ_ROOM {
            buf.reserve(READ_BLOCK);
        }
        match poll_read_buf(Pin::new(from), cx, &mut *buf) {
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(buf.split().freeze())),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Lends the scratch list that a head is parsed into.
    pub(crate) fn take_fields(&self) -> Vec<Field> {
        self.fields.take()
    }

    /// Takes the scratch list back.
    pub(crate) fn return_fields(&self, fields: Vec<Field>) {
        self.fields.replace(fields);
    }

    /// Whether production may take `n` more file descriptors.
    pub(crate) fn has_descriptors(&self, n: usize) -> bool {
        self.descriptors.get() + n <= self.descriptor_limit
    }

    /// Whether a lane may open a connection: a quarter of the descriptors is left to production, and all of them while the
    /// system has too few.
    pub(crate) fn may_open_for_copies(&self) -> bool {
        self.descriptors.get() < self.descriptor_limit - self.descriptor_limit / 4
            && self.strained.get().is_none_or(|until| until <= Instant::now())
    }

    /// The system refused production a descriptor.
    pub(crate) fn strain(&self) {
        self.strained.set(Some(Instant::now() + STRAIN));
    }

    /// Counts `n` file descriptors as in use.
    pub(crate) fn add_descriptors(&self, n: usize) {
        self.descriptors.set(self.descriptors.get() + n);
    }

    /// Counts `n` file descriptors as free again.
    pub(crate) fn return_descriptors(&self, n: usize) {
        self.descriptors.set(self.descriptors.get() - n);
        self.closed.notify_waiters();
    }

    /// Waits until a connection has closed.
    pub(crate) async fn connection_closed(&self) {
        self.closed.notified().await;
    }

    /// Counts bytes as held for copies, unless the bound over all mirrors would be passed.
    pub(crate) fn hold(&self, bytes: usize) -> bool {
        let fits = self.held.get() + bytes <= self.held_limit.get();
        if fits {
            self.held.set(self.held.get() + bytes);
            self.stats.held_bytes.set(self.held.get() as i64);
        }
        fits
    }

    /// Counts bytes as no longer held.
    pub(crate) fn release(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
        self.stats.held_bytes.set(self.held.get() as i64);
    }

    /// The connections to an upstream whose connections are shared.
    pub(crate) fn shared_link(&self, target: &Rc<UpstreamTarget>) -> Rc<Link> {
        let mut shared = self.shared.borrow_mut();
        if let Some(link) = shared.iter().find(|link| Rc::ptr_eq(link.target(), target)) {
            return link.clone();
        }
        // An upstream that only its link knows belongs to a configuration of the past.
        shared.retain(|link| Rc::strong_count(link.target()) > 1);
        let link = Link::new(target.clone());
        shared.push(link.clone());
        link
    }

    /// Enters a client connection's task among those that a drain wakes.
    pub(crate) fn register(&self, waker: Waker) -> usize {
        self.stats.connections.add(1);
        self.connections.borrow_mut().insert(waker)
    }

    /// Removes a client connection's task.
    pub(crate) fn deregister(&self, key: usize) {
        self.stats.connections.add(-1);
        self.connections.borrow_mut().remove(key);
        self.closed.notify_waiters();
    }

    /// Client connections open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    fn drain(&self) {
        self.draining.set(true);
        for (_, waker) in &*self.connections.borrow() {
            waker.wake_by_ref();
        }
    }

    async fn drained(&self) {
        while self.connections() > 0 {
            self.closed.notified().await;
        }
    }
}

/// Bytes held for a copy; released when dropped.
pub(crate) struct Held {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Held {
    /// None when the bound over all mirrors would be passed.
    pub(crate) fn take(worker: &Rc<Worker>, bytes: usize) -> Option<Self> {
        worker.hold(bytes).then(|| Self {
            worker: worker.clone(),
            bytes,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.release(self.bytes);
    }
}

/// A worker that is bound but does not run yet.
pub(crate) struct Unstarted {
    pub(crate) id: usize,
    pub(crate) plan: Arc<Plan>,
    /// The listeners, in the order of the plan.
    pub(crate) listeners: Vec<ListenerId>,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
}

impl Unstarted {
    /// Serves until told to end. Runs where tasks can be spawned that stay on the current thread.
    pub(crate) async fn run(mut self) {
        let worker = Rc::new(Worker::new(&self.plan, self.id));
        let mut entrances = Entrances::default();
        entrances.open(&worker, std::mem::take(&mut self.sockets), &self.plan, &self.listeners);
        let drain = loop {
            match self.commands.recv().await {
                Some(Command::Apply(update)) => {
                    worker.apply(&update.plan, self.id);
                    entrances.open(&worker, update.sockets, &update.plan, &update.listeners);
                    entrances.close_others(&update.listeners, &update.closed);
                    self.plan = update.plan;
                    drop(update.applied);
                }
                Some(Command::Shed(mirror, _done)) => worker.shed(mirror.as_deref()),
                Some(Command::Drain) => break true,
                Some(Command::Abort) | None => break false,
            }
        };
        // Listeners take what the kernel has already accepted for them before they close.
        let closing = entrances.close();
        if drain {
            for task in closing {
                let _ = task.await;
            }
            worker.drain();
            let production = tokio::time::timeout(self.plan.config.drain_timeout, worker.drained());
            tokio::select! {
                _ = production => {}
                () = aborted(&worker, &mut self.commands) => return worker.snapshot().shut_lanes(),
            }
            let snapshot = worker.snapshot();
            tokio::select! {
                _ = tokio::time::timeout(COPIES_GRACE, snapshot.copies_ended()) => {}
                () = aborted(&worker, &mut self.commands) => {}
            }
        }
        worker.snapshot().shut_lanes();
    }
}

/// Waits until a worker that drains is to end at once. It does not work by another configuration any more.
async fn aborted(worker: &Worker, commands: &mut mpsc::UnboundedReceiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Shed(mirror, _done)) => worker.shed(mirror.as_deref()),
            Some(Command::Apply(_) | Command::Drain) => {}
            Some(Command::Abort) | None => return,
        }
    }
}

/// The address of a client, as the listener learnt it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Where the client connected from; what the PROXY protocol said if it was spoken.
    pub(crate) client: SocketAddr,
    /// The address the client connected to.
    pub(crate) local: SocketAddr,
}
