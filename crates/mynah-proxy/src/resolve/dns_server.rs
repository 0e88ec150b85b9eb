//! A name server for tests: answers over UDP on a free port of this machine, and remembers what it was asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const A: u16 = 1;
const AAAA: u16 = 28;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// What a name server says of a name.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// It has these addresses.
    Addresses(Vec<IpAddr>),
    /// SERVFAIL
    Fails,
    /// Nothing at all.
    Silence,
}

impl Reply {
    pub(super) fn addresses(addresses: &[&str]) -> Self {
        Self::Addresses(addresses.iter().map(|a| a.parse().unwrap()).collect())
    }
}

#[derive(Debug, Default)]
struct Zone {
    names: HashMap<String, Reply>,
    asked: Vec<String>,
}

/// A running name server; it stops when dropped. Names that it was not told of do not exist.
pub(super) struct DnsServer {
    pub(super) port: u16,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

impl DnsServer {
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .unwrap();
        let port = socket.local_addr().unwrap().port();
        let zone = Arc::new(Mutex::new(Zone::default()));
        let task = tokio::spawn(serve(socket, zone.clone()));
        Self { port, zone, task }
    }

    /// Sets what is said of a name, which has no dot at its end.
    pub(super) fn set(&self, name: &str, reply: Reply) {
        self.zone.lock().unwrap().names.insert(name.to_owned(), reply);
    }

    /// Names that were asked for since the last call, without immediate repeats (there is a question for each family).
    pub(super) fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut self.zone.lock().unwrap().asked);
        asked.dedup();
        asked
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buf = [0; 1500];
    loop {
        let (length, client) = socket.recv_from(&mut buf).await.unwrap();
        let answer = answer(&buf[..length], &mut zone.lock().unwrap());
        if let Some(answer) = answer {
            socket.send_to(&answer, client).await.unwrap();
        }
    }
}

fn answer(query: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap().to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let name = labels.join(".");
    let reply = zone.names.get(&name).cloned();
    zone.asked.push(name);

    let mut code = 0;
    let mut records = Vec::new();
    match reply {
        Some(Reply::Addresses(all)) => records.extend(all.into_iter().filter_map(|ip| record(ip, kind))),
        Some(Reply::Fails) => code = SERVFAIL,
        Some(Reply::Silence) => return None,
        None => code = NXDOMAIN,
    }
    let mut out = query[..2].to_vec();
    // A response, recursion desired and available; one question, some answers.
    out.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend_from_slice(question);
    out.extend(records.concat());
    Some(out)
}

fn record(ip: IpAddr, kind: u16) -> Option<Vec<u8>> {
    let data = match ip {
        IpAddr::V4(ip) if kind == A => ip.octets().to_vec(),
        IpAddr::V6(ip) if kind == AAAA => ip.octets().to_vec(),
        _ => return None,
    };
    let mut out = vec![0xc0, 12];
    out.extend_from_slice(&kind.to_be_bytes());
    // Class IN, an hour to live: whoever kept the answer would be seen to.
    out.extend_from_slice(&[0, 1, 0, 0, 0x0e, 0x10, 0, data.len() as u8]);
    out.extend_from_slice(&data);
    Some(out)
}
