//! A failed mirror is left alone for a while, and costs production less than a healthy one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mynah_core::{BreakerState, FailReason, Outcome, ShedReason};
use mynah_testkit::app;
use mynah_testkit::client::client;
use mynah_testkit::ill::{Behaviour, ill_mirror};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::stage::{Stage, ask, ended_of, perform};

const MIB: u64 = 1024 * 1024;
/// As configured by default.
const FAILURES: u64 = 5;
const OPEN_FOR: Duration = Duration::from_secs(1);

/// Asks so often, one after the other, waiting for each copy.
async fn ask_often(stage: &Stage, times: u64) {
    let mut client = client(stage.address).await.unwrap();
    for _ in 0..times {
        ask(&mut client, b"hello").await;
        stage.ended(stage.totals().mirrors[0].copies).await;
    }
}

fn breaker(stage: &Stage) -> BreakerState {
    stage.totals().mirrors[0].breaker
}

#[test]
fn a_dead_mirror_costs_a_few_connections_however_much_is_asked() {
    const REQUESTS: u64 = 200;
    let dead = async || {
        let mirror = ill_mirror(Behaviour::Resets).await;
        let config = format!("url: '{}'", mirror.url());
        (mirror, config)
    };
    perform(dead, MIB, async |stage, mirror| {
        ask_often(stage, REQUESTS).await;
        // A healthy mirror is sent 200 copies; a dead one is tried five times, and then costs nothing.
        assert_eq!(mirror.connections() as u64, FAILURES);
        assert_eq!(
            ended_of(&stage.totals()),
            [
                (Outcome::Failed(FailReason::Reset), FAILURES),
                (Outcome::Shed(ShedReason::BreakerOpen), REQUESTS - FAILURES)
            ]
        );
        // Each time it is tried again, and fails, it is left alone for twice as long, up to eight times.
        let mut tries = FAILURES as usize;
        for wait in [1, 2, 4, 8, 8] {
            stage.clock.pass(OPEN_FOR * wait - Duration::from_millis(1)).await;
            ask_often(stage, 5).await;
            assert_eq!(mirror.connections(), tries, "before {wait} s");
            stage.clock.pass(Duration::from_millis(1)).await;
            ask_often(stage, 5).await;
            tries += 1;
            assert_eq!(mirror.connections(), tries, "after {wait} s");
        }
    });
}

#[test]
fn a_healthy_mirror_is_sent_everything_on_a_connection_or_two() {
    let healthy = async || {
        let mirror = app::mirror().await;
        let config = format!("url: '{}'", mirror.url());
        (mirror, config)
    };
    perform(healthy, MIB, async |stage, mirror| {
        ask_often(stage, 200).await;
        assert_eq!(ended_of(&stage.totals()), [(Outcome::Delivered, 200)]);
        assert_eq!(mirror.seen().len(), 200);
        assert_eq!(stage.totals().mirrors[0].connections, 1);
    });
}

/// Closes so many connections once a copy comes; on those that follow answers when it is allowed to.
async fn recovering(failing: usize) -> ((Arc<Notify>, Arc<AtomicUsize>), String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = format!("url: 'http://{}'", listener.local_addr().unwrap());
    let (allowed, count) = (Arc::new(Notify::new()), Arc::<AtomicUsize>::default());
    let (allow, counted) = (allowed.clone(), count.clone());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let fails = count.fetch_add(1, Ordering::Relaxed) < failing;
            let allowed = allowed.clone();
            tokio::spawn(async move {
                let mut buf = [0; 4096];
                if fails {
                    // With something unread the end would be a reset.
                    let _ = tcp.read(&mut buf).await;
                    return;
                }
                while tcp.read(&mut buf).await.is_ok_and(|n| n > 0) {
                    allowed.notified().await;
                    let _ = tcp.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
        }
    });
    ((allow, counted), config)
}

#[test]
fn one_copy_finds_out_whether_a_mirror_has_recovered_and_the_others_wait_for_it() {
    let set = async || recovering(FAILURES as usize).await;
    perform(set, MIB, async |stage, (allow, connections)| {
        ask_often(stage, FAILURES).await;
        assert_eq!(breaker(stage), BreakerState::Open);
        stage.clock.pass(OPEN_FOR).await;

        let mut client = client(stage.address).await.unwrap();
        for _ in 0..8 {
            ask(&mut client, b"hello").await;
        }
        stage.ended(FAILURES + 7).await;
        assert_eq!(breaker(stage), BreakerState::HalfOpen);
        assert_eq!(connections.load(Ordering::Relaxed) as u64, FAILURES + 1);

        allow.notify_one();
        stage.ended(FAILURES + 8).await;
        assert_eq!(breaker(stage), BreakerState::Closed);
        ask(&mut client, b"hello").await;
        allow.notify_one();
        stage.ended(FAILURES + 9).await;
        assert_eq!(
            ended_of(&stage.totals()),
            [
                (Outcome::Delivered, 2),
                (Outcome::Failed(FailReason::Closed), FAILURES),
                (Outcome::Shed(ShedReason::BreakerOpen), 7)
            ]
        );
    });
}
