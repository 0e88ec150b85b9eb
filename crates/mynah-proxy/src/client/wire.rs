//! The bytes of a client's HTTP/2 connection, seen on their way.
//!
//! What `h2` refuses by itself it tells only to the client: it resets the stream. Mynah counts what is refused, so the
//! frames that leave are looked at, their heads alone.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::worker::Worker;

/// Type of a frame that resets a stream (RFC 9113 §6.4), which has a code of four bytes.
const RST_STREAM: u8 = 0x03;
/// Bytes of a frame's head (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;

/// A connection of which something has been read already, and whose outgoing frames are watched.
pub(crate) struct Wire {
    read: Bytes,
    /// None once dropped.
    stream: Option<Stream>,
    frames: Frames,
    watch: Rc<Watch>,
}

/// What is known of a connection besides what `h2` says.
pub(crate) struct Watch {
    worker: Rc<Worker>,
    /// Resets that pass on what an upstream said of its own stream.
    expected: Cell<u32>,
    left: RefCell<Option<Stream>>,
}

impl Watch {
    pub(crate) fn new(worker: Rc<Worker>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            expected: Cell::new(0),
            left: RefCell::default(),
        })
    }

    /// A stream is going to be reset, though nothing that came on it was malformed.
    pub(crate) fn expect(&self, reason: Reason) {
        if is_complaint(reason) {
            self.expected.set(self.expected.get() + 1);
        }
    }

    /// The connection, once `h2` has let go of it.
    pub(crate) fn take_left(&self) -> Option<Stream> {
        self.left.take()
    }

    fn reset(&self, reason: Reason) {
        if !is_complaint(reason) {
            return;
        }
        match self.expected.get() {
            0 => self.worker.stats.error(ProductionError::BadRequest),
            expected => self.expected.set(expected - 1),
        }
    }
}

/// Whether a reset says that what came was wrong.
fn is_complaint(reason: Reason) -> bool {
    matches!(reason, Reason::PROTOCOL_ERROR | Reason::FLOW_CONTROL_ERROR)
}

impl Wire {
    pub(crate) fn new(read: Bytes, stream: Stream, watch: Rc<Watch>) -> Self {
        Self {
            read,
            stream: Some(stream),
            frames: Frames::default(),
            watch,
        }
    }

    fn stream(&mut self) -> io::Result<&mut Stream> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.watch.left.replace(self.stream.take());
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(self.stream()?).poll_read(cx, buf);
        }
        let len = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(self.stream()?).poll_write(cx, buf))?;
        let this = &mut *self;
        this.frames.pass(&buf[..len], &this.watch);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(self.stream()?).poll_write_vectored(cx, bufs))?;
        let this = &mut *self;
        let mut rest = len;
        for buf in bufs {
            let part = rest.min(buf.len());
            this.frames.pass(&buf[..part], &this.watch);
            rest -= part;
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()?).poll_shutdown(cx)
    }
}

/// Where in a frame the outgoing bytes are.
#[derive(Default)]
struct Frames {
    /// Bytes of the current frame that are of no interest.
    skip: usize,
    /// Its head, and the code behind it if it resets a stream.
    head: [u8; FRAME_HEAD + 4],
    len: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8], watch: &Watch) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let is_reset = self.len >= FRAME_HEAD && self.head[3] == RST_STREAM;
            let whole = if is_reset { self.head.len() } else { FRAME_HEAD };
            let taken = (whole - self.len).min(bytes.len());
            self.head[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
            self.len += taken;
            bytes = &bytes[taken..];
            if self.len == FRAME_HEAD && self.head[3] != RST_STREAM {
                self.skip = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
                self.len = 0;
            } else if self.len == self.head.len() {
                let [.., a, b, c, d] = self.head;
                watch.reset(u32::from_be_bytes([a, b, c, d]).into());
                self.len = 0;
            }
        }
    }
}
