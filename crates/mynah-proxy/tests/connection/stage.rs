//! A proxy that runs, and an upstream that records, each connection by itself.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mynah_core::{FailReason, Outcome};
use mynah_proxy::{ProductionError, Running, Stats};

use super::read::{Read, read_request};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A proxy with its upstream. The threads live as long as the process.
pub(crate) struct Stage {
    proxy: SocketAddr,
    upstream: SocketAddr,
    records: Mutex<Records>,
    stats: Stats,
    _running: Running,
}

/// What came over the connections to the upstream.
struct Records {
    ended: Receiver<Record>,
    /// Number of the next connection.
    next: u64,
}

/// What came over one of them.
struct Record {
    number: u64,
    from: SocketAddr,
    bytes: Vec<u8>,
}

impl Stage {
    /// Starts both. `protocol` is the upstream's, as the configuration has it; the upstream itself speaks HTTP/1.
    pub(crate) fn start(protocol: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let upstream = listener.local_addr().expect("it is bound");
        let (sender, records) = channel();
        thread::spawn(move || accept(&listener, &sender));
        let mirror = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mirror_address = mirror.local_addr().expect("it is bound");
        thread::spawn(move || accept(&mirror, &channel().0));
        let text = format!(
            "listeners: ['127.0.0.1:0']\nupstream: {{url: 'http://{upstream}', protocol: {protocol}}}\n\
             mirrors: {{m: {{url: 'http://{mirror_address}', protocol: http1, mask_query: [a], credentials: hash}}}}\n\
             workers: 1\nadmin: 127.0.0.1:0\n"
        );
        let config = mynah_config::parse(&text, Path::new("stage.yaml")).expect("a valid configuration");
        let bound = mynah_proxy::build(config).expect("free ports");
        Self {
            proxy: bound.listeners()[0].0,
            upstream,
            records: Mutex::new(Records {
                ended: records,
                next: 0,
            }),
            stats: bound.stats(),
            _running: bound.start().expect("threads"),
        }
    }

    /// Sends pieces on a connection of its own, ends its side, and waits until the proxy has ended everything. What the
    /// upstream received, by connection.
    ///
    /// # Panics
    /// If something does not end, or the proxy panicked.
    pub(crate) fn send(&self, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut records = self
            .records
            .lock()
            .expect("nobody panics while holding it, or the test has failed");
        let mut client = TcpStream::connect(self.proxy).expect("the proxy accepts");
        client.set_nodelay(true).expect("a socket");
        client.set_read_timeout(Some(PATIENCE)).expect("a socket");
        for piece in pieces {
            // It may have been refused already.
            if client.write_all(piece).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        if let Err(error) = client.read_to_end(&mut answer) {
            let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!waits, "the connection does not end; so far {}", answer.escape_ascii());
        }
        drop(client);
        let start = Instant::now();
        while self.stats.totals().connections > 0 {
            assert!(start.elapsed() < PATIENCE, "the proxy keeps the connection");
            rest();
        }
        let received = self.received(&mut records);
        let totals = self.stats.totals();
        assert_eq!(totals.errors[ProductionError::Panic as usize], 0, "the proxy panicked");
        let internal = Outcome::Failed(FailReason::Internal).index();
        assert_eq!(totals.mirrors[0].outcomes[internal], 0, "a copy panicked");
        received
    }

    fn received(&self, records: &mut Records) -> Vec<Vec<u8>> {
        // Connections are accepted in their order: those before this one have been accepted when it has.
        let last = TcpStream::connect(self.upstream).expect("the upstream accepts");
        let ours = last.local_addr().expect("it is connected");
        drop(last);
        let mut received = BTreeMap::new();
        let mut last = None;
        while last.is_none_or(|last| received.len() as u64 <= last - records.next) {
            let record = records
                .ended
                .recv_timeout(PATIENCE)
                .expect("every connection to the upstream ends");
            if record.from == ours {
                last = Some(record.number);
            }
            received.insert(record.number, record.bytes);
        }
        let last = received.pop_last();
        records.next = last.map_or(0, |(number, _)| number) + 1;
        received.into_values().collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, which looks again until its condition holds"
)]
fn rest() {
    thread::sleep(Duration::from_micros(200));
}

fn accept(listener: &TcpListener, records: &Sender<Record>) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        let Ok(stream) = stream else { return };
        let records = records.clone();
        thread::spawn(move || {
            let from = stream.peer_addr();
            let bytes = answer(stream);
            if let Ok(from) = from {
                // The mirror's are recorded for nobody.
                let _ = records.send(Record { number, from, bytes });
            }
        });
    }
}

/// Answers every whole request until the connection ends. Everything that was received.
fn answer(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut answered = 0;
    let mut block = [0; 16 * 1024];
    loop {
        while let Read::Whole(request, len) = read_request(&bytes[answered..]) {
            answered += len;
            let response = match request.method.as_slice() {
                b"HEAD" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                b"CONNECT" => "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            };
            if stream.write_all(response.as_bytes()).is_err() {
                break;
            }
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return bytes,
            Ok(n) => bytes.extend_from_slice(&block[..n]),
        }
    }
}
