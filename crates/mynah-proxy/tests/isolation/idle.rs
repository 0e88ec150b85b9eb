//! Thousands of connections that say nothing, or nothing any more, while a few others are in use.

use std::net::SocketAddr;

use mynah_testkit::client::{Client, client};
use mynah_testkit::ill::Behaviour;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use crate::behaviours::every_behaviour;
use crate::stage::{Load, ask, play};

/// Connections that are idle, if there are file descriptors for so many.
const IDLE: u64 = 8000;
/// One in so many of them has been used before.
const USED: u64 = 16;
/// File descriptors of one connection, with both ends of it in this process, and a share of Mynah's reserve for production.
const DESCRIPTORS: u64 = 3;
/// Tests that run at the same time, at most.
const AT_ONCE: u64 = 4;
const BUSY: u64 = 8;
const REQUESTS: u64 = 12;
const BODY: &[u8] = &[b'i'; 512];

every_behaviour!(idle);

fn idle(behaviour: Behaviour) {
    let count = count();
    let load = Load {
        requests: count / USED + BUSY * REQUESTS,
        large: false,
    };
    play(behaviour, &load, async |stage| {
        let (never_used, used) = (
            connect(stage.address, count - count / USED),
            use_once(stage.address, count / USED),
        );
        let _idle = (never_used.await, used.await);
        let mut clients = Vec::new();
        for _ in 0..BUSY {
            clients.push(client(stage.address).await.unwrap());
        }
        for _ in 0..REQUESTS {
            for client in &mut clients {
                ask(client, BODY).await;
            }
        }
        assert_eq!(stage.totals().connections, count + BUSY);
    });
}

/// As many as there are file descriptors for, of which this process takes as many as it may.
fn count() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let descriptors = limit.maximum.map_or(u64::MAX, |all| all.saturating_sub(1000));
    let count = (descriptors / (DESCRIPTORS * AT_ONCE)).min(IDLE) / (2 * USED) * (2 * USED);
    assert!(count > 0, "too few file descriptors for this test");
    count
}

async fn connect(address: SocketAddr, count: u64) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    idle
}

async fn use_once(address: SocketAddr, count: u64) -> Vec<Client> {
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut client = client(address).await.unwrap();
        ask(&mut client, BODY).await;
        idle.push(client);
    }
    idle
}
