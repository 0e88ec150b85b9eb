//! The PROXY protocol, versions 1 and 2: what a load balancer says of the client before the client's first byte.

use std::io;
use std::net::SocketAddr;

use mynah_config::model::ProxyProtocolVersion;
use tokio::net::TcpStream;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The client; None when the sender speaks for itself or does not know.
    pub source: Option<SocketAddr>,
    /// The address that the client connected to; given or missing together with the source.
    pub destination: Option<SocketAddr>,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProtocolError {
    /// Neither version's first bytes.
    #[error("no PROXY protocol header")]
    Missing,
}

/// Reads a header from the start of `buf`: how long it is, and what it says. None: more bytes are needed.
pub fn parse(_buf: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    unimplemented!("work in progress")
}

/// Reads a header from the start of a connection, and not a byte more.
pub async fn read(_tcp: &mut TcpStream) -> io::Result<Header> {
    unimplemented!("work in progress")
}

/// Appends a header.
pub fn write(_version: ProxyProtocolVersion, _source: SocketAddr, _destination: SocketAddr, _out: &mut Vec<u8>) {
    unimplemented!("work in progress")
}
