//! TLS on listeners and towards upstreams and mirrors: files to configurations, sockets to streams.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mynah_config::model::{Alpn, ClientTls, ListenerTls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::stream::Stream;

/// Why a TLS configuration cannot be used. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// TLS on a listener.
#[derive(Debug)]
pub struct ServerTls;

impl ServerTls {
    /// Reads the files that the configuration names.
    pub fn load(_tls: &ListenerTls) -> Result<Arc<ServerConfig>, TlsError> {
        unimplemented!("work in progress")
    }
}

/// TLS towards an upstream or a mirror. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTlsConfig {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTlsConfig {
    /// Reads the files that the configuration names, and the system's authorities if those are what is trusted.
    pub fn load(_tls: &ClientTls, _alpn: &[Alpn]) -> Result<Self, TlsError> {
        unimplemented!("work in progress")
    }

    /// The same, offering these protocols instead.
    pub fn with_alpn(&self, _alpn: &[Alpn]) -> Self {
        self.clone()
    }
}

/// Completes the handshake with a client within `timeout`.
pub async fn accept(config: Arc<ServerConfig>, tcp: TcpStream, timeout: Duration) -> io::Result<Stream> {
    let tls = tokio::time::timeout(timeout, TlsAcceptor::from(config).accept(tcp)).await??;
    Ok(Stream::Tls(Box::new(tls)))
}

/// Completes the handshake with an upstream or mirror. The caller bounds the time.
pub async fn connect(tls: &ClientTlsConfig, host: &str, tcp: TcpStream) -> io::Result<Stream> {
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
    };
    let tls = TlsConnector::from(tls.config.clone()).connect(name, tcp).await?;
    Ok(Stream::TlsClient(Box::new(tls)))
}

pub(crate) fn alpn_from_wire(protocol: &[u8]) -> Option<Alpn> {
    match protocol {
        b"h2" => Some(Alpn::H2),
        b"http/1.1" => Some(Alpn::Http1),
        _ => None,
    }
}
