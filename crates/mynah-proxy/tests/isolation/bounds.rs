//! Each bound on what a mirror can make grow, reached; production is served meanwhile.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mynah_core::{Outcome, ShedReason};
use mynah_testkit::client::{Client, client, http2_client};
use mynah_testkit::ill::{Behaviour, IllMirror, ill_mirror};
use tokio::net::TcpListener;

use crate::stage::{BOUNDS, MAX_CONNECTIONS, MAX_IN_FLIGHT, Stage, ask, ended_of, perform};

const MIB: u64 = 1024 * 1024;
/// More than is needed where another bound is reached first.
const ENOUGH: u64 = 64 * MIB;

/// A mirror that takes everything and says nothing.
async fn silent() -> (IllMirror, String) {
    let mirror = ill_mirror(Behaviour::NeverAnswers).await;
    let config = format!("url: '{}', {BOUNDS}", mirror.url());
    (mirror, config)
}

/// Asks so often, each time on a connection of its own if `apart`.
async fn ask_often(stage: &Stage, times: u64, mut client: Client) {
    for _ in 0..times {
        ask(&mut client, b"hello").await;
    }
    // Whatever copies ended did so at once, and the clock has not moved.
    stage.clock.settle().await;
}

#[test]
fn copies_that_would_need_one_connection_too_many_are_shed() {
    perform(silent, ENOUGH, async |stage, mirror| {
        let extra = 5;
        ask_often(stage, MAX_CONNECTIONS + extra, client(stage.address).await.unwrap()).await;
        assert_eq!(
            ended_of(&stage.totals()),
            [(Outcome::Shed(ShedReason::Connections), extra)]
        );
        assert_eq!(mirror.connections() as u64, MAX_CONNECTIONS);
    });
}

#[test]
fn copies_past_those_that_may_be_in_flight_are_shed() {
    perform(silent, ENOUGH, async |stage, mirror| {
        let extra = 5;
        ask_often(stage, MAX_IN_FLIGHT + extra, http2_client(stage.address).await.unwrap()).await;
        assert_eq!(
            ended_of(&stage.totals()),
            [(Outcome::Shed(ShedReason::InFlight), extra)]
        );
        assert_eq!(mirror.connections(), 1, "they share a connection");
    });
}

#[test]
fn copies_past_the_rate_are_shed() {
    let set = async || {
        let (mirror, config) = silent().await;
        (mirror, format!("{config}, requests_per_second: 20"))
    };
    perform(set, ENOUGH, async |stage, _| {
        ask_often(stage, 10, client(stage.address).await.unwrap()).await;
        // A tenth of a second's worth may go at once, and no time passes.
        assert_eq!(ended_of(&stage.totals()), [(Outcome::Shed(ShedReason::Rate), 8)]);
    });
}

#[test]
fn of_a_response_without_end_no_more_is_read_than_may_be() {
    let set = async || {
        let mirror = ill_mirror(Behaviour::Endless).await;
        let config = format!("url: '{}', {BOUNDS}", mirror.url());
        (mirror, config)
    };
    let totals = perform(set, ENOUGH, async |stage, _| {
        ask_often(stage, 3, client(stage.address).await.unwrap()).await;
        ask_often(stage, 3, http2_client(stage.address).await.unwrap()).await;
        stage.ended(6).await;
    });
    assert_eq!(ended_of(&totals), [(Outcome::Delivered, 6)]);
    assert_eq!(totals.mirrors[0].responses_cut, 6);
}

/// A mirror that allows any number of bytes to be sent ahead, and reads none of them. It ends when dropped.
struct Greedy {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Greedy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let handshake = h2::server::Builder::new()
                    .initial_window_size(1 << 30)
                    .initial_connection_window_size(1 << 30)
                    .handshake::<_, Bytes>(tcp);
                let mut connection = handshake.await.unwrap();
                let first = connection.accept().await;
                // Nobody asks it for more, so it reads no more.
                kept.push((connection, first));
            }
        });
        Self { address, task }
    }
}

impl Drop for Greedy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn upload(stage: &Stage, body: Bytes, times: usize) {
    let client = http2_client(stage.address).await.unwrap();
    let mut uploads = Vec::new();
    for _ in 0..times {
        let mut client = client.share().unwrap();
        let request = Request::put("http://production/file")
            .body(Full::new(body.clone()))
            .unwrap();
        uploads.push(tokio::spawn(async move {
            let response = client.ask(request).await.expect("production answers");
            assert_eq!(response.status(), 200);
        }));
    }
    for upload in uploads {
        upload.await.unwrap();
    }
}

#[test]
fn what_a_mirror_does_not_read_counts_as_held_until_it_is_written() {
    let set = async || {
        let mirror = Greedy::start().await;
        let config = format!("url: 'http://{}', {BOUNDS}", mirror.address);
        (mirror, config)
    };
    const UPLOADS: u64 = 48;
    perform(set, ENOUGH, async |stage, _| {
        upload(stage, Bytes::from(vec![b'u'; MIB as usize]), UPLOADS as usize).await;
        // All of it waits but for what the kernel's buffers took.
        let held = stage.totals().held_bytes;
        assert!(held > (UPLOADS - 16) * MIB, "{held} bytes held");
        let rests = || stage.totals().mirrors[0].in_flight == 0;
        assert!(stage.clock.pass_until(std::time::Duration::from_secs(60), rests).await);
        assert_eq!(stage.totals().held_bytes, 0);
    });
}

#[test]
fn copies_that_would_hold_more_bytes_than_all_may_are_shed() {
    let set = async || {
        let mirror = Greedy::start().await;
        let config = format!("url: 'http://{}', {BOUNDS}", mirror.address);
        (mirror, config)
    };
    // The stage checks that the bound is never passed.
    perform(set, 5 * MIB, async |stage, _| {
        upload(stage, Bytes::from(vec![b'u'; 4 * MIB as usize]), 8).await;
        let ended = ended_of(&stage.totals());
        let shed = |(outcome, _): &(Outcome, u64)| *outcome == Outcome::Shed(ShedReason::HeldBytes);
        assert!(ended.iter().any(shed), "{ended:?}");
    });
}
