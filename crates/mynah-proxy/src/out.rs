//! Bytes on their way out: what a socket has not taken yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Slices written at once.
const SLICES: usize = 16;

/// A queue of slices in the order in which they are to be written. Holds no memory when empty, and none of its own for
/// a single slice, which is the common case.
#[derive(Debug, Default)]
pub(crate) struct Out {
    front: Bytes,
    rest: VecDeque<Bytes>,
}

impl Out {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
        } else if self.front.is_empty() {
            self.front = bytes;
        } else {
            self.rest.push_back(bytes);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Everything that waits, in one piece.
    pub(crate) fn concat(&self) -> Box<[u8]> {
        let mut all = Vec::with_capacity(self.len());
        all.extend_from_slice(&self.front);
        self.rest.iter().for_each(|bytes| all.extend_from_slice(bytes));
        all.into()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes until nothing is left and all of it has reached the socket. Pending when the socket takes no more.
    pub(crate) fn poll_write_all<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let n = if self.rest.is_empty() {
                ready!(Pin::new(&mut *to).poll_write(cx, &self.front))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                slices[0] = IoSlice::new(&self.front);
                let mut used = 1;
                for (slot, bytes) in slices[1..].iter_mut().zip(&self.rest) {
                    *slot = IoSlice::new(bytes);
                    used += 1;
                }
                ready!(Pin::new(&mut *to).poll_write_vectored(cx, &slices[..used]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        // Under TLS what was taken may still wait inside; on plain TCP this is free.
        Pin::new(to).poll_flush(cx)
    }

    fn advance(&mut self, mut n: usize) {
        while n >= self.front.len() {
            n -= self.front.len();
            match self.rest.pop_front() {
                Some(next) => self.front = next,
                None => {
                    // The last slice is gone: keep no memory.
                    self.front = Bytes::new();
                    if self.rest.capacity() > 0 {
                        self.rest = VecDeque::new();
                    }
                    return;
                }
            }
        }
        self.front.advance(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Takes at most three bytes of the first slice that has any.
    struct Reluctant(Vec<u8>);

    impl AsyncWrite for Reluctant {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let n = buf.len().min(3);
            self.0.extend_from_slice(&buf[..n]);
            Poll::Ready(Ok(n))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn slices_leave_in_order_and_whole_through_a_reluctant_socket() {
        let mut out = Out::default();
        let mut expected = Vec::new();
        for i in 0..40u8 {
            let slice = vec![i; usize::from(i % 7)];
            expected.extend_from_slice(&slice);
            out.push(Bytes::from(slice));
        }
        let mut socket = Reluctant(Vec::new());
        let done = out.poll_write_all(&mut Context::from_waker(Waker::noop()), &mut socket);
        assert!(matches!(done, Poll::Ready(Ok(()))));
        assert_eq!(socket.0, expected);
        assert!(out.is_empty());
    }
}
