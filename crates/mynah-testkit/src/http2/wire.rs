//! Frames written by hand, for what no library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Frame types and flags (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM frame, or of a GOAWAY frame.
    pub fn code(&self) -> Option<u32> {
        let code = match self.kind {
            3 => self.payload.get(..4)?,
            7 => self.payload.get(4..8)?,
            _ => return None,
        };
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// A HEADERS frame with these fields, whatever they are.
pub fn headers(stream: u32, fields: &[(&[u8], &[u8])], end: bool) -> Vec<u8> {
    let flags = END_HEADERS | if end { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &header_block(fields))
}

/// A DATA frame.
pub fn data(stream: u32, bytes: &[u8], end: bool) -> Vec<u8> {
    frame(DATA, if end { END_STREAM } else { 0 }, stream, bytes)
}

/// Fields as literals that enter no table (RFC 7541 §6.2.2).
pub fn header_block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            length(text.len(), &mut out);
            out.extend_from_slice(text);
        }
    }
    out
}

/// A length in seven bits and, if need be, more bytes (RFC 7541 §5.1).
fn length(mut len: usize, out: &mut Vec<u8>) {
    if len < 127 {
        return out.push(len as u8);
    }
    out.push(127);
    len -= 127;
    while len >= 128 {
        out.push((len % 128) as u8 | 128);
        len /= 128;
    }
    out.push(len as u8);
}

/// A client that sends whatever it is told to.
pub struct RawClient {
    tcp: TcpStream,
}

impl RawClient {
    /// Connects, and sends the preface and its settings.
    pub async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let mut tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        tcp.write_all(PREFACE).await?;
        tcp.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        Ok(Self { tcp })
    }

    /// Sends bytes. That the other side is gone is seen by reading.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.tcp.write_all(bytes).await;
    }

    /// The next frame that is not about the connection's settings, or the end. Pings are answered.
    pub async fn receive(&mut self) -> Option<Frame> {
        loop {
            let frame = timeout(PATIENCE, self.read()).await.ok()??;
            match frame.kind {
                SETTINGS if frame.flags & 1 == 0 => self.send(&self::frame(SETTINGS, 1, 0, &[])).await,
                PING if frame.flags & 1 == 0 => self.send(&self::frame(PING, 1, 0, &frame.payload)).await,
                SETTINGS | PING | 8 => {}
                _ => return Some(frame),
            }
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.tcp.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.tcp.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
            payload,
        })
    }
}
