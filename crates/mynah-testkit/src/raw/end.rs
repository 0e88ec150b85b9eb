//! One end of a connection: what it has sent, received and seen.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take that is due.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How the other side's direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Orderly.
    Fin,
    /// By a reset.
    Reset,
}

/// One end of a TCP connection, driven from one task together with the other end.
#[derive(Debug)]
pub struct End {
    stream: TcpStream,
    received: Vec<u8>,
    ended: Option<Ended>,
    outgoing: Vec<u8>,
    sent: usize,
    fin_due: bool,
    reads: bool,
}

impl End {
    /// The end that has this stream.
    pub fn new(stream: TcpStream) -> Self {
        // Bytes sent one by one travel one by one; without this some tests prove less, none more.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            received: Vec::new(),
            ended: None,
            outgoing: Vec::new(),
            sent: 0,
            fin_due: false,
            reads: true,
        }
    }

    /// A client's end.
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect(address).await.map(Self::new)
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    /// Every byte received.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// How the other side's direction ended, if it did.
    pub fn how_it_ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Queues bytes; they are written by [`poll`](Self::poll).
    pub fn send(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Whether everything queued was handed to the system.
    pub fn is_flushed(&self) -> bool {
        self.sent == self.outgoing.len() && !self.fin_due
    }

    /// Queues the end of this direction.
    pub fn fin(&mut self) {
        self.fin_due = true;
    }

    /// Stops or resumes reading.
    pub fn set_reading(&mut self, reads: bool) {
        self.reads = reads;
    }

    /// Resets the connection.
    pub fn reset(self) {
        // Closing with a linger time of zero is how TCP is asked for a reset.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Reads and writes what can be; ready if anything changed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.poll_write(cx);
        let read = self.poll_read(cx);
        if written || read {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut changed = false;
        while self.sent < self.outgoing.len() {
            if self.stream.poll_write_ready(cx).is_pending() {
                return changed;
            }
            match self.stream.try_write(&self.outgoing[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                // The other side is gone; how, reading tells.
                Err(_) => self.sent = self.outgoing.len(),
            }
            changed = true;
        }
        if self.fin_due {
            self.fin_due = false;
            let _ = SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write);
            changed = true;
        }
        changed
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut changed = false;
        let mut buffer = [0; 16 * 1024];
        while self.reads && self.ended.is_none() && self.stream.poll_read_ready(cx).is_ready() {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => self.ended = Some(Ended::Fin),
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => self.ended = Some(Ended::Reset),
            }
            changed = true;
        }
        changed
    }

    /// Waits, for this end alone, until what it has received satisfies a condition. Whether it did in time.
    pub async fn until(&mut self, mut condition: impl FnMut(&Self) -> bool) -> bool {
        let wait = async {
            while !condition(self) {
                std::future::poll_fn(|cx| self.poll(cx)).await;
            }
        };
        timeout(PATIENCE, wait).await.is_ok()
    }

    /// Sends, and waits until all of it was handed to the system. Whether it was in time.
    pub async fn send_all(&mut self, bytes: &[u8]) -> bool {
        self.send(bytes);
        self.until(|end| end.is_flushed() || end.ended == Some(Ended::Reset))
            .await
    }

    /// Waits until the bytes received end with these. Whether they did in time.
    pub async fn until_ends_with(&mut self, tail: &[u8]) -> bool {
        self.until(|end| end.received.ends_with(tail)).await
    }

    /// Waits until the other side's direction has ended, and says how; none if it did not in time.
    pub async fn until_ended(&mut self) -> Option<Ended> {
        self.until(|end| end.ended.is_some()).await;
        self.ended
    }
}
