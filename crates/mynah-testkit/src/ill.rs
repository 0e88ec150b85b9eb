//! Test environments in every state that production must not notice. Each speaks what it is spoken to, HTTP/1 or HTTP/2.

mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::app::{self, App};

/// How a mirror behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    Healthy,
    /// Takes everything, says nothing.
    NeverAnswers,
    /// Accepts connections and reads nothing from them.
    NeverReads,
    /// Reads a little at a time and answers late.
    Slow,
    /// Nothing listens.
    Refuses,
    /// Resets every connection as soon as something arrives.
    Resets,
    /// Answers with what is not HTTP.
    Garbage,
    /// Answers without end.
    Endless,
    /// Its name does not resolve.
    NoName,
    /// Does not speak TLS although it is asked to.
    TlsFails,
    /// Connection attempts are never answered.
    BlackHole,
}

impl Behaviour {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Healthy,
        Self::NeverAnswers,
        Self::NeverReads,
        Self::Slow,
        Self::Refuses,
        Self::Resets,
        Self::Garbage,
        Self::Endless,
        Self::NoName,
        Self::TlsFails,
        Self::BlackHole,
    ];
}

/// A slow mirror reads a little after each step, and answers after so many.
const STEP: Duration = Duration::from_millis(100);
const STEPS: usize = 30;

/// How HTTP/2 begins (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI ";

/// A mirror of the given behaviour; ends when dropped.
pub struct IllMirror {
    url: String,
    connections: Arc<AtomicUsize>,
    _healthy: Option<App>,
    _accepting: Option<Accepting>,
    /// Sockets that must stay open for the behaviour.
    _sockets: Vec<Socket>,
}

impl IllMirror {
    fn at(url: String) -> Self {
        Self {
            url,
            connections: Arc::default(),
            _healthy: None,
            _accepting: None,
            _sockets: Vec::new(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections that an ill one has accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A task that ends when dropped.
struct Accepting(JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a mirror that behaves like that.
pub async fn ill_mirror(behaviour: Behaviour) -> IllMirror {
    match behaviour {
        Behaviour::Healthy => {
            let app = app::mirror().await;
            IllMirror {
                url: app.url(),
                _healthy: Some(app),
                ..IllMirror::at(String::new())
            }
        }
        Behaviour::NoName => IllMirror::at("http://name-that-does-not-resolve.invalid".to_owned()),
        Behaviour::Refuses => {
            // Bound but not listening: the port stays taken and refuses.
            let (socket, address) = bound();
            IllMirror {
                _sockets: vec![socket],
                ..IllMirror::at(format!("http://{address}"))
            }
        }
        Behaviour::BlackHole => {
            let (sockets, address) = black_hole();
            IllMirror {
                _sockets: sockets,
                ..IllMirror::at(format!("http://{address}"))
            }
        }
        Behaviour::TlsFails => accepting(Behaviour::Garbage, "https").await,
        other => accepting(other, "http").await,
    }
}

async fn accepting(behaviour: Behaviour, scheme: &str) -> IllMirror {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let connections = Arc::<AtomicUsize>::default();
    let count = connections.clone();
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            if behaviour == Behaviour::NeverReads {
                kept.push(tcp);
            } else {
                tokio::spawn(misbehave(behaviour, tcp));
            }
        }
    });
    IllMirror {
        connections,
        _accepting: Some(Accepting(accepting)),
        ..IllMirror::at(format!("{scheme}://{address}"))
    }
}

async fn misbehave(behaviour: Behaviour, mut tcp: TcpStream) {
    let mut buf = vec![0; 64 * 1024];
    let Ok(first) = tcp.peek(&mut buf).await else { return };
    if buf[..first].starts_with(HTTP2) && http2::speaks(behaviour) {
        return http2::misbehave(behaviour, tcp).await;
    }
    if !matches!(tcp.read(&mut buf).await, Ok(n) if n > 0) {
        return;
    }
    match behaviour {
        Behaviour::NeverAnswers => while matches!(tcp.read(&mut buf).await, Ok(n) if n > 0) {},
        Behaviour::Slow => {
            for _ in 0..STEPS {
                tokio::time::sleep(STEP).await;
                let _ = tcp.try_read(&mut buf[..1024]);
            }
            let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
        Behaviour::Resets => {
            let _ = tcp.set_zero_linger();
        }
        Behaviour::Garbage => {
            let _ = tcp.write_all(b"\x00\xff this is not HTTP \r\n\r\n").await;
            while matches!(tcp.read(&mut buf).await, Ok(n) if n > 0) {}
        }
        Behaviour::Endless => {
            let (mut reading, mut writing) = tcp.split();
            let answer = async {
                let mut part = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                while writing.write_all(&part).await.is_ok() {
                    part = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
                }
            };
            let read = async { while matches!(reading.read(&mut buf).await, Ok(n) if n > 0) {} };
            // Reading comes first, or the answer would leave it no turn.
            tokio::join!(read, answer);
        }
        other => unreachable!("{other:?} does not accept"),
    }
}

fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a free port");
    let address = socket
        .local_addr()
        .ok()
        .and_then(|a| a.as_socket())
        .expect("it is bound");
    (socket, address)
}

/// A listener whose queue is full: the kernel drops further attempts.
fn black_hole() -> (Vec<Socket>, SocketAddr) {
    let (listener, address) = bound();
    listener.listen(0).expect("it is bound");
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        filler.set_nonblocking(true).expect("a new socket");
        // In progress is all that is wanted.
        let _ = filler.connect(&address.into());
        sockets.push(filler);
    }
    (sockets, address)
}
