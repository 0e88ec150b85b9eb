//! Binding addresses: one socket for each worker and listener, all of a listener on the same port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use mynah_config::model::{AdminAddress, Config};
use socket2::{Domain, Protocol, Type};

use crate::admin::AdminListener;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4096;

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address.
    pub address: AdminAddress,
    source: io::Error,
}

/// Which listener, over all configurations of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenerId(u64);

/// One worker's socket of a listener.
pub(crate) struct Socket {
    pub(crate) id: ListenerId,
    pub(crate) listener: TcpListener,
}

/// The listeners of a configuration, bound.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listeners {
    bound: Vec<Place>,
    next_id: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    id: ListenerId,
    /// As configured; its port may be 0.
    wanted: SocketAddr,
    address: SocketAddr,
}

impl Listeners {
    /// Ids, in the order of the configuration.
    pub(crate) fn ids(&self) -> Vec<ListenerId> {
        self.bound.iter().map(|place| place.id).collect()
    }

    /// The addresses bound, in the order of the configuration.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.bound.iter().map(|place| place.address)
    }

    /// The addresses of those that are not among `others`.
    pub(crate) fn without(&self, others: &Self) -> impl Iterator<Item = SocketAddr> {
        let among = |place: &&Place| others.bound.iter().any(|other| other.id == place.id);
        self.bound
            .iter()
            .filter(move |place| !among(place))
            .map(|place| place.address)
    }

    /// The listeners of another configuration. Those at the same address stay; the others are bound, and each worker's
    /// sockets are returned. If one cannot be bound, nothing has changed.
    pub(crate) fn change(&self, config: &Config) -> Result<(Self, Vec<Vec<Socket>>), BindError> {
        let mut next = Self {
            bound: Vec::new(),
            next_id: self.next_id,
        };
        let mut sockets: Vec<Vec<Socket>> = (0..config.workers).map(|_| Vec::new()).collect();
        for listener in &config.listeners {
            let wanted = listener.address;
            let taken = |place: &Place| next.bound.iter().any(|other| other.id == place.id);
            let mut free = self.bound.iter().filter(|place| !taken(place));
            let same = free
                .clone()
                .find(|place| place.wanted == wanted)
                .or_else(|| free.find(|place| place.address == wanted));
            if let Some(place) = same {
                next.bound.push(*place);
                continue;
            }
            // A port of ours may be bound again, such as that of every address for one of them.
            let ours = self.bound.iter().any(|place| overlap(place.address, wanted));
            let (address, bound) = bind_all(wanted, config.workers, ours)?;
            let id = ListenerId(next.next_id);
            next.next_id += 1;
            next.bound.push(Place { id, wanted, address });
            for (worker, listener) in sockets.iter_mut().zip(bound) {
                worker.push(Socket { id, listener });
            }
        }
        Ok((next, sockets))
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// The address, and a socket there for each worker.
fn bind_all(wanted: SocketAddr, workers: usize, ours: bool) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    let at = |address: SocketAddr| {
        move |source| BindError {
            address: address.into(),
            source,
        }
    };
    if wanted.port() != 0 && !ours {
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
    Ok((address, sockets))
}

/// Binds an address of the admin side.
pub(crate) fn admin(address: AdminAddress) -> Result<AdminListener, BindError> {
    let bound = match &address {
        AdminAddress::Tcp(address) => bind(*address, false).map(AdminListener::Tcp),
        AdminAddress::Unix(path) => AdminListener::unix(path),
    };
    bound.map_err(|source| BindError { address, source })
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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
