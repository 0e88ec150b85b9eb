//! Clients that ask one request after the other, and remember everything that was not answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long anything may take that is due.
const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &[u8] = b"POST /load HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

/// A connection of a client.
pub struct Caller {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// It said that it is the last on its connection.
    pub last: bool,
}

impl Caller {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Asks and waits for the whole answer.
    pub async fn ask(&mut self) -> io::Result<Answer> {
        self.stream.write_all(REQUEST).await?;
        loop {
            if let Some((answer, len)) = read_answer(&self.received) {
                self.received.drain(..len);
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits until the other side has ended, without another word.
    pub async fn is_closed(&mut self) -> bool {
        let ended = self.stream.read_buf(&mut self.received);
        matches!(timeout(PATIENCE, ended).await, Ok(Ok(0))) && self.received.is_empty()
    }
}

/// The response at the start of some bytes, if it is whole; responses carry their length.
fn read_answer(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_len]).ok()?.to_ascii_lowercase();
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length: usize = field("content-length").map_or(Some(0), |value| value.parse().ok())?;
    let answer = Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        last: field("connection") == Some("close"),
    };
    (bytes.len() >= head_len + length).then_some((answer, head_len + length))
}

/// Many callers at once, until they are told to stop or the proxy takes no more connections.
pub struct Load {
    state: Arc<State>,
    callers: JoinSet<()>,
}

#[derive(Default)]
struct State {
    answered: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
    failures: watch::Sender<Vec<String>>,
    /// Callers that were refused a connection.
    refused: watch::Sender<usize>,
}

impl Load {
    /// Callers that keep their connection as long as they may, and callers that take a new one for every request.
    pub fn start(address: SocketAddr, keeping: usize, connecting: usize) -> Self {
        let state = Arc::new(State::default());
        let mut callers = JoinSet::new();
        for keeps in (0..keeping).map(|_| true).chain((0..connecting).map(|_| false)) {
            callers.spawn(state.clone().call(address, keeps));
        }
        Self { state, callers }
    }

    /// Waits until so many more requests were answered.
    pub async fn until_answered(&self, more: u64) {
        let mut answered = self.state.answered.subscribe();
        let enough = *answered.borrow() + more;
        timeout(PATIENCE, answered.wait_for(|answered| *answered >= enough))
            .await
            .expect("requests are answered")
            .expect("the load is under way");
    }

    /// Tells the callers to stop, and returns how many requests were answered.
    ///
    /// # Panics
    /// If one was not, or a connection was refused.
    pub async fn stop(self) -> u64 {
        self.state.stopped.send_replace(true);
        let state = self.state.clone();
        let answered = self.until_turned_away().await;
        assert_eq!(*state.refused.borrow(), 0, "connections were refused");
        answered
    }

    /// The same where new connections are refused: callers that keep theirs go on until they are told to stop.
    pub async fn stop_turned_away(self) -> u64 {
        self.state.stopped.send_replace(true);
        self.until_turned_away().await
    }

    /// Waits until no caller gets a connection any more, and returns how many requests were answered.
    ///
    /// # Panics
    /// If one was not.
    pub async fn until_turned_away(self) -> u64 {
        timeout(PATIENCE, self.callers.join_all())
            .await
            .expect("callers come to an end");
        let failures = self.state.failures.borrow().clone();
        let answered = *self.state.answered.borrow();
        assert!(
            failures.is_empty(),
            "{} requests failed and {answered} were answered: {}",
            failures.len(),
            failures.join("; ")
        );
        answered
    }
}

impl State {
    /// Calls until told to stop. Being refused a connection is an end as well, not a failed request.
    async fn call(self: Arc<Self>, address: SocketAddr, keeps: bool) {
        let mut connection = None;
        let mut asked = 0;
        while !*self.stopped.borrow() {
            let mut caller = match connection.take() {
                Some(caller) => caller,
                None => match Caller::connect(address).await {
                    Ok(caller) => {
                        asked = 0;
                        caller
                    }
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        return self.refused.send_modify(|refused| *refused += 1);
                    }
                    Err(error) => return self.failed(format!("connecting: {error}")),
                },
            };
            match caller.ask().await {
                Ok(answer) if answer.status == 200 => {
                    self.answered.send_modify(|answered| *answered += 1);
                    asked += 1;
                    connection = (keeps && !answer.last).then_some(caller);
                }
                Ok(answer) => self.failed(format!("{answer:?}")),
                Err(error) => return self.failed(format!("request {asked} of a connection: {error}")),
            }
        }
    }

    fn failed(&self, what: String) {
        self.failures.send_modify(|failures| failures.push(what));
    }
}
