//! A proxy with an application, a mirror and a clock; and the books that every cell of the matrix ends with.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mynah_core::Outcome;
use mynah_proxy::{MirrorTotals, Stats, Totals};
use mynah_testkit::app::{self, App, Seen};
use mynah_testkit::client::Client;
use mynah_testkit::clock::StandingClock;
use mynah_testkit::ill::{Behaviour, ill_mirror};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

use crate::behaviours::ends;

/// Bounds that the load of a cell would pass if they did not hold.
pub(crate) const BOUNDS: &str = "max_in_flight: 64, max_connections: 16, window: 4MiB, max_response: 64KiB";
/// The same for a mirror that takes whatever is sent. How far it falls behind production is up to the kernel, so no window
/// that is smaller than a large body lets every copy of one through.
const WIDE_BOUNDS: &str = "max_in_flight: 64, max_connections: 16, window: 64MiB, max_response: 64KiB";
pub(crate) const MAX_IN_FLIGHT: u64 = 64;
pub(crate) const MAX_CONNECTIONS: u64 = 16;
const MAX_HELD_BYTES: u64 = 6 * 1024 * 1024;
/// Two copies of the largest body, and what is around them.
const WIDE_MAX_HELD_BYTES: u64 = 130 * 1024 * 1024;
/// Longer than any copy, and any request, may take.
const LONG: Duration = Duration::from_secs(60);

/// What is played on.
pub(crate) struct Stage {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    pub(crate) clock: StandingClock,
    stats: Stats,
    application: App,
}

/// What is asked of production in a cell.
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// Whether their bodies are larger than what may wait for a mirror.
    pub(crate) large: bool,
}

/// Plays a cell. Its production part is over when every request has been answered.
pub(crate) fn play(behaviour: Behaviour, load: &Load, production: impl AsyncFnOnce(&Stage)) {
    let takes_all = matches!(behaviour, Behaviour::Healthy | Behaviour::Endless);
    let (bounds, max_held_bytes) = if load.large && takes_all {
        (WIDE_BOUNDS, WIDE_MAX_HELD_BYTES)
    } else {
        (BOUNDS, MAX_HELD_BYTES)
    };
    let set = async || {
        let mirror = ill_mirror(behaviour).await;
        let config = format!("url: '{}', ratio: 150%, {bounds}", mirror.url());
        (mirror, config)
    };
    let totals = perform(set, max_held_bytes, async |stage, _| {
        let started = Instant::now();
        // Passes only once the clock has given up standing still.
        let served = timeout(LONG, production(stage)).await;
        assert!(served.is_ok(), "production was never served");
        assert!(
            started.elapsed().is_zero() && !stage.clock.ran_out(),
            "production was served only after {:?}",
            started.elapsed()
        );
        stage.served(load);
        stage.at_rest(behaviour, load).await;
    });
    let ill = &totals.mirrors[0];
    assert_eq!((totals.connections, ill.connections, ill.in_flight), (0, 0, 0));
}

/// Puts a proxy between an application and a mirror, of which `set` tells the configuration, acts, and drains the proxy. The
/// books at the end.
pub(crate) fn perform<M>(
    set: impl AsyncFnOnce() -> (M, String),
    max_held_bytes: u64,
    act: impl AsyncFnOnce(&Stage, &M),
) -> Totals {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (application, (mirror, config)) = runtime.block_on(async { (app::upstream().await, set().await) });
    let config = format!(
        "listeners: [127.0.0.1:0]\n\
         upstream: {}\n\
         mirrors: {{mirror: {{{config}}}}}\n\
         max_held_bytes: {}KiB\n\
         admin: 127.0.0.1:0\n\
         workers: 1\n",
        application.url(),
        max_held_bytes / 1024
    );
    let config = mynah_config::parse(&config, Path::new("isolation.yaml")).unwrap();
    let bound = mynah_proxy::build(config).unwrap();
    let address = bound.listeners()[0].0;
    let stats = bound.stats();
    let (life, stop) = bound.into_worker();
    runtime.block_on(async {
        let act = async {
            let stage = Stage {
                address,
                clock: StandingClock::stop(),
                stats: stats.clone(),
                application,
            };
            act(&stage, &mirror).await;
            drop(stage);
            stop.drain();
        };
        tokio::join!(watched(life, &stats, max_held_bytes), act);
    });
    stats.totals()
}

/// The worker, whose books are looked at after each of its turns.
async fn watched(life: impl Future<Output = ()>, stats: &Stats, max_held_bytes: u64) {
    let mut life = pin!(life);
    poll_fn(|cx| {
        let ended = life.as_mut().poll(cx);
        let totals = stats.totals();
        let mirror = &totals.mirrors[0];
        let (held, in_flight, connections) = (totals.held_bytes, mirror.in_flight, mirror.connections);
        assert!(held <= max_held_bytes, "{held} bytes held");
        assert!(in_flight <= MAX_IN_FLIGHT, "{in_flight} copies in flight");
        assert!(connections <= MAX_CONNECTIONS, "{connections} connections");
        assert_eq!(mirror.copies, in_flight + mirror.outcomes.iter().sum::<u64>());
        ended
    })
    .await;
}

impl Stage {
    /// The books now.
    pub(crate) fn totals(&self) -> Totals {
        self.stats.totals()
    }

    /// Waits, without time passing, until so many copies have ended.
    pub(crate) async fn ended(&self, copies: u64) {
        let ended = || self.totals().mirrors[0].outcomes.iter().sum::<u64>() >= copies;
        assert!(self.clock.until(ended).await, "{:?}", ended_of(&self.totals()));
    }

    /// What production has received.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.application.seen()
    }

    /// Every request had this body.
    pub(crate) fn received(&self, body: &Bytes) {
        let seen = self.application.seen();
        assert!(
            seen.iter().all(|request| request.body == body),
            "the body that arrived is another"
        );
    }

    /// Every request reached the application once and whole, and nothing went wrong.
    fn served(&self, load: &Load) {
        let totals = self.stats.totals();
        assert_eq!(totals.errors, [0; _], "production errors");
        assert_eq!((totals.requests, totals.responses[1]), (load.requests, load.requests));
        let seen = self.application.seen();
        assert_eq!(seen.len() as u64, load.requests);
        assert!(seen.iter().all(|request| request.complete));
    }

    /// Lets time pass until no copy is under way; then every copy has ended, as the mirror's behaviour has it.
    async fn at_rest(&self, behaviour: Behaviour, load: &Load) {
        let rests = || self.stats.totals().mirrors[0].in_flight == 0;
        let rested = self.clock.pass_until(LONG, rests).await;
        let totals = self.stats.totals();
        let ill = &totals.mirrors[0];
        assert!(rested, "{} copies never end: {:?}", ill.in_flight, ended(ill));
        assert_eq!(totals.held_bytes, 0, "bytes held for nothing");
        assert_eq!(totals.errors, [0; _], "production errors");
        // One and a half copies for each request.
        assert_eq!((ill.matched, ill.copies), (load.requests, load.requests * 3 / 2));
        let ends = ends(behaviour, load.large);
        let all = ended(ill);
        assert!(all.iter().any(|(outcome, _)| *outcome == ends.mostly), "{all:?}");
        let unexpected = all
            .iter()
            .find(|(outcome, _)| *outcome != ends.mostly && !ends.others.contains(outcome));
        assert_eq!(unexpected, None, "{all:?}");
    }
}

/// How often copies to the only mirror ended how.
pub(crate) fn ended_of(totals: &Totals) -> Vec<(Outcome, u64)> {
    ended(&totals.mirrors[0])
}

fn ended(mirror: &MirrorTotals) -> Vec<(Outcome, u64)> {
    let all = Outcome::all().zip(mirror.outcomes);
    all.filter(|(_, n)| *n > 0).collect()
}

/// A request whose body comes back.
pub(crate) fn echo(body: &'static [u8]) -> Request<Full<Bytes>> {
    Request::post("http://production/echo").body(Full::from(body)).unwrap()
}

/// Asks for an echo, and checks it.
pub(crate) async fn ask(client: &mut Client, body: &'static [u8]) {
    let response = client.ask(echo(body)).await.expect("production answers");
    assert_eq!(response.status(), 200);
    assert!(response.body() == body, "what comes back is not what was sent");
}
