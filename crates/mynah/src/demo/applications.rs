//! The two applications of the demo: production, which always answers, and the test application, which does not.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long an application works on a request.
const WORK: Duration = Duration::from_millis(4);
const BACKLOG: u32 = 1024;

/// How an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    Well,
    /// It takes requests and never answers.
    Silent,
    /// Its process is gone: connections are refused.
    Gone,
}

/// An application that runs.
pub(crate) struct Application {
    /// Where.
    pub(crate) address: SocketAddr,
    mood: watch::Sender<Mood>,
    received: Arc<AtomicU64>,
}

impl Application {
    /// Starts one that is well, on a free port.
    pub(crate) fn start(name: &'static str) -> io::Result<Self> {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let (mood, moods) = watch::channel(Mood::Well);
        let received = Arc::new(AtomicU64::new(0));
        let desk = Desk {
            name,
            moods: moods.clone(),
            received: received.clone(),
        };
        tokio::spawn(live(socket, address, moods, desk));
        Ok(Self {
            address,
            mood,
            received,
        })
    }

    /// Changes how it is.
    pub(crate) fn become_(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Requests that it has received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }
}

/// A socket that keeps its port without accepting anything: clients are refused.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Comes and goes with the mood, always at the same address.
async fn live(mut socket: TcpSocket, address: SocketAddr, mut moods: watch::Receiver<Mood>, desk: Desk) {
    loop {
        if moods.wait_for(|mood| *mood != Mood::Gone).await.is_err() {
            return;
        }
        let Ok(listener) = socket.listen(BACKLOG) else { return };
        tokio::select! {
            () = accept(&listener, &desk) => {}
            _ = moods.wait_for(|mood| *mood == Mood::Gone) => {}
        }
        drop(listener);
        let Ok(bound) = bind(address) else { return };
        socket = bound;
    }
}

/// Accepts connections, which end when this future is dropped.
async fn accept(listener: &TcpListener, desk: &Desk) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, desk.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, desk: Desk) {
    // The answer is one small write; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let desk = desk.clone();
        async { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    // A client that breaks off concerns nobody.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Answers requests.
#[derive(Clone)]
struct Desk {
    name: &'static str,
    moods: watch::Receiver<Mood>,
    received: Arc<AtomicU64>,
}

impl Desk {
    async fn answer(mut self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let n = self.received.fetch_add(1, Relaxed) + 1;
        let (method, target) = (request.method().clone(), request.uri().clone());
        let bytes = request
            .into_body()
            .collect()
            .await
            .map_or(0, |body| body.to_bytes().len());
        // Ends with the connection while it is silent.
        let _ = self.moods.wait_for(|mood| *mood != Mood::Silent).await;
        sleep(WORK).await;
        let text = format!(
            "{} answers {method} {target} with {bytes} bytes, its request number {n}\n",
            self.name
        );
        Response::new(Full::new(text.into()))
    }
}
