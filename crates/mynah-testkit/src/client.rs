//! Clients: one connection each, in the protocol asked for.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Why a request got no whole response.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A connection that requests are sent on.
#[derive(Debug)]
pub struct Client(Sender);

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A client that speaks HTTP/1.1 and keeps its connection.
pub async fn client(address: SocketAddr) -> Result<Client, Error> {
    let (sender, connection) = http1::handshake(connect(address).await?).await?;
    tokio::spawn(connection);
    Ok(Client(Sender::Http1(sender)))
}

/// A client that speaks HTTP/2 by prior knowledge.
pub async fn http2_client(address: SocketAddr) -> Result<Client, Error> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), connect(address).await?).await?;
    tokio::spawn(connection);
    Ok(Client(Sender::Http2(sender)))
}

async fn connect(address: SocketAddr) -> Result<TokioIo<TcpStream>, Error> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(TokioIo::new(tcp))
}

impl Client {
    /// Another user of the same connection; none in HTTP/1, where there is one at a time.
    pub fn share(&self) -> Option<Self> {
        match &self.0 {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self(Sender::Http2(sender.clone()))),
        }
    }

    /// Asks for an absolute URL, and waits for the whole response.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error> {
        let response = match &mut self.0 {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(in_origin_form(request)?).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

/// As HTTP/1 has it: the authority in a field, the rest in the target.
fn in_origin_form(mut request: Request<Full<Bytes>>) -> Result<Request<Full<Bytes>>, Error> {
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().parse()?;
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = path.into();
    }
    Ok(request)
}
