//! A client's connection: from accept to the protocol that it turns out to speak.

mod decoded;
pub(crate) mod http1;
mod http2;
pub(crate) mod wire;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use mynah_config::model::Alpn;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::listener::Descriptors;
use crate::plan::ListenerPlan;
use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::worker::{Peer, Worker};
use crate::{proxy_protocol, tls};

/// Serves one accepted connection to its end.
pub(crate) fn serve(
    worker: Rc<Worker>,
    tcp: TcpStream,
    address: SocketAddr,
    plan: Arc<ListenerPlan>,
    descriptors: Descriptors,
) -> impl Future<Output = ()> {
    // What is needed only once is in a box of its own, so that an idle connection does not keep room for it.
    let arriving = Box::pin(arrive(worker.clone(), tcp, address, plan));
    serve_arrived(worker, arriving, descriptors)
}

async fn serve_arrived(
    worker: Rc<Worker>,
    arriving: Pin<Box<impl Future<Output = Option<(Stream, Peer)>>>>,
    descriptors: Descriptors,
) {
    let _open = Open::enter(&worker).await;
    if let Some((stream, peer)) = arriving.await {
        if stream.alpn() == Some(Alpn::H2) {
            Box::pin(http2::serve(worker, stream, peer, Bytes::new())).await;
        } else {
            match http1::serve(worker.clone(), stream, peer).await {
                http1::End::Closed => {}
                http1::End::Http2(stream, read) => Box::pin(http2::serve(worker, stream, peer, read)).await,
                http1::End::Translate(stream, read) => Box::pin(decoded::serve(worker, stream, peer, read)).await,
            }
        }
    }
    drop(descriptors);
}

/// What comes before HTTP: the PROXY protocol and TLS.
async fn arrive(
    worker: Rc<Worker>,
    mut tcp: TcpStream,
    address: SocketAddr,
    plan: Arc<ListenerPlan>,
) -> Option<(Stream, Peer)> {
    let mut peer = Peer {
        client: address,
        local: tcp.local_addr().ok()?,
    };
    if plan.proxy_protocol {
        match timeout(plan.head_timeout, proxy_protocol::read(&mut tcp)).await {
            Ok(Ok(header)) => {
                peer.client = header.source.unwrap_or(peer.client);
                peer.local = header.destination.unwrap_or(peer.local);
            }
            Ok(Err(_)) | Err(_) => {
                worker.stats.error(ProductionError::ProxyProtocol);
                return None;
            }
        }
    }
    let stream = match &plan.tls {
        None => Stream::Tcp(tcp),
        Some(config) => match Box::pin(tls::accept(config.clone(), tcp, plan.head_timeout)).await {
            Ok(stream) => stream,
            Err(_) => {
                worker.stats.error(ProductionError::ClientTls);
                return None;
            }
        },
    };
    Some((stream, peer))
}

/// A client connection among those that a drain wakes; a panic in its task is counted when this is dropped.
struct Open {
    worker: Rc<Worker>,
    key: usize,
}

impl Open {
    async fn enter(worker: &Rc<Worker>) -> Self {
        let key = poll_fn(|cx| Poll::Ready(worker.register(cx.waker().clone()))).await;
        Self {
            worker: worker.clone(),
            key,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.worker.stats.error(ProductionError::Panic);
        }
        self.worker.deregister(self.key);
    }
}

/// How long a connection that Mynah closes is read on, so that the client sees the response and not a reset.
const LINGER: Duration = Duration::from_secs(2);

/// Ends a connection for sending, and reads it on for a while.
async fn linger(worker: &Worker, mut stream: Stream) {
    let reading = async {
        let _ = stream.shutdown().await;
        while let Ok(bytes) = poll_fn(|cx| worker.poll_read(cx, &mut stream)).await {
            if bytes.is_empty() {
                return;
            }
        }
    };
    let _ = timeout(LINGER, reading).await;
}

/// A response in Mynah's own words, after which the connection is closed.
pub(crate) fn error_response(status: u16) -> Bytes {
    Bytes::from_static(match status {
        400 => b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        408 => b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        413 => b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        414 => b"HTTP/1.1 414 URI Too Long\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        431 => b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        501 => b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        502 => b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        504 => b"HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        505 => b"HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        _ => b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<A, B, C, D, E, F>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    /// Thousands of idle connections are this future each, and two sockets.
    #[test]
    fn an_idle_connection_is_small() {
        let (task, relay) = (future_size(serve), http1::RELAY);
        assert!(task <= 448 && relay <= 640, "{task} and {relay} bytes");
    }
}
