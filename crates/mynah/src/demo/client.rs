//! The demo's client: a steady stream of requests on a few connections, and how each of them went.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::http_client::Connection;

/// Connections, each kept alive.
const CONNECTIONS: u32 = 8;
/// Time between two requests of one connection; with all of them 200 requests a second.
const PACE: Duration = Duration::from_millis(40);
/// One in so many requests uploads something.
const UPLOAD_EVERY: u64 = 5;
const UPLOAD: &[u8] = &[b'm'; 16 * 1024];

/// How a request went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// From when it was due to the end of its response.
    pub(crate) took: Duration,
    /// Whether it was answered with a success.
    pub(crate) well: bool,
}

/// A client that asks until it is stopped.
pub(crate) struct Client {
    stop: watch::Sender<bool>,
    connections: JoinSet<()>,
}

impl Client {
    /// Starts asking.
    pub(crate) fn start(address: SocketAddr, answers: &mpsc::UnboundedSender<Answer>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        for n in 0..CONNECTIONS {
            connections.spawn(ask(n, address, stopped.clone(), answers.clone()));
        }
        Self { stop, connections }
    }

    /// Waits for the answers that are due, and asks no more.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.connections.join_next().await.is_some() {}
    }
}

async fn ask(id: u32, address: SocketAddr, mut stopped: watch::Receiver<bool>, answers: mpsc::UnboundedSender<Answer>) {
    let mut connection = None;
    let mut pace = interval(PACE);
    let host = address.to_string();
    for n in 0.. {
        // A request that has to wait for its predecessor was due all the same.
        let due = tokio::select! {
            due = pace.tick() => due,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let answered = one(&mut connection, address, &host, u64::from(id), n).await;
        if answered.is_err() {
            connection = None;
        }
        let answer = Answer {
            took: Instant::now() - due,
            well: answered.is_ok_and(|well| well),
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

async fn one(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    host: &str,
    id: u64,
    n: u64,
) -> anyhow::Result<bool> {
    if connection.is_none() {
        *connection = Some(Connection::open(address).await?);
    }
    let connection = connection.as_mut().expect("just opened");
    let order = n * u64::from(CONNECTIONS) + id;
    let status = if n % UPLOAD_EVERY == UPLOAD_EVERY - 1 {
        let upload = Bytes::from_static(UPLOAD);
        connection.send(Method::POST, host, "/orders", upload).await?
    } else {
        let target = format!("/orders/{order}?client={id}");
        connection.send(Method::GET, host, &target, Bytes::new()).await?
    };
    Ok(status.is_success())
}
