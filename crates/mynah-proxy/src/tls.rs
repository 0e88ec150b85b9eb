//! TLS on listeners and towards upstreams and mirrors: files become configurations, sockets become streams.
//!
//! Loading is separate from the handshake, reads every file afresh and touches nothing that is in use, so that a
//! certificate that was renewed on disk is taken up by loading again and using the result for new connections. The
//! cryptography is ring's, named in each configuration; nothing is installed for the whole process. Which protocol was
//! agreed on is asked of the [`Stream`].

mod files;
mod verify;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mynah_config::model::{Alpn, ClientTls, ListenerTls};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::verify::{AcceptAny, OwnAuthorities};
use crate::stream::Stream;

/// Sessions with one upstream or mirror that can be resumed. A session is used once, so this is about the number of
/// connections that can be made at the same time without a full handshake.
const RESUMABLE_SESSIONS: usize = 64;

/// Why a TLS configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file's PEM sections cannot be decoded.
    #[error("{}: invalid PEM: {source}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// A file has no section of the kind that is needed.
    #[error("{}: no {expected} in PEM form{hint}", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What was found instead, where that is known.
        hint: &'static str,
    },
    /// A certificate in a file is not valid.
    #[error("{}: certificate {number} is not usable: {source}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// The position in the file, from 1.
        number: usize,
        /// What is wrong.
        source: rustls::Error,
    },
    /// A private key cannot be used.
    #[error("{}: private key is not usable: {source}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The private key is not the certificate's.
    #[error("{}: private key does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file with the key.
        key: PathBuf,
        /// The file with the certificate.
        certificate: PathBuf,
    },
    /// A client certificate needs both files.
    #[error("{}: a client certificate needs both a certificate file and a key file", given.display())]
    HalfIdentity {
        /// The one that was given.
        given: PathBuf,
    },
    /// Authorities that cannot be verified against.
    #[error("{}: {source}", file.display())]
    ClientAuthorities {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: VerifierBuilderError,
    },
    /// The system has no authorities to trust, as in an image without CA certificates.
    #[error(
        "no authorities found on this system ({reason}); name a file with those to trust, or accept any certificate"
    )]
    NoSystemAuthorities {
        /// What was tried.
        reason: String,
    },
    /// A name that no certificate can have.
    #[error("server name {name:?} is neither a host name nor an address")]
    ServerName {
        /// The name.
        name: String,
        /// What is wrong.
        source: InvalidDnsNameError,
    },
    /// The cryptography refused to work.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS on a listener.
#[derive(Debug)]
pub struct ServerTls;

impl ServerTls {
    /// Reads the files that the configuration names.
    ///
    /// Sessions are resumed by tickets, which need no state that workers would share; loading again makes new ticket keys.
    pub fn load(tls: &ListenerTls) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = provider();
        let identity = files::identity(&tls.certificate, &tls.key, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &tls.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(files::authorities(file)?.0);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|source| TlsError::ClientAuthorities {
                        file: file.clone(),
                        source,
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(identity));
        config.alpn_protocols = alpn_to_wire(&tls.alpn);
        config.ticketer = ring::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

/// TLS towards an upstream or a mirror. Cheap to clone; clones resume each other's sessions.
#[derive(Debug, Clone)]
pub struct ClientTlsConfig {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTlsConfig {
    /// Reads the files that the configuration names. The system's authorities are read only when they are what is trusted:
    /// not with a `ca` and not with `insecure`.
    pub fn load(tls: &ClientTls, alpn: &[Alpn]) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if tls.insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny::new(&provider)))
        } else if let Some(file) = &tls.ca {
            let (roots, certificates) = files::authorities(file)?;
            let by_chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|source| TlsError::ClientAuthorities {
                    file: file.clone(),
                    source,
                })?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(OwnAuthorities::new(by_chain, certificates)))
        } else {
            builder.with_root_certificates(system_authorities()?)
        };
        let mut config = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                builder.with_client_cert_resolver(Arc::new(files::identity(certificate, key, &provider)?))
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(given), None) | (None, Some(given)) => return Err(TlsError::HalfIdentity { given: given.clone() }),
        };
        config.alpn_protocols = alpn_to_wire(alpn);
        config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
        let server_name = tls.server_name.as_deref().map(server_name).transpose()?;
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }

    /// The same without reading files again, offering these protocols and with sessions of its own: for an upstream that
    /// is spoken to in the client's protocol, and for a worker that shares nothing with the others.
    pub fn with_alpn(&self, alpn: &[Alpn]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn_to_wire(alpn);
        config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
        Self {
            config: Arc::new(config),
            server_name: self.server_name.clone(),
        }
    }
}

fn system_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store often holds some that cannot be used; that is no reason to do without the others.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = match found.errors.first() {
            Some(error) => error.to_string(),
            None => "none of the usual places, SSL_CERT_FILE or SSL_CERT_DIR has any".to_owned(),
        };
        return Err(TlsError::NoSystemAuthorities { reason });
    }
    Ok(roots)
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // A certificate's names never have the dot that marks a host name as complete.
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|source| TlsError::ServerName {
        name: name.to_owned(),
        source,
    })
}

/// Completes the handshake with a client, or fails once `timeout` has passed.
pub async fn accept(config: Arc<ServerConfig>, tcp: TcpStream, timeout: Duration) -> io::Result<Stream> {
    let tls = tokio::time::timeout(timeout, TlsAcceptor::from(config).accept(tcp)).await??;
    Ok(Stream::Tls(Box::new(tls)))
}

/// Completes the handshake with an upstream or mirror that the configuration calls `host`. The caller bounds the time.
pub async fn connect(tls: &ClientTlsConfig, host: &str, tcp: TcpStream) -> io::Result<Stream> {
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => server_name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
    };
    let tls = TlsConnector::from(tls.config.clone()).connect(name, tcp).await?;
    Ok(Stream::TlsClient(Box::new(tls)))
}

fn alpn_to_wire(protocols: &[Alpn]) -> Vec<Vec<u8>> {
    protocols
        .iter()
        .map(|protocol| match protocol {
            Alpn::H2 => b"h2".to_vec(),
            Alpn::Http1 => b"http/1.1".to_vec(),
        })
        .collect()
}

pub(crate) fn alpn_from_wire(protocol: &[u8]) -> Option<Alpn> {
    match protocol {
        b"h2" => Some(Alpn::H2),
        b"http/1.1" => Some(Alpn::Http1),
        _ => None,
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read {
        file: file.to_owned(),
        source,
    })
}
