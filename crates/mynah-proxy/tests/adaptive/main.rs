//! A mirror that serves so many copies a second and no more, before production that asks for more than that: it gets about
//! what it can serve, and production never waits. The clock is the test's.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mynah_core::{Outcome, Ratio, ShedReason};
use mynah_proxy::{MirrorTotals, Stats};
use mynah_testkit::app;
use mynah_testkit::client::{Client, client};
use mynah_testkit::clock::StandingClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

/// Requests of production.
const PER_SECOND: u32 = 200;
/// Time for the share to settle, in seconds.
const SETTLES: u32 = 6;

/// What a mirror with one server in it does.
struct Capacity {
    /// How long it serves one copy.
    takes: Cell<Duration>,
    /// With which status it answers.
    status: Cell<u16>,
    server: Semaphore,
}

impl Capacity {
    fn new(per_second: u32) -> Rc<Self> {
        Rc::new(Self {
            takes: Cell::new(Duration::from_secs(1) / per_second),
            status: Cell::new(200),
            server: Semaphore::new(1),
        })
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(self.clone().serve(stream));
        }
    }

    async fn serve(self: Rc<Self>, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        while stream.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
            if !bytes.ends_with(b"\r\n\r\n") {
                continue;
            }
            bytes.clear();
            let serving = self.server.acquire().await.unwrap();
            sleep(self.takes.get()).await;
            drop(serving);
            let response = format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", self.status.get());
            if stream.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// Production, the mirror and the proxy.
struct Play {
    clock: StandingClock,
    production: Client,
    stats: Stats,
    capacity: Rc<Capacity>,
}

impl Play {
    /// Asks production for so long. Copies a second that were sent.
    async fn ask(&mut self, seconds: u32) -> f64 {
        let after = StandingClock::stop();
        let before = std::mem::replace(&mut self.clock, after);
        assert!(!before.ran_out(), "the machine is too slow for this test");
        drop(before);
        let sent = |m: &MirrorTotals| m.copies - shed(m);
        let start = sent(&self.mirror());
        for _ in 0..PER_SECOND * seconds {
            let asked = Instant::now();
            let request = Request::get("http://production/")
                .body(Full::<Bytes>::default())
                .unwrap();
            let response = self.production.ask(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(asked.elapsed().is_zero(), "production waited {:?}", asked.elapsed());
            self.clock.pass(Duration::from_secs(1) / PER_SECOND).await;
        }
        (sent(&self.mirror()) - start) as f64 / f64::from(seconds)
    }

    fn mirror(&self) -> MirrorTotals {
        self.stats.totals().mirrors[0].clone()
    }
}

fn shed(mirror: &MirrorTotals) -> u64 {
    mirror.outcomes[Outcome::Shed(ShedReason::Adaptive).index()]
}

fn play(mirror: &str, per_second: u32, act: impl AsyncFnOnce(&mut Play)) {
    let runtime: Runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let application = app::upstream().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let capacity = Capacity::new(per_second);
        spawn_local(capacity.clone().accept(listener));
        let config = format!(
            "listeners: [127.0.0.1:0]\nupstream: {}\nadmin: 127.0.0.1:0\nworkers: 1\n\
             mirrors: {{m: {{url: 'http://{address}', {mirror}}}}}\n",
            application.url(),
        );
        let config = mynah_config::parse(&config, Path::new("adaptive.yaml")).unwrap();
        let bound = mynah_proxy::build(config).unwrap();
        let proxy = bound.listeners()[0].0;
        let stats = bound.stats();
        let (life, stop) = bound.into_worker();
        let act = async {
            let mut play = Play {
                clock: StandingClock::stop(),
                production: client(proxy).await.unwrap(),
                stats: stats.clone(),
                capacity,
            };
            act(&mut play).await;
            drop(play);
            stop.drain();
        };
        tokio::join!(life, act);
        let totals = stats.totals();
        assert_eq!(totals.errors, [0; _], "production errors");
        let m = &totals.mirrors[0];
        assert_eq!((m.matched, m.copies), (totals.requests, totals.requests));
        assert_eq!(m.copies, m.outcomes.iter().sum::<u64>(), "the sums do not add up");
    });
}

#[test]
fn a_mirror_gets_about_what_it_can_serve_within_seconds_and_production_never_waits() {
    play("adaptive: true", 60, async |play| {
        for capacity in [60, 120, 30] {
            play.capacity.takes.set(Duration::from_secs(1) / capacity);
            play.ask(SETTLES).await;
            let rate = play.ask(8).await;
            let most = f64::from(capacity);
            assert!(
                (0.6 * most..=1.2 * most).contains(&rate),
                "{rate} copies a second of {capacity}"
            );
            let m = play.mirror();
            assert!(m.in_flight < u64::from(capacity), "{} copies wait", m.in_flight);
            assert_eq!(m.ratio, Ratio::ONE);
            let effective = m.effective_ratio.units() as f64 / 1e6 * f64::from(PER_SECOND);
            assert!(
                (0.3 * most..=1.8 * most).contains(&effective),
                "{effective} are to be sent"
            );
        }
    });
}

#[test]
fn a_mirror_that_can_serve_everything_gets_everything() {
    play("adaptive: true", 1000, async |play| {
        play.ask(SETTLES).await;
        assert_eq!(play.mirror().effective_ratio, Ratio::ONE);
        let before = shed(&play.mirror());
        play.ask(2).await;
        assert_eq!(shed(&play.mirror()), before);
    });
}

#[test]
fn a_mirror_that_answers_errors_gets_a_trickle_until_it_recovers() {
    play("adaptive: {floor: 2%}", 1000, async |play| {
        play.ask(4).await;
        play.capacity.status.set(503);
        play.ask(SETTLES).await;
        let trickle = play.ask(3).await;
        assert!((1.0..=12.0).contains(&trickle), "{trickle} copies a second");
        play.capacity.status.set(200);
        play.ask(3 * SETTLES).await;
        assert_eq!(play.mirror().effective_ratio, Ratio::ONE);
    });
}

#[test]
fn without_adaptive_nothing_is_held_back() {
    play("max_in_flight: 10", 30, async |play| {
        play.ask(3).await;
        let m = play.mirror();
        assert_eq!((shed(&m), m.effective_ratio), (0, Ratio::ONE));
    });
}
