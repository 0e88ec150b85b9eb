//! Knowing that a task will be woken, so that it is not arranged for again.
//!
//! A relay looks at both of its sockets whenever one of them has something, and asking a socket to wake the task costs more
//! than anything else about a socket that has nothing. Asked once, it still will: until then, the look is one load.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::Interest;
use tokio::task::coop::has_budget_remaining;

use crate::stream::Stream;
use crate::worker::Worker;

/// Whether one stream is known to wake the task that reads it. Belongs to that stream and that task: a new one of either
/// gets a new alarm.
#[derive(Debug, Default)]
pub(crate) struct Alarm(bool);

impl Alarm {
    /// Reads once into the worker's buffer; empty at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        worker: &Worker,
        cx: &mut Context<'_>,
        from: &mut Stream,
    ) -> Poll<io::Result<Bytes>> {
        if self.0
            && let Stream::Tcp(tcp) = from
            && tcp.try_io(Interest::READABLE, || Ok(())).is_err()
        {
            // Nothing came since: the waker is still where it was put.
            return Poll::Pending;
        }
        // A task that has done enough for now is sent to the end of the queue, and not woken by the socket.
        let asks = has_budget_remaining();
        let read = worker.poll_read(cx, from);
        self.0 = asks && read.is_pending();
        read
    }
}
