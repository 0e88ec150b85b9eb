//! The PROXY protocol, versions 1 and 2: what a load balancer says of the client before the client's first byte.
//!
//! Listeners [`read`] a header, upstream connections begin with one that [`write()`] made. [`parse`] is the whole of the
//! understanding: a pure function over the bytes so far, total (no input makes it panic, allocate or look beyond
//! [`MAX_LENGTH`] bytes), and consistent however the bytes are cut: while it wants more it has refused nothing, and what it
//! has accepted or refused does not change when more bytes come. That makes it a target for fuzzing as it is.
//!
//! It follows HAProxy's specification and is strict where that leaves room: what a sender must not emit is refused, not
//! repaired. A header whose sender speaks for itself (`LOCAL`, as in health checks), does not know the client (`UNKNOWN`,
//! `UNSPEC`) or speaks of something other than TCP over IP is accepted and gives no addresses. The fields that may follow
//! the addresses in version 2 are skipped, its checksum is not verified: TCP has done so.

#[cfg(test)]
mod tests;

use std::io;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use mynah_config::model::ProxyProtocolVersion;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest header of version 2 that is accepted, in bytes. The specification allows 65,551; load balancers send a few
/// hundred at most.
pub const MAX_LENGTH: usize = 4096;

/// Longest header of version 1, in bytes, its line end included; the specification's figure.
const MAX_LENGTH_V1: usize = 107;
const PREFIX_V1: &[u8] = b"PROXY ";
const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED_V2: usize = 16;
/// Addresses and ports of version 2.
const INET_V2: usize = 12;
const INET6_V2: usize = 36;
const UNIX_V2: usize = 216;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The client; None when the sender speaks for itself or does not know.
    pub source: Option<SocketAddr>,
    /// The address that the client connected to; given or missing together with the source.
    pub destination: Option<SocketAddr>,
}

impl Header {
    fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source: Some(source),
            destination: Some(destination),
        }
    }
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProtocolError {
    /// Neither version begins like this.
    #[error("no PROXY protocol header")]
    Missing,
    /// Version 1: no line end within 107 bytes. Version 2: longer than [`MAX_LENGTH`].
    #[error("PROXY protocol header too long")]
    TooLong,
    /// Version 1: the line does not end in CR LF, or is not made of the parts that its protocol requires.
    #[error("malformed PROXY protocol line")]
    Line,
    /// Version 1: an address is not one of the family that was named.
    #[error("malformed address in PROXY protocol header")]
    Address,
    /// Version 1: a port is not a plain decimal number up to 65535.
    #[error("malformed port in PROXY protocol header")]
    Port,
    /// Version 2's signature with another version.
    #[error("unknown PROXY protocol version")]
    Version,
    /// Version 2: neither LOCAL nor PROXY.
    #[error("unknown PROXY protocol command")]
    Command,
    /// An address family or transport that is not assigned.
    #[error("unknown PROXY protocol family")]
    Family,
    /// Version 2: too short for the addresses of its family.
    #[error("PROXY protocol header too short for its addresses")]
    TooShort,
}

impl From<ProxyProtocolError> for io::Error {
    fn from(error: ProxyProtocolError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads a header from the start of `buf`: how long it is, and what it says. None: it is not complete.
pub fn parse(buf: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    if begins(buf, SIGNATURE_V2) {
        parse_v2(buf)
    } else if begins(buf, PREFIX_V1) {
        parse_v1(buf)
    } else {
        Err(ProxyProtocolError::Missing)
    }
}

/// Whether `buf` begins like `start`, as far as it goes.
fn begins(buf: &[u8], start: &[u8]) -> bool {
    buf.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(buf: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    let window = &buf[..buf.len().min(MAX_LENGTH_V1)];
    let Some(end) = window.iter().position(|&b| b == b'\r' || b == b'\n') else {
        return if window.len() < MAX_LENGTH_V1 {
            Ok(None)
        } else {
            Err(ProxyProtocolError::TooLong)
        };
    };
    if window[end] == b'\n' {
        return Err(ProxyProtocolError::Line);
    }
    match window.get(end + 1) {
        Some(b'\n') => Ok(Some((end + 2, line_v1(&window[PREFIX_V1.len().min(end)..end])?))),
        Some(_) => Err(ProxyProtocolError::Line),
        None if window.len() < MAX_LENGTH_V1 => Ok(None),
        None => Err(ProxyProtocolError::TooLong),
    }
}

/// What follows `PROXY `, without the line end.
fn line_v1(line: &[u8]) -> Result<Header, ProxyProtocolError> {
    // After UNKNOWN anything may follow and is to be ignored.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Ok(Header::default());
    }
    let line = std::str::from_utf8(line).map_err(|_| ProxyProtocolError::Line)?;
    let mut parts = line.split(' ');
    let mut part = || parts.next().ok_or(ProxyProtocolError::Line);
    let (family, source, destination) = (part()?, part()?, part()?);
    let (source_port, destination_port) = (part()?, part()?);
    if parts.next().is_some() {
        return Err(ProxyProtocolError::Line);
    }
    let (source, destination) = match family {
        "TCP4" => (ip::<Ipv4Addr>(source)?, ip::<Ipv4Addr>(destination)?),
        "TCP6" => (ip::<Ipv6Addr>(source)?, ip::<Ipv6Addr>(destination)?),
        _ => return Err(ProxyProtocolError::Family),
    };
    Ok(Header::new(
        SocketAddr::new(source, port(source_port)?),
        SocketAddr::new(destination, port(destination_port)?),
    ))
}

fn ip<T: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyProtocolError> {
    text.parse::<T>()
        .map(Into::into)
        .map_err(|_| ProxyProtocolError::Address)
}

fn port(text: &str) -> Result<u16, ProxyProtocolError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain {
        text.parse().map_err(|_| ProxyProtocolError::Port)
    } else {
        Err(ProxyProtocolError::Port)
    }
}

fn parse_v2(buf: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    let Some(&version_command) = buf.get(12) else {
        return Ok(None);
    };
    if version_command >> 4 != 2 {
        return Err(ProxyProtocolError::Version);
    }
    let local = match version_command & 0xf {
        0 => true,
        1 => false,
        _ => return Err(ProxyProtocolError::Command),
    };
    let Some(&family) = buf.get(13) else { return Ok(None) };
    // A LOCAL header's family means nothing, whatever it is.
    let addresses = match family {
        _ if local => 0,
        0x00 => 0,
        0x11 | 0x12 => INET_V2,
        0x21 | 0x22 => INET6_V2,
        0x31 | 0x32 => UNIX_V2,
        _ => return Err(ProxyProtocolError::Family),
    };
    let Some(&length) = buf.get(14..FIXED_V2).and_then(|bytes| bytes.first_chunk()) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(length));
    if length < addresses {
        return Err(ProxyProtocolError::TooShort);
    }
    let total = FIXED_V2 + length;
    if total > MAX_LENGTH {
        return Err(ProxyProtocolError::TooLong);
    }
    let Some(rest) = buf.get(FIXED_V2..total) else {
        return Ok(None);
    };
    let header = match (local, family) {
        (false, 0x11) => addresses_v2::<4>(rest),
        (false, 0x21) => addresses_v2::<16>(rest),
        _ => Header::default(),
    };
    Ok(Some((total, header)))
}

/// Two addresses of `N` bytes, then their ports. The caller has made sure that they are there.
fn addresses_v2<const N: usize>(bytes: &[u8]) -> Header
where
    IpAddr: From<[u8; N]>,
{
    let address = |i: usize| -> [u8; N] { std::array::from_fn(|byte| bytes[i * N + byte]) };
    let port = |i: usize| u16::from_be_bytes([bytes[2 * N + 2 * i], bytes[2 * N + 2 * i + 1]]);
    Header::new(
        SocketAddr::new(IpAddr::from(address(0)), port(0)),
        SocketAddr::new(IpAddr::from(address(1)), port(1)),
    )
}

/// Reads a header from the start of a connection, and not a byte more: what follows, TLS for instance, is left in the
/// socket. The caller bounds the time. A connection that ends before the header does is
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), anything but a header [`InvalidData`](io::ErrorKind::InvalidData) with
/// the [`ProxyProtocolError`] inside.
pub async fn read(tcp: &mut TcpStream) -> io::Result<Header> {
    // Enough for all but very long ones, which take some more rounds.
    let mut header = Vec::with_capacity(256);
    let mut chunk = [0; 256];
    loop {
        let known = header.len();
        let seen = tcp.peek(&mut chunk).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        header.extend_from_slice(&chunk[..seen]);
        // An incomplete header is a header to its last byte, so all that was seen can be taken.
        let (end, found) = match parse(&header)? {
            Some((length, found)) => (length, Some(found)),
            None => (header.len(), None),
        };
        tcp.read_exact(&mut chunk[..end - known]).await?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
}

/// Appends a header that names `source` as the client and `destination` as what it connected to. Addresses of different
/// families are written as IPv6, with the IPv4 one mapped; mapped ones on both sides as the IPv4 that they are.
pub fn write(version: ProxyProtocolVersion, source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let ports = (source.port(), destination.port());
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => match version {
            ProxyProtocolVersion::V1 => write_v1("TCP4", source.into(), destination.into(), ports, out),
            ProxyProtocolVersion::V2 => write_v2(0x11, &source.octets(), &destination.octets(), ports, out),
        },
        (source, destination) => {
            let (source, destination) = (mapped(source), mapped(destination));
            match version {
                ProxyProtocolVersion::V1 => write_v1("TCP6", source.into(), destination.into(), ports, out),
                ProxyProtocolVersion::V2 => write_v2(0x21, &source.octets(), &destination.octets(), ports, out),
            }
        }
    }
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn write_v1(family: &str, source: IpAddr, destination: IpAddr, ports: (u16, u16), out: &mut Vec<u8>) {
    write!(out, "PROXY {family} {source} {destination} {} {}\r\n", ports.0, ports.1).expect("a Vec takes any write");
}

fn write_v2(family: u8, source: &[u8], destination: &[u8], ports: (u16, u16), out: &mut Vec<u8>) {
    let length = 2 * source.len() as u16 + 4;
    out.extend_from_slice(SIGNATURE_V2);
    out.extend_from_slice(&[0x21, family]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(source);
    out.extend_from_slice(destination);
    out.extend_from_slice(&ports.0.to_be_bytes());
    out.extend_from_slice(&ports.1.to_be_bytes());
}
