//! Host names to addresses, off the data path.
//!
//! A [`Resolver`] runs on the control thread and keeps looking names up; a [`Target`] is what upstreams and lanes hold, and
//! reading it is one pointer load. Nothing on a request's way ever waits for a name, except the first connections to an
//! upstream whose name has not been looked up even once.
//!
//! All addresses of a name are used. When a name stops resolving, its last addresses stay in use: a name server that fails
//! must not take production with it. How names are looked up is the matter of `system`.

mod system;

#[cfg(test)]
mod dns_server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Notify, SetOnce};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::system::{LookupError, SystemNames};

/// The shortest time between two lookups of a name. It doubles with every early lookup that brings nothing new, up to the
/// name's interval, so that a mirror that is down does not turn into queries.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Resolves names on the control thread, again and again for as long as anybody holds their [`Target`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver {
    control: Handle,
    names: Arc<SystemNames>,
    /// Names being resolved, so that a new configuration goes on with the addresses that the old one knew.
    known: Arc<Mutex<HashMap<Key, Weak<Shared>>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    host: String,
    port: u16,
    interval: Duration,
}

impl Resolver {
    /// A resolver whose tasks run on `control`, which must not be a worker's runtime.
    pub fn new(control: Handle) -> Self {
        Self::with_names(control, SystemNames::default())
    }

    fn with_names(control: Handle, names: SystemNames) -> Self {
        Self {
            control,
            names: Arc::new(names),
            known: Arc::default(),
        }
    }

    /// The addresses of `host`, looked up now and every `interval`, and sooner after a failure. An address written as such
    /// is never looked up.
    pub fn target(&self, host: &str, port: u16, interval: Duration) -> Target {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Target(Inner::Literal(SocketAddr::new(ip, port)));
        }
        let key = Key {
            host: host.to_owned(),
            port,
            interval,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.get(&key).and_then(Weak::upgrade) {
            return Target(Inner::Named(shared));
        }
        known.retain(|_, shared| shared.strong_count() > 0);
        let names = self.names.clone();
        let shared = Shared::spawn(&self.control, &key, move |host| {
            let names = names.clone();
            async move { names.lookup(&host).await }
        });
        known.insert(key, Arc::downgrade(&shared));
        Target(Inner::Named(shared))
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

impl Target {
    /// The next address, round robin over all. None while the name has not resolved for the first time.
    pub fn pick(&self, cursor: &mut usize) -> Option<SocketAddr> {
        match &self.0 {
            Inner::Literal(address) => Some(*address),
            Inner::Named(shared) => {
                let addresses = shared.addresses.load();
                let index = cursor.checked_rem(addresses.len())?;
                *cursor = index + 1;
                Some(addresses[index])
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

    /// Tells the resolver that a connection failed, so that it looks the name up before its time. May be called as often as
    /// connections fail.
    pub fn suspect(&self) {
        if let Inner::Named(shared) = &self.0 {
            shared.suspected.notify_one();
        }
    }

    /// Waits until the first lookup has ended, well or not. Afterwards it returns at once.
    pub async fn settled(&self) {
        if let Inner::Named(shared) = &self.0 {
            shared.settled.wait().await;
        }
    }

    /// How many lookups have failed.
    pub fn failures(&self) -> u64 {
        match &self.0 {
            Inner::Literal(_) => 0,
            Inner::Named(shared) => shared.failures.load(Ordering::Relaxed),
        }
    }
}

/// A name with its addresses, and the task that keeps them; the task ends when the last target is dropped.
#[derive(Debug)]
struct Shared {
    /// In order and without repeats, IPv4 before IPv6.
    addresses: ArcSwap<Vec<SocketAddr>>,
    failures: AtomicU64,
    settled: SetOnce<()>,
    suspected: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn spawn<L, F>(control: &Handle, key: &Key, lookup: L) -> Arc<Self>
    where
        L: Fn(String) -> F + Send + 'static,
        F: Future<Output = Result<Vec<IpAddr>, LookupError>> + Send + 'static,
    {
        let suspected = Arc::new(Notify::new());
        let (sender, receiver) = tokio::sync::oneshot::channel::<Weak<Self>>();
        let (key, wake) = (key.clone(), suspected.clone());
        let task = control.spawn(async move {
            if let Ok(shared) = receiver.await {
                keep(&shared, &wake, &key, lookup).await;
            }
        });
        let shared = Arc::new(Self {
            addresses: ArcSwap::default(),
            failures: AtomicU64::new(0),
            settled: SetOnce::new(),
            suspected,
            task: task.abort_handle(),
        });
        // It cannot fail: the task waits for it. Unless the runtime is going down, and then nothing matters.
        let _ = sender.send(Arc::downgrade(&shared));
        shared
    }

    /// Publishes what a lookup brought; whether that was something new.
    fn publish(&self, key: &Key, found: Vec<IpAddr>) -> bool {
        let mut addresses: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, key.port)).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let changed = **self.addresses.load() != addresses;
        if changed {
            tracing::info!(host = key.host, ?addresses, "name resolved");
            self.addresses.store(Arc::new(addresses));
        }
        changed
    }
}

/// Looks a name up until nobody wants to know any more.
async fn keep<L, F>(shared: &Weak<Shared>, suspected: &Notify, key: &Key, lookup: L)
where
    L: Fn(String) -> F,
    F: Future<Output = Result<Vec<IpAddr>, LookupError>>,
{
    let interval = key.interval.max(SHORTEST_PAUSE);
    let mut pause = SHORTEST_PAUSE;
    let mut failing = false;
    loop {
        let started = Instant::now();
        let result = lookup(key.host.clone()).await;
        let Some(shared) = shared.upgrade() else { return };
        let failed = result.is_err();
        match result {
            Ok(found) => {
                if shared.publish(key, found) {
                    pause = SHORTEST_PAUSE;
                } else if failing {
                    tracing::info!(host = key.host, "name resolved again");
                }
            }
            Err(error) => {
                shared.failures.fetch_add(1, Ordering::Relaxed);
                if !failing {
                    let kept = shared.addresses.load().len();
                    tracing::warn!(host = key.host, %error, addresses_kept = kept, "name not resolved");
                }
            }
        }
        failing = failed;
        let _ = shared.settled.set(());
        drop(shared);

        tokio::time::sleep(pause).await;
        let early = failed
            || tokio::time::timeout_at(started + interval, suspected.notified())
                .await
                .is_ok();
        pause = if early {
            (pause * 2).min(interval)
        } else {
            SHORTEST_PAUSE
        };
    }
}
