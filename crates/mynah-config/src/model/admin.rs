//! Where Mynah is operated.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where Mynah is operated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// The address of the API, the dashboard, metrics and health checks.
    pub address: AdminAddress,
    /// File with the token that calls must carry. Without it the API is served only where nobody else comes.
    pub token_file: Option<PathBuf>,
    /// A further address, of metrics and health checks alone.
    pub metrics: Option<SocketAddr>,
}

/// An address to be operated at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Whether only this host (in a pod: only the pod) reaches it.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Address and port, if it has them.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl Default for AdminAddress {
    fn default() -> Self {
        Self::Tcp((Ipv4Addr::LOCALHOST, 9470).into())
    }
}

impl From<SocketAddr> for AdminAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// `127.0.0.1:9470` or `unix:/path`
impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The error says what was expected.
impl std::str::FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as crate::value::Value>::read(text)
    }
}
