//! Connections to upstreams and mirrors: pick an address, connect, say who the client is, speak TLS.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use mynah_config::model::Protocol;
use mynah_core::FailReason;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::plan::{MirrorPlan, Peering, UpstreamPlan};
use crate::proxy_protocol;
use crate::snapshot::UpstreamTarget;
use crate::source;
use crate::stats::ProductionError;
use crate::stream::Stream;
use crate::tls;
use crate::worker::{Peer, Worker};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("name does not resolve")]
    Resolve,
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("not connected in time")]
    Timeout,
    #[error("TLS failed: {0}")]
    Tls(io::Error),
}

impl From<ConnectError> for ProductionError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Resolve => Self::Resolve,
            ConnectError::Connect(_) => Self::Connect,
            ConnectError::Timeout => Self::ConnectTimeout,
            ConnectError::Tls(_) => Self::UpstreamTls,
        }
    }
}

impl From<ConnectError> for FailReason {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Resolve => Self::Resolve,
            ConnectError::Connect(_) => Self::Connect,
            ConnectError::Timeout => Self::ConnectTimeout,
            ConnectError::Tls(_) => Self::Tls,
        }
    }
}

/// How long a connection for which there is no file descriptor waits for one before it tries again.
const REST: Duration = Duration::from_millis(100);

/// Connects to an upstream as [`connect_upstream`] does. While the system has no file descriptor for that, copies give
/// theirs away, and it is tried again for as long as a connection may take.
pub(crate) async fn connect_upstream_first(
    worker: Rc<Worker>,
    target: Rc<UpstreamTarget>,
    peer: Peer,
    http2: bool,
) -> Result<Stream, ConnectError> {
    let until = Instant::now() + target.plan.upstream.connect_timeout;
    loop {
        match connect_upstream(target.clone(), peer, http2).await {
            Err(ConnectError::Connect(error)) if lacks_descriptors(&error) && Instant::now() < until => {
                worker.strain();
                worker.snapshot().free_descriptors(1);
                let _ = timeout(REST, worker.connection_closed()).await;
            }
            result => return result,
        }
    }
}

fn lacks_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// Connects to an upstream on behalf of a client that speaks HTTP/2 or, if false, HTTP/1. Every address is tried once.
async fn connect_upstream(target: Rc<UpstreamTarget>, peer: Peer, http2: bool) -> Result<Stream, ConnectError> {
    let plan = &target.plan;
    let result = match timeout(plan.upstream.connect_timeout, connect_upstream_now(plan, peer, http2)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout),
    };
    if let Err(error) = &result {
        let url = &plan.upstream.url;
        tracing::warn!(upstream = %format_args!("{}:{}", url.host, url.port), %error, "upstream not reached");
    }
    result
}

async fn connect_upstream_now(plan: &UpstreamPlan, peer: Peer, http2: bool) -> Result<Stream, ConnectError> {
    let peering = &plan.peering;
    peering.addresses.settled().await;
    // A random start is not needed: whoever balances does so in front of Mynah.
    let mut cursor = 0;
    let mut last = ConnectError::Resolve;
    for _ in 0..peering.addresses.len() {
        let Some(address) = peering.addresses.pick(&mut cursor) else {
            break;
        };
        let connected = if plan.upstream.preserve_source {
            source::connect_from(peer.client, peer.local, address).await
        } else {
            TcpStream::connect(address).await
        };
        match connected {
            Ok(mut tcp) => {
                let _ = tcp.set_nodelay(true);
                if let Some(version) = plan.upstream.proxy_protocol {
                    let mut header = Vec::new();
                    proxy_protocol::write(version, peer.client, peer.local, &mut header);
                    tcp.write_all(&header).await.map_err(ConnectError::Connect)?;
                }
                return peering.secure(tcp, speaks_http2(plan.upstream.protocol, http2)).await;
            }
            Err(error) => last = ConnectError::Connect(error),
        }
    }
    peering.addresses.suspect();
    Err(last)
}

/// Connects to a mirror's next address, or one of the others if that fails, to speak HTTP/2 or, if false, HTTP/1.
pub(crate) async fn connect_mirror(
    plan: &MirrorPlan,
    cursor: &Cell<usize>,
    http2: bool,
) -> Result<Stream, ConnectError> {
    let connecting = async {
        let mut next = cursor.get();
        let mut last = ConnectError::Resolve;
        for _ in 0..plan.peering.addresses.len() {
            let Some(address) = plan.peering.addresses.pick(&mut next) else {
                break;
            };
            cursor.set(next);
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    let _ = tcp.set_nodelay(true);
                    return plan.peering.secure(tcp, http2).await;
                }
                Err(error) => last = ConnectError::Connect(error),
            }
        }
        Err(last)
    };
    let result = match timeout(plan.mirror.connect_timeout, connecting).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout),
    };
    if result.is_err() {
        plan.peering.addresses.suspect();
    }
    result
}

impl Peering {
    async fn secure(&self, tcp: TcpStream, http2: bool) -> Result<Stream, ConnectError> {
        let Some(security) = &self.tls else {
            return Ok(Stream::Tcp(tcp));
        };
        let config = if http2 { &security.http2 } else { &security.http1 };
        tls::connect(config, &security.host, tcp)
            .await
            .map_err(ConnectError::Tls)
    }
}

/// Whether an upstream or mirror is spoken to in HTTP/2.
pub(crate) fn speaks_http2(protocol: Protocol, client_http2: bool) -> bool {
    match protocol {
        Protocol::Same => client_http2,
        Protocol::Http1 => false,
        Protocol::Http2 => true,
    }
}
