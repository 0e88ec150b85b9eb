//! A connection's bytes, with or without TLS.
//!
//! One small enum instead of a trait object: a plain TCP connection costs one predictable branch per call and no
//! allocation, and thousands of idle connections hold little more than their socket. Client, upstream and lane all work
//! on it; who made it, and how, is the matter of the listener, of `connect` and of [`crate::tls`].

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use mynah_config::model::Alpn;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::tls;

/// A connected socket, plain or under TLS.
///
/// Writes follow [`AsyncWrite`] to the letter: what a TLS stream has accepted may still wait inside for the socket, so
/// whoever has nothing more to write calls `poll_flush`. (On plain TCP it is free.) Reading helps along: it first tries to
/// send what waits.
///
/// A TLS peer that closes its socket without saying so in TLS (`close_notify`) ends in
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) instead of an end of stream, because the bytes may have been cut short.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS, with this side as the server.
    Tls(Box<server::TlsStream<TcpStream>>),
    /// TLS, with this side as the client.
    TlsClient(Box<client::TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket beneath.
    #[inline]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
            Self::TlsClient(tls) => tls.get_ref().0,
        }
    }

    /// Whether bytes travel under TLS.
    #[inline]
    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// The protocol that both sides agreed on during the TLS handshake. None on plain TCP, when the peer named none, and
    /// for a protocol that Mynah does not speak.
    pub fn alpn(&self) -> Option<Alpn> {
        let protocol = match self {
            Self::Tcp(_) => None,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol(),
            Self::TlsClient(tls) => tls.get_ref().1.alpn_protocol(),
        };
        protocol.and_then(tls::alpn_from_wire)
    }

    /// Turns Nagle's algorithm off (`true`) or on.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.tcp().set_nodelay(nodelay)
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }

    /// This end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().local_addr()
    }

    /// Closes with a reset: the peer learns that the exchange is broken, and nothing that waits to be sent goes out, no
    /// TLS alert either. (An orderly end is `poll_shutdown`: `close_notify` under TLS, then FIN, and reading goes on.)
    pub fn abort(self) {
        // The option only fails on a socket that is gone already; it is closed by being dropped.
        let _ = self.tcp().set_zero_linger();
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => {
                if tls.get_ref().1.wants_write()
                    && let Poll::Ready(Err(e)) = Pin::new(&mut **tls).poll_flush(cx)
                {
                    return Poll::Ready(Err(e));
                }
                Pin::new(&mut **tls).poll_read(cx, buf)
            }
            Self::TlsClient(tls) => {
                if tls.get_ref().1.wants_write()
                    && let Poll::Ready(Err(e)) = Pin::new(&mut **tls).poll_flush(cx)
                {
                    return Poll::Ready(Err(e));
                }
                Pin::new(&mut **tls).poll_read(cx, buf)
            }
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
            Self::TlsClient(tls) => Pin::new(&mut **tls).poll_write(cx, buf),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, bufs),
            Self::TlsClient(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, bufs),
        }
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Self::TlsClient(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    #[inline]
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::TlsClient(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Tcp(tcp)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0.into(), client)
    }

    #[test]
    fn a_stream_is_no_larger_than_a_socket_and_a_word() {
        assert!(size_of::<Stream>() <= size_of::<TcpStream>() + size_of::<usize>());
    }

    #[tokio::test]
    async fn an_aborted_connection_is_reset_and_an_ended_one_is_not() {
        let (stream, mut peer) = pair().await;
        stream.abort();
        assert_eq!(peer.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

        let (mut stream, mut peer) = pair().await;
        stream.shutdown().await.unwrap();
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        peer.write_u8(7).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7, "reading goes on");
    }

    #[tokio::test]
    async fn several_slices_leave_in_one_write() {
        let (mut stream, mut peer) = pair().await;
        assert!(stream.is_write_vectored());
        let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(stream.write_vectored(&slices).await.unwrap(), 7);
        let mut read = [0; 7];
        peer.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"one two");
    }
}
