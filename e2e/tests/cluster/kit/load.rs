//! Requests from outside the cluster, each on a connection of its own and with a number of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use mynah_e2e::ledger;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// The client's addresses. It has several, since one has only some 28,000 ports and each is busy for two minutes.
const CLIENTS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of the next request, over all tests.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    pub(crate) prefix: &'static str,
}

/// How requests ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers, by the name of the pod that gave them.
    pub(crate) answers: BTreeMap<String, u64>,
    /// What went wrong with the others.
    pub(crate) failures: Vec<String>,
    /// Addresses that applications saw.
    pub(crate) remotes: Vec<IpAddr>,
}

impl Tally {
    /// Answers of pods whose names start so.
    pub(crate) fn from(&self, prefix: &str) -> u64 {
        self.answers
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(_, count)| count)
            .sum()
    }

    /// Answers.
    pub(crate) fn total(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Asserts that nothing went wrong.
    pub(crate) fn unharmed(self) -> Self {
        assert!(
            self.failures.is_empty(),
            "{} of {} requests failed: {:#?}",
            self.failures.len(),
            self.failures.len() as u64 + self.total(),
            &self.failures[..self.failures.len().min(5)]
        );
        self
    }

    fn add(&mut self, ended: Result<(String, IpAddr), String>) {
        match ended {
            Ok((name, remote)) => {
                *self.answers.entry(name).or_default() += 1;
                self.remotes.push(remote);
            }
            Err(reason) => self.failures.push(reason),
        }
    }
}

impl Load {
    /// Sends this many requests, some at a time.
    pub(crate) async fn send(&self, count: u64) -> Tally {
        let left = Arc::new(AtomicU64::new(count));
        self.run(Duration::ZERO, move || {
            left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
        })
        .await
    }

    /// Sends requests while something happens; a few dozen each second.
    pub(crate) async fn during<T>(&self, happening: impl Future<Output = T>) -> (Tally, T) {
        let going = Arc::new(AtomicBool::new(true));
        let ask = going.clone();
        let load = self.clone();
        let sending = tokio::spawn(async move { load.run(Duration::from_millis(50), move || ask.load(Relaxed)).await });
        let result = happening.await;
        going.store(false, Relaxed);
        (sending.await.expect("the load does not panic"), result)
    }

    async fn run(&self, pause: Duration, more: impl Fn() -> bool + Clone + Send + 'static) -> Tally {
        let mut workers = JoinSet::new();
        for _ in 0..8 {
            let (load, more) = (self.clone(), more.clone());
            workers.spawn(async move {
                let mut ended = Vec::new();
                while more() {
                    let answer = tokio::time::timeout(PATIENCE, load.request()).await;
                    ended.push(answer.unwrap_or_else(|_| Err("no answer".to_owned())));
                    tokio::time::sleep(pause).await;
                }
                ended
            });
        }
        let mut tally = Tally::default();
        for ended in workers.join_all().await.into_iter().flatten() {
            tally.add(ended);
        }
        tally
    }

    async fn request(&self) -> Result<(String, IpAddr), String> {
        let number = NEXT.fetch_add(1, Relaxed);
        let (method, body) = match number % 4 {
            0 => (Method::POST, "x".repeat((number * 37 % 5000) as usize)),
            _ => (Method::GET, String::new()),
        };
        let target = format!("{}/item/{number}?n={}", self.prefix, number % 7);
        let request = Request::builder()
            .method(&method)
            .uri(&target)
            .header("host", "entrance.example")
            .header("connection", "close")
            .header("x-id", format!("{}-{number}", std::process::id()))
            .header("x-digest", ledger::digest(method.as_str(), &target, body.as_bytes()))
            .body(Full::from(body))
            .expect("it is complete");
        let (status, body) = exchange(self.to, Some(number % CLIENTS), request).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status != StatusCode::OK {
            return Err(format!("{status}: {body}"));
        }
        let seen: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        let remote: SocketAddr = seen["remote"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|_| body.clone())?;
        Ok((seen["name"].as_str().unwrap_or_default().to_owned(), remote.ip()))
    }
}

/// Asks for a path, and returns the answer if it is a 200.
pub(crate) async fn get(from: SocketAddr, path: &str) -> Result<String, String> {
    let request = Request::builder()
        .uri(path)
        .header("host", "test")
        .header("connection", "close");
    let request = request.body(Full::default()).expect("it is complete");
    let answer = tokio::time::timeout(PATIENCE, exchange(from, None, request)).await;
    match answer.map_err(|_| format!("{from}{path}: no answer"))?? {
        (StatusCode::OK, body) => Ok(String::from_utf8_lossy(&body).into_owned()),
        (status, _) => Err(format!("{from}{path}: {status}")),
    }
}

async fn exchange(
    to: SocketAddr,
    client: Option<u64>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let stream = async {
        let socket = TcpSocket::new_v4()?;
        if let Some(client) = client {
            socket.bind(SocketAddr::from((Ipv4Addr::new(198, 18, 0, 100 + client as u8), 0)))?;
        }
        socket.connect(to).await
    };
    let stream = stream.await.map_err(|error| format!("connect: {error}"))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| format!("handshake: {error}"))?;
    tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| format!("request: {error}"))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("response: {error}"))?;
    Ok((status, body.to_bytes()))
}
