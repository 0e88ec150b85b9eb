//! How a name is looked up: as this system is configured, without the C library.
//!
//! The C library needs plug-ins at run time to resolve names, which a static binary in an empty image does not have. So
//! `/etc/hosts` and `/etc/resolv.conf` are read here and name servers are asked by hickory, over UDP and, for answers that
//! do not fit, TCP. The rules are the ones of `resolv.conf(5)`: `/etc/hosts` comes first and ends the search; a name with at
//! least `ndots` dots is asked for as it is and then with each `search` domain, one with fewer the other way round, which in
//! a pod (`ndots:5`) means `name.namespace.svc.cluster.local` before `name`; a name that ends in a dot is complete. IPv4 and
//! IPv6 addresses are asked for together. Nothing is cached: whoever looks up again wants to know. `/etc/nsswitch.conf` is
//! not read, so names that only another plug-in knows (mDNS, LDAP) are not found.
//!
//! Both files are read again when they have changed. While `/etc/resolv.conf` cannot be read again the last good one stays
//! in use; if it never could be, a name server on this machine is asked, as the C library does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ServerOrderingStrategy};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};

/// A lookup is given up after this, whatever the number of name servers, search domains and attempts.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the C library asks when it is not told.
const DEFAULT_NAME_SERVER: &str = "\nnameserver 127.0.0.1\n";

/// Why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    #[error("not a host name")]
    NotAName,
    #[error("no such host, or it has no address")]
    NotFound,
    #[error("name server answered {0}")]
    Refused(String),
    #[error("name server does not answer")]
    Timeout,
    #[error("name server cannot be asked: {0}")]
    Failed(String),
}

impl From<NetError> for LookupError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Self::NotFound,
                code => Self::Refused(code.to_string()),
            },
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Refused(code.to_string()),
            NetError::Timeout => Self::Timeout,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The files that say how names are looked up, and what they said when they were last read.
#[derive(Debug)]
pub(super) struct SystemNames {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
    /// The port that name servers are asked on; the files cannot say.
    pub(super) port: u16,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    hosts_seen: Option<Fingerprint>,
    hosts: Arc<Hosts>,
    resolv_conf_seen: Option<Fingerprint>,
    servers: Option<Arc<Servers>>,
}

/// What tells that a file has changed. None when there is no file.
type Fingerprint = Option<(u64, u64, SystemTime)>;

struct Servers {
    resolver: TokioResolver,
    search: Vec<Name>,
    ndots: usize,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers")
            .field("search", &self.search)
            .field("ndots", &self.ndots)
            .finish_non_exhaustive()
    }
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::new(PathBuf::from("/etc/resolv.conf"), PathBuf::from("/etc/hosts"), 53)
    }
}

impl SystemNames {
    pub(super) fn new(resolv_conf: PathBuf, hosts: PathBuf, port: u16) -> Self {
        Self {
            resolv_conf,
            hosts,
            port,
            current: Mutex::default(),
        }
    }

    /// All addresses of a name; at least one.
    pub(super) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let name = Name::from_utf8(host).map_err(|_| LookupError::NotAName)?;
        let (hosts, servers) = self.refresh();
        let mut found = in_hosts(&hosts, &name);
        if found.is_empty() {
            let servers = servers.map_err(LookupError::Failed)?;
            found = tokio::time::timeout(PATIENCE, servers.ask(&name))
                .await
                .map_err(|_| LookupError::Timeout)??;
        }
        Ok(usable(found, has_route))
    }

    /// The files as they are now, read again if they have changed.
    fn refresh(&self) -> (Arc<Hosts>, Result<Arc<Servers>, String>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = fingerprint(&self.hosts);
        if current.hosts_seen != Some(seen) {
            current.hosts_seen = Some(seen);
            current.hosts = Arc::new(read_hosts(&self.hosts));
        }
        let seen = fingerprint(&self.resolv_conf);
        if current.resolv_conf_seen != Some(seen) {
            current.resolv_conf_seen = Some(seen);
            match (Servers::read(&self.resolv_conf, self.port), &current.servers) {
                (Ok(servers), _) => current.servers = Some(Arc::new(servers)),
                (Err(error), Some(_)) => {
                    tracing::warn!(file = %self.resolv_conf.display(), error, "name servers not read again, last ones kept");
                }
                (Err(error), None) => {
                    tracing::warn!(file = %self.resolv_conf.display(), error, "name servers not known, asking this machine");
                }
            }
        }
        let servers = match &current.servers {
            Some(servers) => Ok(servers.clone()),
            // Not kept: what the file says is used as soon as there is one.
            None => Servers::parse(DEFAULT_NAME_SERVER.as_bytes(), self.port).map(Arc::new),
        };
        (current.hosts.clone(), servers)
    }
}

fn fingerprint(file: &Path) -> Fingerprint {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.ino(), meta.len(), meta.modified().ok()?))
}

fn read_hosts(file: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    let result = match std::fs::read(file) {
        Ok(text) => hosts.read_hosts_conf(String::from_utf8_lossy(&text).as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tracing::warn!(file = %file.display(), %error, "hosts not read");
    }
    hosts
}

fn in_hosts(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    let name = name.to_lowercase();
    [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|lookup| {
            lookup
                .answers()
                .iter()
                .filter_map(|record| record.data.ip_addr())
                .collect::<Vec<_>>()
        })
        .collect()
}

impl Servers {
    fn read(file: &Path, port: u16) -> Result<Self, String> {
        let text = std::fs::read(file).map_err(|error| error.to_string())?;
        Self::parse(&text, port)
    }

    fn parse(text: &[u8], port: u16) -> Result<Self, String> {
        let (config, mut options) = match system_conf::parse_resolv_conf(text) {
            // A file without a name server is a file all the same.
            Err(_) => system_conf::parse_resolv_conf([text, DEFAULT_NAME_SERVER.as_bytes()].concat()),
            parsed => parsed,
        }
        .map_err(|error| error.to_string())?;
        let (domain, mut search, mut servers) = config.into_parts();
        if search.is_empty() {
            search.extend(domain);
        }
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = port;
        }
        let ndots = options.ndots;
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        // Servers may know different names, so their order counts and the first answer is not the fastest one.
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.num_concurrent_reqs = 1;
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            resolver,
            search,
            ndots,
        })
    }

    /// Asks for each name that may be meant until one has addresses.
    async fn ask(&self, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let mut failure = LookupError::NotFound;
        for candidate in candidates(name, &self.search, self.ndots) {
            match self.resolver.lookup_ip(candidate).await {
                Ok(found) => {
                    let found: Vec<_> = found.iter().collect();
                    if !found.is_empty() {
                        return Ok(found);
                    }
                }
                // That some names do not exist is what a search is about; a server that fails is worth telling.
                Err(error) => match LookupError::from(error) {
                    LookupError::NotFound => {}
                    other => failure = other,
                },
            }
        }
        Err(failure)
    }
}

/// The complete names that a name may stand for, in the order in which they are asked for.
fn candidates(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut as_it_is = name.clone();
    as_it_is.set_fqdn(true);
    // Localhost is this machine, whatever a name server says (RFC 6761 section 6.3).
    if name.is_fqdn() || as_it_is.is_localhost() {
        return vec![as_it_is];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let mut names: Vec<_> = search
        .iter()
        .filter_map(|domain| name.clone().append_domain(domain).ok())
        .collect();
    names.insert(if dots >= ndots { 0 } else { names.len() }, as_it_is);
    names
}

/// Leaves out addresses of a family that this machine cannot send to, unless nothing would be left: a name with IPv4 and
/// IPv6 addresses must not lose half of its connections in a pod that has only one of them.
fn usable(addresses: Vec<IpAddr>, has_route: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    let mixed = addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6);
    if !mixed {
        return addresses;
    }
    let usable: Vec<_> = addresses.iter().copied().filter(|ip| has_route(*ip)).collect();
    if usable.is_empty() { addresses } else { usable }
}

/// Whether the system knows a way to an address. Connecting a UDP socket asks it, and sends nothing.
fn has_route(ip: IpAddr) -> bool {
    let any = match ip {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let discard = 9;
    UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| socket.connect(SocketAddr::new(ip, discard)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    #[test]
    fn a_short_name_in_a_pod_is_searched_for_in_the_cluster_first() {
        let search = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"].map(name);
        let order = |host: &str, ndots| -> Vec<String> {
            candidates(&name(host), &search, ndots)
                .iter()
                .map(Name::to_string)
                .collect()
        };
        assert_eq!(
            order("mirror", 5),
            [
                "mirror.shop.svc.cluster.local.",
                "mirror.svc.cluster.local.",
                "mirror.cluster.local.",
                "mirror."
            ]
        );
        assert_eq!(
            order("test.example.com", 5).last().map(String::as_str),
            Some("test.example.com."),
            "a name of another domain comes last"
        );
        assert_eq!(order("a.b.c.d.e.f", 5)[0], "a.b.c.d.e.f.", "five dots are enough");
        assert_eq!(order("test.example.com", 1)[0], "test.example.com.");
        assert_eq!(order("test.example.com", 1).len(), 4);
        assert_eq!(
            order("test.example.com.", 5),
            ["test.example.com."],
            "a complete name is not searched for"
        );
        assert_eq!(candidates(&name("mirror"), &[], 1), [name("mirror.")]);
    }

    #[test]
    fn addresses_of_a_family_without_a_route_are_left_out_unless_nothing_would_be_left() {
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(usable(vec![four, six], |ip| ip.is_ipv4()), [four]);
        assert_eq!(usable(vec![four, six], |ip| ip.is_ipv6()), [six]);
        assert_eq!(usable(vec![four, six], |_| true), [four, six]);
        assert_eq!(usable(vec![four, six], |_| false), [four, six]);
        assert_eq!(usable(vec![four], |_| false), [four]);
    }

    #[test]
    fn this_machine_has_a_route_to_itself() {
        assert!(has_route(IpAddr::from(Ipv4Addr::LOCALHOST)));
    }
}
