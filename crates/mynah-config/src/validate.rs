//! What goes beyond single values: references, contradictions, loops, files that must be there. Builds the model.

mod access_log;
mod mirror;
mod route;
mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{ConfigError, MAX_ERRORS, Origin};
use crate::file::{self, File};
use crate::model::{Admin, AdminAddress, Config, Connections, Endpoint, Limits, Listener, Upstream};
use crate::node::Node;
use crate::path::Path;

/// Builds the model, and says everything that is wrong with it.
pub(crate) fn validate(file: &File, tree: &Node, origin: &Origin) -> (Config, Vec<ConfigError>) {
    let mut check = Check {
        tree,
        origin,
        errors: Vec::new(),
    };
    let config = check.config(file);
    (config, check.errors)
}

/// Collects what is wrong.
struct Check<'a> {
    tree: &'a Node,
    origin: &'a Origin,
    errors: Vec<ConfigError>,
}

impl Check<'_> {
    fn wrong(&mut self, path: &Path, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(self.origin.error_at(self.tree, path, message));
        }
    }

    fn config(&mut self, file: &File) -> Config {
        let root = Path::root();
        let listeners = self.listeners(&file.listeners, &root.key("listeners"));
        let mut upstreams = vec![self.upstream(&file.upstream, &root.key("upstream"))];
        let mirrors = file
            .mirrors
            .iter()
            .map(|(name, mirror)| self.mirror(name, mirror, &root.key("mirrors").key(name)))
            .collect::<Vec<_>>();
        let routes = self.routes(file, &mut upstreams, &root.key("routes"));
        let access_log = self.production_log(file, &root.key("access_log"));
        let request_id = self.request_id(file, &root.key("request_id"));
        let config = Config {
            listeners,
            upstreams,
            mirrors,
            routes,
            workers: file.workers.map_or_else(allowed_cpus, |workers| workers as usize),
            drain_timeout: file.drain_timeout.0,
            admin: self.admin(&file.admin, &root.key("admin")),
            limits: self.limits(&file.limits, &root.key("limits")),
            max_held_bytes: file.max_held_bytes.0,
            access_log,
            request_id,
        };
        self.addresses(&config);
        self.bytes(&config);
        config
    }

    fn listeners(&mut self, listeners: &[file::Listener], path: &Path) -> Vec<Listener> {
        if listeners.is_empty() {
            self.wrong(path, "no listener; expected at least one address such as :80");
        }
        let mut seen: HashMap<SocketAddr, usize> = HashMap::new();
        listeners
            .iter()
            .enumerate()
            .map(|(i, listener)| {
                let here = path.index(i);
                let address = listener.address.0;
                if address.port() != 0
                    && let Some(first) = seen.insert(address, i)
                {
                    self.wrong(
                        &here,
                        format!("{address} is listeners[{first}] already; expected another address or port"),
                    );
                }
                Listener {
                    address,
                    tls: listener
                        .tls
                        .as_ref()
                        .map(|tls| self.listener_tls(tls, &here.key("tls"))),
                    proxy_protocol: listener.proxy_protocol,
                }
            })
            .collect()
    }

    fn admin(&mut self, admin: &file::Admin, path: &Path) -> Admin {
        let metrics = admin.metrics.as_ref().map(|address| address.0);
        if let Some(metrics) = metrics.filter(|metrics| metrics.port() != 0)
            && admin.address.0.tcp() == Some(metrics)
        {
            self.wrong(
                &path.key("metrics"),
                format!("{metrics} is the admin address, which has the metrics already; expected another"),
            );
        }
        let address = match &admin.address.0 {
            AdminAddress::Unix(socket) => AdminAddress::Unix(self.origin.folder().join(socket)),
            address @ AdminAddress::Tcp(_) => address.clone(),
        };
        Admin {
            address,
            token_file: admin
                .token_file
                .as_ref()
                .map(|file| self.token_file(file, &path.key("token_file"))),
            metrics,
        }
    }

    fn token_file(&mut self, file: &std::path::Path, path: &Path) -> PathBuf {
        let file = self.origin.folder().join(file);
        if let Err(error) = crate::token::read(&file) {
            self.wrong(path, error);
        }
        file
    }

    fn upstream(&mut self, upstream: &file::Upstream, path: &Path) -> Upstream {
        let url = upstream.url.0.clone();
        if upstream.preserve_source && upstream.connections == Connections::Shared {
            self.wrong(
                &path.key("preserve_source"),
                "a connection that clients share has no client's address; expected `connections: own`",
            );
        }
        Upstream {
            protocol: upstream.protocol,
            tls: self.client_tls(upstream.tls.as_ref(), &url, path),
            proxy_protocol: upstream.proxy_protocol,
            forwarded: upstream.forwarded,
            connections: self.connections(upstream, path),
            preserve_source: upstream.preserve_source,
            connect_timeout: self.positive(upstream.connect_timeout.0, &path.key("connect_timeout")),
            response_timeout: upstream
                .response_timeout
                .as_ref()
                .map(|timeout| self.positive(timeout.0, &path.key("response_timeout"))),
            url,
        }
    }

    fn connections(&mut self, upstream: &file::Upstream, path: &Path) -> Connections {
        if upstream.connections == Connections::Shared && upstream.proxy_protocol.is_some() {
            self.wrong(
                &path.key("connections"),
                "'shared' is not valid with 'proxy_protocol', which tells each connection's one client; expected 'own'",
            );
        }
        upstream.connections
    }

    fn limits(&mut self, limits: &file::Limits, path: &Path) -> Limits {
        for (key, size, least) in [("request_line", &limits.request_line, 256), ("head", &limits.head, 512)] {
            if !(least..=16 << 20).contains(&size.0.bytes()) {
                self.wrong(
                    &path.key(key),
                    format!("{} is not valid; expected {least}B to 16MiB", size.0),
                );
            }
        }
        if limits.request_line.0 > limits.head.0 {
            self.wrong(
                &path.key("request_line"),
                format!(
                    "{} is more than limits.head, {}; expected at most that",
                    limits.request_line.0, limits.head.0
                ),
            );
        }
        Limits {
            request_line: limits.request_line.0,
            head: limits.head.0,
            fields: limits.fields as usize,
            head_timeout: self.positive(limits.head_timeout.0, &path.key("head_timeout")),
            pipelined: limits.pipelined as usize,
            streams: limits.streams,
            connections: limits.connections.map(|connections| connections as usize),
        }
    }

    fn positive(&mut self, duration: Duration, path: &Path) -> Duration {
        if duration.is_zero() {
            self.wrong(path, "0s is not valid; expected a duration of at least 1ms");
        }
        duration
    }

    /// Nothing may be sent to where it comes from, and copies must not go to production.
    fn addresses(&mut self, config: &Config) {
        let root = Path::root();
        let own: Vec<SocketAddr> = config
            .listeners
            .iter()
            .map(|listener| listener.address)
            .chain(config.admin.address.tcp())
            .chain(config.admin.metrics)
            .filter(|address| address.port() != 0)
            .collect();
        for (what, admin) in [("admin", config.admin.address.tcp()), ("metrics", config.admin.metrics)] {
            let Some(admin) = admin.filter(|admin| admin.port() != 0) else {
                continue;
            };
            if let Some(i) = config.listeners.iter().position(|l| l.address == admin) {
                self.wrong(
                    &root.key("listeners").index(i),
                    format!("{admin} is the {what} address; expected another"),
                );
            }
        }
        let loops = |url: &Endpoint| own.iter().find(|address| is_at(url, **address)).copied();
        if let Some(address) = loops(&config.upstreams[0].url) {
            self.wrong(
                &root.key("upstream").key("url"),
                format!("this is Mynah's own address {address}; expected that of the application"),
            );
        }
        for (i, route) in config.routes.iter().enumerate() {
            if route.upstream != 0
                && let Some(address) = loops(&config.upstreams[route.upstream].url)
            {
                self.wrong(
                    &root.key("routes").index(i).key("upstream").key("url"),
                    format!("this is Mynah's own address {address}; expected that of an application"),
                );
            }
        }
        for mirror in &config.mirrors {
            let path = root.key("mirrors").key(&mirror.name).key("url");
            if let Some(address) = loops(&mirror.url) {
                self.wrong(
                    &path,
                    format!("this is Mynah's own address {address}; expected that of a test environment"),
                );
            }
            let same = |url: &Endpoint| url.host.eq_ignore_ascii_case(&mirror.url.host) && url.port == mirror.url.port;
            if config.upstreams.iter().any(|upstream| same(&upstream.url)) {
                self.wrong(
                    &path,
                    "this is the upstream: production would get every copy; expected a test environment",
                );
            }
        }
    }

    fn bytes(&mut self, config: &Config) {
        for mirror in &config.mirrors {
            if mirror.window > config.max_held_bytes {
                self.wrong(
                    &Path::root().key("mirrors").key(&mirror.name).key("window"),
                    format!(
                        "{} is more than max_held_bytes, {}; expected at most that",
                        mirror.window, config.max_held_bytes
                    ),
                );
            }
        }
    }

    /// A path from the file, which starts in the file's folder.
    fn file(&mut self, file: &std::path::Path, path: &Path) -> PathBuf {
        let file = self.origin.folder().join(file);
        // Opening a pipe would wait for somebody who writes.
        let opened = match std::fs::metadata(&file) {
            Ok(metadata) if !metadata.is_file() => Err(std::io::Error::other("it is no regular file")),
            Ok(_) => std::fs::File::open(&file).map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            self.wrong(
                path,
                format!("cannot read '{}': {error}; expected a PEM file", file.display()),
            );
        }
        file
    }
}

/// One worker for each CPU that affinity and the cgroup's quota allow.
fn allowed_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether a URL leads to this address on this host.
fn is_at(url: &Endpoint, address: SocketAddr) -> bool {
    if url.port != address.port() {
        return false;
    }
    let here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    match url.host.parse::<IpAddr>() {
        // Different loopback addresses are different places, unless one of the two is all of them.
        Ok(ip) => ip == address.ip() || here(ip) && address.ip().is_unspecified(),
        Err(_) => url.host.eq_ignore_ascii_case("localhost") && here(address.ip()),
    }
}
