//! A server that collects the requests it receives: a mirror, or an application that has nothing to say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::end::PATIENCE;
use super::message::{Read, Request, read_request};

/// A copy as the mirror received it.
#[derive(Debug, Clone)]
pub enum Copy {
    /// A whole request.
    Whole(Request),
    /// The connection ended within it.
    Cut(Request),
    /// No request.
    Malformed(Vec<u8>),
}

/// A healthy HTTP/1 server on a port of its own; answers every request with 200 and nothing.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    copies: watch::Sender<Vec<Copy>>,
    bytes: Mutex<Vec<u8>>,
    arrived: watch::Sender<usize>,
    connections: AtomicUsize,
}

impl Collector {
    /// Starts it.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let all = seen.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                all.connections.fetch_add(1, Relaxed);
                tokio::spawn(collect(stream, all.clone()));
            }
        });
        Ok(Self {
            address,
            seen,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Relaxed)
    }

    /// Every byte received so far, connection by connection only if there is one at a time.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.bytes.lock().expect("nobody panics while holding it").clone()
    }

    /// Waits until so many bytes were received, or until they do not come in time.
    pub async fn until_bytes(&self, count: usize) {
        let mut arrived = self.seen.arrived.subscribe();
        let _ = timeout(PATIENCE, arrived.wait_for(|arrived| *arrived >= count)).await;
    }

    /// Every copy so far, in the order in which they ended.
    pub fn copies(&self) -> Vec<Copy> {
        self.seen.copies.borrow().clone()
    }

    /// The whole ones.
    pub fn whole(&self) -> Vec<Request> {
        let copies = self.seen.copies.borrow();
        let whole = copies.iter().filter_map(|copy| match copy {
            Copy::Whole(request) => Some(request.clone()),
            _ => None,
        });
        whole.collect()
    }

    /// Waits until the copies satisfy a condition, and returns them. Whatever there is, if they do not in time.
    pub async fn until(&self, mut condition: impl FnMut(&[Copy]) -> bool) -> Vec<Copy> {
        let mut copies = self.seen.copies.subscribe();
        let _ = timeout(PATIENCE, copies.wait_for(|copies| condition(copies))).await;
        self.copies()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn collect(mut stream: TcpStream, all: Arc<Seen>) {
    let mut bytes = Vec::new();
    // Bytes without which there is no point in looking again.
    let mut needed = 1;
    let last = loop {
        if bytes.len() >= needed {
            match read_request(&bytes) {
                Read::Whole(request, len) => {
                    bytes.drain(..len);
                    needed = 1;
                    all.copies.send_modify(|copies| copies.push(Copy::Whole(*request)));
                    if stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await
                        .is_err()
                    {
                        return;
                    }
                    continue;
                }
                Read::Head(_, at_least) => needed = at_least,
                Read::Part => needed = bytes.len() + 1,
                Read::Malformed => break Some(Copy::Malformed(bytes)),
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => {
                break match read_request(&bytes) {
                    Read::Head(request, _) => Some(Copy::Cut(*request)),
                    _ if bytes.is_empty() => None,
                    _ => Some(Copy::Malformed(bytes)),
                };
            }
            Ok(n) => {
                let new = &bytes[bytes.len() - n..];
                all.bytes
                    .lock()
                    .expect("nobody panics while holding it")
                    .extend_from_slice(new);
                all.arrived.send_modify(|arrived| *arrived += n);
            }
        }
    };
    if let Some(last) = last {
        all.copies.send_modify(|copies| copies.push(last));
    }
}
