//! What all workers have in common: the configuration with its certificates loaded, its names being resolved and its
//! counters laid out. Immutable; each worker compiles its own [`crate::snapshot::Snapshot`] from it.

use std::sync::Arc;
use std::time::Duration;

use mynah_config::model::{Alpn, ClientTls, Config, Endpoint, Listener, Mirror, Upstream};
use rustls::ServerConfig;

use crate::resolve::{Resolver, Target};
use crate::stats::{MirrorEntry, MirrorStats, SharedRatio, Stats, WorkerStats};
use crate::tls::{ClientTlsConfig, TlsError};

/// File descriptors that belong to no connection: listeners, epoll, logs, the admin side.
const OWN_DESCRIPTORS: usize = 64;

/// The configuration, ready to be worked with.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) listeners: Vec<Arc<ListenerPlan>>,
    pub(crate) upstreams: Vec<Arc<UpstreamPlan>>,
    pub(crate) mirrors: Vec<Arc<MirrorPlan>>,
    pub(crate) drain_timeout: Duration,
    pub(crate) stats: Stats,
    descriptors: usize,
}

/// A listener with its certificate.
pub(crate) struct ListenerPlan {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) proxy_protocol: bool,
    pub(crate) head_timeout: Duration,
    /// Connections that one worker may have.
    pub(crate) connections: Option<usize>,
}

/// An upstream with its addresses.
pub(crate) struct UpstreamPlan {
    pub(crate) upstream: Upstream,
    pub(crate) peering: Peering,
}

/// A mirror with its addresses and counters.
pub(crate) struct MirrorPlan {
    pub(crate) mirror: Mirror,
    pub(crate) ratio: Arc<SharedRatio>,
    pub(crate) stats: Vec<Arc<MirrorStats>>,
    pub(crate) peering: Peering,
}

/// How a place is reached.
pub(crate) struct Peering {
    pub(crate) addresses: Target,
    /// Without it no TLS is spoken.
    pub(crate) tls: Option<Security>,
}

/// TLS towards a place, by the protocol to be agreed on.
pub(crate) struct Security {
    pub(crate) host: String,
    pub(crate) http1: ClientTlsConfig,
    pub(crate) http2: ClientTlsConfig,
}

/// A certificate, key or authority that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {source}")]
pub struct PlanError {
    /// The configuration key.
    pub key: String,
    source: TlsError,
}

impl PlanError {
    fn at(key: impl Into<String>) -> impl FnOnce(TlsError) -> Self {
        let key = key.into();
        |source| Self { key, source }
    }
}

impl Plan {
    /// Loads what the configuration names.
    pub(crate) fn load(config: Config, resolver: &Resolver) -> Result<Self, PlanError> {
        let workers = config.workers;
        let listeners = config
            .listeners
            .iter()
            .enumerate()
            .map(|(i, listener)| {
                ListenerPlan::load(listener, &config).map_err(PlanError::at(format!("listeners[{i}].tls")))
            })
            .map(|plan| plan.map(Arc::new))
            .collect::<Result<_, _>>()?;
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| UpstreamPlan::load(upstream, resolver).map_err(PlanError::at("upstream.tls")))
            .map(|plan| plan.map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mirrors: Vec<Arc<MirrorPlan>> = config
            .mirrors
            .iter()
            .map(|mirror| {
                MirrorPlan::load(mirror, workers, resolver)
                    .map_err(PlanError::at(format!("mirrors.{}.tls", mirror.name)))
            })
            .map(|plan| plan.map(Arc::new))
            .collect::<Result<_, _>>()?;
        let entries = mirrors
            .iter()
            .map(|m| MirrorEntry {
                name: m.mirror.name.clone(),
                ratio: m.ratio.clone(),
                workers: m.stats.clone(),
            })
            .collect();
        let stats = Stats {
            workers: (0..workers).map(|_| Arc::new(WorkerStats::default())).collect(),
            mirrors: Arc::new(arc_swap::ArcSwap::from_pointee(entries)),
        };
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(1 << 20) as usize;
        let descriptors = limit.saturating_sub(OWN_DESCRIPTORS).max(16 * workers);
        Ok(Self {
            listeners,
            upstreams,
            mirrors,
            drain_timeout: config.drain_timeout,
            stats,
            descriptors,
            config,
        })
    }

    pub(crate) fn worker_stats(&self, id: usize) -> Arc<WorkerStats> {
        self.stats.workers[id].clone()
    }

    pub(crate) fn descriptors_per_worker(&self) -> usize {
        self.descriptors / self.config.workers
    }

    pub(crate) fn held_per_worker(&self) -> usize {
        (self.config.max_held_bytes.bytes() as usize / self.config.workers).max(1)
    }
}

impl ListenerPlan {
    fn load(listener: &Listener, config: &Config) -> Result<Self, TlsError> {
        let tls = listener.tls.as_ref().map(crate::tls::ServerTls::load).transpose()?;
        Ok(Self {
            tls,
            proxy_protocol: listener.proxy_protocol,
            head_timeout: config.limits.head_timeout,
            connections: config.limits.connections.map(|n| (n / config.workers).max(1)),
        })
    }
}

impl UpstreamPlan {
    fn load(upstream: &Upstream, resolver: &Resolver) -> Result<Self, TlsError> {
        let peering = Peering::load(&upstream.url, &upstream.tls, RESOLVE_UPSTREAM, resolver)?;
        Ok(Self {
            peering,
            upstream: upstream.clone(),
        })
    }
}

/// How often an upstream's name is resolved again.
const RESOLVE_UPSTREAM: Duration = Duration::from_secs(5);

impl MirrorPlan {
    fn load(mirror: &Mirror, workers: usize, resolver: &Resolver) -> Result<Self, TlsError> {
        Ok(Self {
            ratio: Arc::new(SharedRatio::new(mirror.ratio)),
            stats: (0..workers).map(|_| Arc::new(MirrorStats::default())).collect(),
            peering: Peering::load(&mirror.url, &mirror.tls, mirror.resolve_interval, resolver)?,
            mirror: mirror.clone(),
        })
    }
}

impl Peering {
    fn load(url: &Endpoint, tls: &ClientTls, interval: Duration, resolver: &Resolver) -> Result<Self, TlsError> {
        let security = |host: &str| -> Result<Security, TlsError> {
            let http1 = ClientTlsConfig::load(tls, &[Alpn::Http1])?;
            Ok(Security {
                host: host.to_owned(),
                http2: http1.with_alpn(&[Alpn::H2]),
                http1,
            })
        };
        let tls = url.tls.then(|| security(&url.host)).transpose()?;
        Ok(Self {
            addresses: resolver.target(&url.host, url.port, interval),
            tls,
        })
    }
}
