//! What all workers have in common: the configuration with its certificates loaded, its names being resolved and its
//! counters laid out. Immutable; each worker compiles its own [`crate::snapshot::Snapshot`] from it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mynah_config::model::{Alpn, ClientTls, Config, Endpoint, Listener, ListenerTls, Mirror, Upstream};
use rustls::ServerConfig;

use crate::access_log::LogPlan;
use crate::resolve::{Resolver, Target};
use crate::stats::{MirrorEntry, MirrorStats, SharedRatio, Stats, WorkerStats};
use crate::tls::{ClientTlsConfig, TlsError};

/// Mirrors that are no more in the configuration and whose counters are still told.
const REMEMBERED: usize = 256;
/// File descriptors that belong to no connection: listeners, epoll, logs, the admin side.
const OWN_DESCRIPTORS: usize = 64;

/// The configuration, ready to be worked with.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) listeners: Vec<Arc<ListenerPlan>>,
    pub(crate) upstreams: Vec<Arc<UpstreamPlan>>,
    pub(crate) mirrors: Vec<Arc<MirrorPlan>>,
    /// Production's access log.
    pub(crate) access_log: Option<LogPlan>,
    pub(crate) stats: Stats,
    entries: Arc<Vec<MirrorEntry>>,
    descriptors: usize,
}

/// A listener with its certificate.
pub(crate) struct ListenerPlan {
    secured: Option<(ListenerTls, Contents)>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) proxy_protocol: bool,
    pub(crate) head_timeout: Duration,
    /// Connections that one worker may have.
    pub(crate) connections: Option<usize>,
}

/// An upstream with its addresses.
pub(crate) struct UpstreamPlan {
    files: Contents,
    pub(crate) upstream: Upstream,
    pub(crate) peering: Peering,
}

/// A mirror with its addresses and counters.
pub(crate) struct MirrorPlan {
    files: Contents,
    /// As configured; the ratio in force is the shared one.
    pub(crate) mirror: Mirror,
    pub(crate) ratio: Arc<SharedRatio>,
    pub(crate) stats: Vec<Arc<MirrorStats>>,
    pub(crate) peering: Peering,
    pub(crate) access_log: Option<LogPlan>,
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

/// A certificate, key, authority or access log that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {source}")]
pub struct PlanError {
    /// The configuration key.
    pub key: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl PlanError {
    fn at<E: std::error::Error + Send + Sync + 'static>(key: impl Into<String>) -> impl FnOnce(E) -> Self {
        let key = key.into();
        |source| Self {
            key,
            source: source.into(),
        }
    }
}

impl Plan {
    /// Loads what the configuration names. What is the same as `before` is taken from there, and goes on without a break:
    /// the sessions of a certificate, the connections to an upstream, a mirror with all that is known of it.
    pub(crate) fn load(config: Config, resolver: &Resolver, before: Option<&Self>) -> Result<Self, PlanError> {
        let workers = config.workers;
        let listeners = config
            .listeners
            .iter()
            .enumerate()
            .map(|(i, listener)| {
                ListenerPlan::load(listener, &config, before).map_err(PlanError::at(format!("listeners[{i}].tls")))
            })
            .map(|plan| plan.map(Arc::new))
            .collect::<Result<_, _>>()?;
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| UpstreamPlan::load(upstream, resolver, before).map_err(PlanError::at("upstream.tls")))
            .collect::<Result<_, _>>()?;
        let stats = before.map_or_else(|| Stats::new(workers), |before| before.stats.clone());
        let known = stats.mirrors.load_full();
        let mirrors: Vec<Arc<MirrorPlan>> = config
            .mirrors
            .iter()
            .map(|mirror| MirrorPlan::load(mirror, &config, &stats, resolver, before, &known))
            .collect::<Result<_, _>>()?;
        let access_log = config.access_log.as_ref();
        let access_log = access_log.map(|log| stats.access_logs.open(log, None, &config));
        let access_log = access_log.transpose().map_err(PlanError::at("access_log"))?;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(1 << 20) as usize;
        let descriptors = limit.saturating_sub(OWN_DESCRIPTORS).max(16 * workers);
        Ok(Self {
            entries: Arc::new(entries(&mirrors, &known)),
            listeners,
            upstreams,
            mirrors,
            access_log,
            stats,
            descriptors,
            config,
        })
    }

    /// Makes this the plan that the counters tell of, and its ratios those in force unless changes to them are kept. What
    /// was changed at run time and is replaced.
    pub(crate) fn publish(&self, keep_changes: bool) -> Vec<String> {
        let mut replaced = Vec::new();
        for (plan, mirror) in self.mirrors.iter().zip(&self.config.mirrors) {
            if !keep_changes && let Some(what) = plan.ratio.configure(mirror.ratio) {
                replaced.push(format!("mirror {}: {what}", mirror.name));
            }
        }
        self.stats.mirrors.store(self.entries.clone());
        replaced
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

/// Every mirror that is told of: those of the configuration, and then those that once were in it, so that no total ever
/// goes backwards.
fn entries(mirrors: &[Arc<MirrorPlan>], known: &[MirrorEntry]) -> Vec<MirrorEntry> {
    let present = mirrors.iter().map(|m| MirrorEntry {
        name: m.mirror.name.clone(),
        ratio: m.ratio.clone(),
        workers: m.stats.clone(),
        configured: true,
    });
    let removed = |entry: &&MirrorEntry| mirrors.iter().all(|m| m.mirror.name != entry.name);
    let past: Vec<_> = known.iter().filter(removed).collect();
    let past = past[past.len().saturating_sub(REMEMBERED)..]
        .iter()
        .map(|entry| MirrorEntry {
            configured: false,
            ..(*entry).clone()
        });
    present.chain(past).collect()
}

/// What is in some files, as far as one needs to know whether it is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents(u64);

impl Contents {
    /// Reads them. A file that cannot be read is as different as any.
    pub(crate) fn of<'f>(files: impl IntoIterator<Item = &'f Path>) -> Self {
        let mut hasher = DefaultHasher::new();
        for file in files {
            std::fs::read(file).ok().hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

impl ListenerPlan {
    fn load(listener: &Listener, config: &Config, before: Option<&Plan>) -> Result<Self, TlsError> {
        let secured = listener.tls.clone().map(|tls| {
            let contents = Contents::of(tls.files());
            (tls, contents)
        });
        let known = before
            .into_iter()
            .flat_map(|before| &before.listeners)
            .find(|known| known.secured == secured);
        let tls = match (&secured, known) {
            (None, _) => None,
            (Some(_), Some(known)) => known.tls.clone(),
            (Some((tls, _)), None) => Some(crate::tls::ServerTls::load(tls)?),
        };
        Ok(Self {
            secured,
            tls,
            proxy_protocol: listener.proxy_protocol,
            head_timeout: config.limits.head_timeout,
            connections: config.limits.connections.map(|n| (n / config.workers).max(1)),
        })
    }
}

impl UpstreamPlan {
    fn load(upstream: &Upstream, resolver: &Resolver, before: Option<&Plan>) -> Result<Arc<Self>, TlsError> {
        let files = Contents::of(upstream.tls.files());
        let known = before
            .into_iter()
            .flat_map(|before| &before.upstreams)
            .find(|known| known.upstream == *upstream && known.files == files);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        Ok(Arc::new(Self {
            peering: Peering::load(&upstream.url, &upstream.tls, RESOLVE_UPSTREAM, resolver)?,
            files,
            upstream: upstream.clone(),
        }))
    }
}

/// How often an upstream's name is resolved again.
const RESOLVE_UPSTREAM: Duration = Duration::from_secs(5);

impl MirrorPlan {
    fn load(
        mirror: &Mirror,
        config: &Config,
        stats: &Stats,
        resolver: &Resolver,
        before: Option<&Plan>,
        known: &[MirrorEntry],
    ) -> Result<Arc<Self>, PlanError> {
        let files = Contents::of(mirror.tls.files());
        let same = before.into_iter().flat_map(|before| {
            // Access logs tell the identifier of requests.
            let same_id = mirror.access_log.is_none() || before.config.request_id == config.request_id;
            before.mirrors.iter().filter(move |_| same_id)
        });
        let same = same
            .into_iter()
            .find(|known| known.is_for(mirror) && known.files == files);
        if let Some(same) = same {
            return Ok(same.clone());
        }
        // Whatever else is new: it has counted already.
        let (ratio, counters) = match known.iter().find(|entry| entry.name == mirror.name) {
            Some(entry) => (entry.ratio.clone(), entry.workers.clone()),
            None => (
                Arc::new(SharedRatio::new(mirror.ratio)),
                (0..config.workers).map(|_| Arc::new(MirrorStats::default())).collect(),
            ),
        };
        let key = |key: &str| format!("mirrors.{}.{key}", mirror.name);
        let peering = Peering::load(&mirror.url, &mirror.tls, mirror.resolve_interval, resolver);
        let access_log = mirror.access_log.as_ref();
        let access_log = access_log.map(|log| stats.access_logs.open(log, Some(&mirror.name), config));
        Ok(Arc::new(Self {
            files,
            ratio,
            stats: counters,
            peering: peering.map_err(PlanError::at(key("tls")))?,
            access_log: access_log.transpose().map_err(PlanError::at(key("access_log")))?,
            mirror: mirror.clone(),
        }))
    }

    /// Whether nothing but the ratio is different.
    fn is_for(&self, mirror: &Mirror) -> bool {
        let with_its_ratio = Mirror {
            ratio: mirror.ratio,
            ..self.mirror.clone()
        };
        with_its_ratio == *mirror
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
