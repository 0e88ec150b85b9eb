//! A small HTTP/1 client, for the demo and for probes.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};

/// A connection on which one request follows another.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // How it ends is told to the request under way.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request, reads the whole response, and returns its status.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        host: &str,
        target: &str,
        body: Bytes,
    ) -> anyhow::Result<StatusCode> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, host)
            .body(Full::new(body))?;
        self.0.ready().await?;
        let response = self.0.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }
}
