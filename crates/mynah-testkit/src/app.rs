//! Applications: an upstream, or a healthy mirror, that answers whatever it is asked and remembers it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request as an application received it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Its version.
    pub version: Version,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// Whether it arrived whole.
    pub complete: bool,
}

/// An application on a port of its own, HTTP/1 and HTTP/2 by prior knowledge. Answers `200` with the number of body bytes
/// it received, or, for paths that start with `/echo`, with the body itself while it arrives.
pub struct App {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

/// An application behind the proxy.
pub async fn upstream() -> App {
    App::start().await
}

/// A healthy test environment.
pub async fn mirror() -> App {
    App::start().await
}

impl App {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let memory = Memory {
            seen: seen.clone(),
            counted: Arc::new(counted),
        };
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, memory.clone()));
            }
        });
        Self {
            address,
            seen,
            count,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has received so far, in the order in which the requests ended.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }

    /// Waits until it has received so many requests.
    pub async fn received(&self, requests: usize) -> Vec<Seen> {
        let mut count = self.count.clone();
        count.wait_for(|n| *n >= requests).await.expect("the application runs");
        self.seen()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Memory {
    seen: Arc<Mutex<Vec<Seen>>>,
    counted: Arc<watch::Sender<usize>>,
}

impl Memory {
    fn add(&self, seen: Seen) {
        self.seen.lock().expect("no test panics while it holds this").push(seen);
        self.counted.send_modify(|n| *n += 1);
    }
}

async fn serve(tcp: TcpStream, memory: Memory) {
    let _ = tcp.set_nodelay(true);
    let service = service_fn(|request| answer(request, memory.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().half_close(true);
    builder.http2().max_header_list_size(1 << 20);
    // A connection that breaks is the test's concern.
    let _ = builder.serve_connection(TokioIo::new(tcp), service).await;
}

async fn answer(
    request: Request<Incoming>,
    memory: Memory,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut seen = Seen {
        method: parts.method,
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: parts.version,
        headers: parts.headers,
        body: Bytes::new(),
        trailers: None,
        complete: true,
    };
    if seen.target.starts_with("/echo") {
        memory.add(seen);
        return Ok(Response::new(body.boxed()));
    }
    match body.collect().await {
        Ok(whole) => {
            seen.trailers = whole.trailers().cloned();
            seen.body = whole.to_bytes();
        }
        Err(_) => seen.complete = false,
    }
    let length = seen.body.len().to_string();
    let head = seen.method == Method::HEAD;
    memory.add(seen);
    if head {
        // In HTTP/2 hyper would send what there must not be.
        let mut response = Response::new(Full::default().map_err(|never: Infallible| match never {}).boxed());
        response.headers_mut().insert(CONTENT_LENGTH, length.len().into());
        return Ok(response);
    }
    Ok(Response::new(
        Full::from(length).map_err(|never| match never {}).boxed(),
    ))
}
