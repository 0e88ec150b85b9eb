//! Clients: what they ask, when, and how long the answer took.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::server::field;
use super::{Load, write_some};

/// Bytes of a large upload or download.
pub(crate) const TRANSFER: u64 = 64 * 1024 * 1024;
/// A small request: what a service asks another, with its usual fields.
const SMALL: &[u8] = b"GET /api/v1/items/10442?fields=name,tags HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: shop-frontend/2.14 (linux)\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMDQ0MiJ9.3q2-7wAAAAB9Jf0dY5n3m1vXw0pQk5sR\r\n\
    X-Request-Id: 3c2f1c9e-9a57-4e0f-8d3f-0b9b2b1f7a51\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
    \r\n";
static BLOCK: [u8; 256 * 1024] = [b'u'; 256 * 1024];

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A few hundred bytes, answered by as many.
    Small,
    /// [`TRANSFER`] bytes, answered by a few.
    Upload,
    /// A few bytes, answered by [`TRANSFER`].
    Download,
}

impl Ask {
    fn head(self) -> Vec<u8> {
        match self {
            Self::Small => SMALL.to_vec(),
            Self::Upload => {
                format!("POST /upload HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: {TRANSFER}\r\n\r\n").into()
            }
            Self::Download => b"GET /download HTTP/1.1\r\nHost: shop.example.com\r\n\r\n".to_vec(),
        }
    }
}

/// All clients together.
pub(super) struct Clients {
    pub(super) proxy: SocketAddr,
    pub(super) ask: Ask,
    load: Load,
    /// Connections that wait.
    pub(super) idle: Vec<usize>,
    /// Requests that are due and wait for a connection.
    pub(super) due: VecDeque<Instant>,
    began: Instant,
    /// Requests that were due so far.
    counted: u64,
    pub(super) answered: u64,
    pub(super) errors: u64,
    pub(super) latencies: Vec<u32>,
}

impl Default for Clients {
    fn default() -> Self {
        Self::new((Ipv4Addr::LOCALHOST, 0).into(), Ask::Small, Load::Elsewhere)
    }
}

impl Clients {
    pub(super) fn new(proxy: SocketAddr, ask: Ask, load: Load) -> Self {
        Self {
            proxy,
            ask,
            load,
            idle: Vec::new(),
            due: VecDeque::new(),
            began: Instant::now(),
            counted: 0,
            answered: 0,
            errors: 0,
            latencies: Vec::with_capacity(1 << 20),
        }
    }

    pub(super) fn count(&self) -> usize {
        match self.load {
            Load::Closed(clients) | Load::Open(_, clients) => clients,
            Load::Elsewhere => 0,
        }
    }

    /// What was seen so far was the warm-up.
    pub(super) fn forget(&mut self) {
        self.answered = 0;
        self.errors = 0;
        self.latencies.clear();
    }

    fn at(&self, request: u64, rate: u32) -> Instant {
        self.began + Duration::from_nanos(request * 1_000_000_000 / u64::from(rate))
    }

    /// When the next request is due, if that is known.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.load {
            Load::Open(rate, clients) if clients > 0 => Some(self.at(self.counted, rate)),
            _ => None,
        }
    }

    /// Counts what has become due.
    pub(super) fn count_due(&mut self, now: Instant) {
        if let Load::Open(rate, clients) = self.load
            && clients > 0
        {
            while self.at(self.counted, rate) <= now {
                self.due.push_back(self.at(self.counted, rate));
                self.counted += 1;
            }
        }
    }

    /// A connection and the time at which its request was due, if there are both.
    pub(super) fn next(&mut self) -> Option<(usize, Instant)> {
        if let Load::Closed(_) = self.load {
            return Some((self.idle.pop()?, Instant::now()));
        }
        if self.idle.is_empty() {
            return None;
        }
        let due = self.due.pop_front()?;
        self.idle.pop().map(|index| (index, due))
    }
}

/// One connection.
#[derive(Default)]
pub(super) struct Client {
    due: Option<Instant>,
    /// Of the request.
    waiting: Vec<u8>,
    upload_left: u64,
    head: Vec<u8>,
    body_left: Option<u64>,
}

impl Client {
    pub(super) fn is_busy(&self) -> bool {
        self.due.is_some()
    }

    pub(super) fn begin(&mut self, to: &TcpStream, ask: Ask, due: Instant) -> io::Result<()> {
        self.due = Some(due);
        if ask == Ask::Small {
            let n = write_some(to, SMALL)?;
            self.waiting.extend_from_slice(&SMALL[n..]);
            return Ok(());
        }
        self.waiting = ask.head();
        self.upload_left = if ask == Ask::Upload { TRANSFER } else { 0 };
        self.write(to)
    }

    /// Goes on with the request.
    pub(super) fn write(&mut self, to: &TcpStream) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let n = write_some(to, &self.waiting)?;
            self.waiting.drain(..n);
        }
        while self.waiting.is_empty() && self.upload_left > 0 {
            let n = write_some(to, &BLOCK[..BLOCK.len().min(self.upload_left as usize)])?;
            if n == 0 {
                break;
            }
            self.upload_left -= n as u64;
        }
        Ok(())
    }

    /// How long the answer took, if it ends within these bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> io::Result<Option<Duration>> {
        let left = match self.body_left {
            Some(left) => left,
            None => {
                let whole;
                let head = if self.head.is_empty() {
                    bytes
                } else {
                    self.head.extend_from_slice(bytes);
                    whole = std::mem::take(&mut self.head);
                    &whole
                };
                let Some(end) = memmem::find(head, b"\r\n\r\n") else {
                    self.head = head.to_vec();
                    return Ok(None);
                };
                let length = field(&head[..end], b"content-length:").and_then(|n| n.parse().ok());
                let (true, Some(length)) = (head.starts_with(b"HTTP/1.1 200"), length) else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                bytes = &bytes[bytes.len() - (head.len() - end - 4)..];
                length
            }
        };
        let left: u64 = left - left.min(bytes.len() as u64);
        if left > 0 {
            self.body_left = Some(left);
            return Ok(None);
        }
        self.body_left = None;
        Ok(self.due.take().map(|due| due.elapsed()))
    }
}
