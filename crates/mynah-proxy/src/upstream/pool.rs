//! HTTP/1 connections to an upstream that wait for the next request of any client, where they are shared.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::links::Descriptor;
use crate::stream::Stream;
use crate::worker::Worker;

/// How long a connection waits at most; most applications close theirs later.
const IDLE: Duration = Duration::from_secs(60);

/// Connections that wait, the one used last at the end.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<VecDeque<Waiting>>,
}

struct Waiting {
    since: Instant,
    stream: Stream,
    _descriptor: Descriptor,
}

impl Waiting {
    /// Whether it is still open and has nothing to say.
    fn is_quiet(&mut self, worker: &Worker) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        worker.poll_read(&mut cx, &mut self.stream).is_pending()
    }
}

impl Pool {
    /// A connection that is open as far as one can know.
    pub(crate) fn take(&self, worker: &Worker) -> Option<Stream> {
        loop {
            let mut waiting = self.idle.borrow_mut().pop_back()?;
            if waiting.is_quiet(worker) {
                return Some(waiting.stream);
            }
        }
    }

    /// Keeps a connection whose exchanges have ended.
    pub(crate) fn put(&self, worker: &Rc<Worker>, stream: Stream) {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        while idle
            .front_mut()
            .is_some_and(|oldest| oldest.since + IDLE < now || !oldest.is_quiet(worker))
        {
            idle.pop_front();
        }
        idle.push_back(Waiting {
            since: now,
            stream,
            _descriptor: Descriptor::take(worker),
        });
    }
}
