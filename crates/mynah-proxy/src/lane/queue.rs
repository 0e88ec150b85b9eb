//! The body of one copy between the production path, which never waits, and the lane, which may be slow.
//!
//! The production path pushes slices that it shares with the upstream; the lane takes them as its mirror accepts them.
//! What waits is bounded by the copy's window and by the bound over all mirrors; past either the copy is cut, and the
//! production path hears of it only by a return value.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use mynah_core::ShedReason;

use crate::worker::Worker;

/// A part of a copy's body.
#[derive(Debug)]
pub(crate) enum Item {
    /// Bytes: as they came on the wire, or decoded, as the queue was made for.
    Data(Bytes),
    /// Trailers, decoded; the last item.
    Trailers(Box<HeaderMap>),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Data(bytes) => bytes.len(),
            Self::Trailers(map) => map.iter().map(|(n, v)| n.as_str().len() + v.len()).sum(),
        }
    }
}

/// What the lane gets from a queue.
#[derive(Debug)]
pub(crate) enum Next {
    /// The next part.
    Item(Item),
    /// The body is complete.
    Ended,
    /// The copy was given up.
    Cut(ShedReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    Ended,
    Cut(ShedReason),
    /// The lane needs no more.
    Closed,
}

/// The queue; one end in a tee, one in a lane.
pub(crate) struct BodyQueue {
    worker: Rc<Worker>,
    window: usize,
    inner: RefCell<Inner>,
}

struct Inner {
    items: VecDeque<Item>,
    /// Bytes pushed and not yet written to the mirror.
    waiting: usize,
    flow: Flow,
    waker: Option<Waker>,
}

impl BodyQueue {
    pub(crate) fn new(worker: Rc<Worker>, window: usize) -> Rc<Self> {
        let inner = Inner {
            items: VecDeque::new(),
            waiting: 0,
            flow: Flow::Open,
            waker: None,
        };
        Rc::new(Self {
            worker,
            window,
            inner: RefCell::new(inner),
        })
    }

    /// Hands a part over, or cuts the copy if it does not fit. Whether more is wanted.
    pub(crate) fn push(&self, item: Item) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.flow != Flow::Open {
            return false;
        }
        let len = item.len();
        if inner.waiting + len > self.window {
            inner.cut(ShedReason::Window, &self.worker);
            return false;
        }
        if !self.worker.hold(len) {
            inner.cut(ShedReason::HeldBytes, &self.worker);
            return false;
        }
        inner.waiting += len;
        inner.items.push_back(item);
        inner.wake();
        true
    }

    /// Whether half of the window is in use.
    pub(crate) fn lags(&self) -> bool {
        self.inner.borrow().waiting > self.window / 2
    }

    /// The original's body ended.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.borrow_mut();
        if inner.flow == Flow::Open {
            inner.flow = Flow::Ended;
            inner.wake();
        }
    }

    /// Gives the copy up.
    pub(crate) fn cut(&self, reason: ShedReason) {
        let mut inner = self.inner.borrow_mut();
        if inner.flow == Flow::Open {
            inner.cut(reason, &self.worker);
        }
    }

    /// The next part, for the lane.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut inner = self.inner.borrow_mut();
        if let Some(item) = inner.items.pop_front() {
            return Poll::Ready(Next::Item(item));
        }
        match inner.flow {
            Flow::Ended | Flow::Closed => Poll::Ready(Next::Ended),
            Flow::Cut(reason) => Poll::Ready(Next::Cut(reason)),
            Flow::Open => {
                inner.watch(cx);
                Poll::Pending
            }
        }
    }

    /// Wakes the lane's task when something changes, though it takes nothing now.
    pub(crate) fn watch(&self, cx: &mut Context<'_>) {
        self.inner.borrow_mut().watch(cx);
    }

    /// Whether the copy was given up, even if parts of it still wait.
    pub(crate) fn is_cut(&self) -> Option<ShedReason> {
        match self.inner.borrow().flow {
            Flow::Cut(reason) => Some(reason),
            _ => None,
        }
    }

    /// Parts taken from the queue have been written, or dropped.
    pub(crate) fn written(&self, bytes: usize) {
        let mut inner = self.inner.borrow_mut();
        let bytes = bytes.min(inner.waiting);
        inner.waiting -= bytes;
        self.worker.release(bytes);
    }

    /// The lane needs no more of it.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        if inner.flow == Flow::Open {
            inner.flow = Flow::Closed;
        }
        inner.clear(&self.worker);
    }
}

impl Inner {
    fn watch(&mut self, cx: &mut Context<'_>) {
        if !self.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn cut(&mut self, reason: ShedReason, worker: &Worker) {
        self.flow = Flow::Cut(reason);
        self.clear(worker);
        self.wake();
    }

    fn clear(&mut self, worker: &Worker) {
        self.items = VecDeque::new();
        worker.release(std::mem::take(&mut self.waiting));
    }
}

impl Drop for BodyQueue {
    fn drop(&mut self) {
        self.inner.get_mut().clear(&self.worker);
    }
}
