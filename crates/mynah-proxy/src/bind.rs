//! Binding addresses: one socket for each worker and listener, all of a listener on the same port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use mynah_config::model::Config;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4096;

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    source: io::Error,
}

/// A listener's sockets, one for each worker.
pub(crate) struct Sockets {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<TcpListener>,
}

/// Binds every listener for every worker.
pub(crate) fn listeners(config: &Config) -> Result<Vec<Sockets>, BindError> {
    config
        .listeners
        .iter()
        .map(|listener| bind_all(listener.address, config.workers))
        .collect()
}

fn bind_all(wanted: SocketAddr, workers: usize) -> Result<Sockets, BindError> {
    let at = |address| move |source| BindError { address, source };
    if wanted.port() != 0 {
        // A shared port would silently take half of another process's clients.
        bind(wanted, false).map_err(at(wanted))?;
    }
    let first = bind(wanted, true).map_err(at(wanted))?;
    // Port 0 became a port: the other workers share it.
    let address = first.local_addr().map_err(at(wanted))?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(address, true).map_err(at(address))?);
    }
    Ok(Sockets { address, sockets })
}

/// Binds the admin address.
pub(crate) fn admin(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind(address, false).map_err(|source| BindError { address, source })
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
