//! `mynah demo`: the whole of Mynah in one process, for somebody who sees it for the first time.
//!
//! A client asks a production application through the proxy, which copies a share of the requests to a test application.
//! The test application goes through the scenes of a bad day; the figures beside show that production's day stays good.
//! Applications, client and display live on this thread; the proxy has its own, as always.

mod applications;
mod client;
mod scene;
mod screen;
mod tally;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use mynah_config::Flags;
use mynah_config::model::Config;
use mynah_core::Ratio;
use mynah_proxy::{Stats, Totals};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use self::applications::{Application, Mood};
use self::client::{Answer, Client};
use self::scene::Scenes;
use self::screen::{Addresses, Screen};
use self::tally::Tally;
use crate::cli::DemoArgs;
use crate::failure::Failure;

/// How often the terminal is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
/// Copies get this long to end once nothing is asked any more.
const REST: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the demo.
pub(crate) fn demo(args: DemoArgs) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(show(args))
}

async fn show(args: DemoArgs) -> Result<(), Failure> {
    let production = Application::start("production").context("cannot start the production application")?;
    let test = Application::start("test").context("cannot start the test application")?;
    let mut scenes = Scenes::new(args.run_for);
    let config = configuration(production.address, test.address, args.ratio, scenes.length())?;
    let bound = mynah_proxy::build(config)?;
    let addresses = Addresses {
        proxy: bound.listeners()[0].0,
        production: production.address,
        test: test.address,
        admin: bound.admin().tcp().context("the demo has an admin port")?,
    };
    let stats = bound.stats();
    let running = bound.start()?;
    let mut screen = Screen::open(addresses, args.ratio)?;

    let (answers, answered) = mpsc::unbounded_channel();
    let client = Client::start(addresses.proxy, &answers);
    drop(answers);
    let mut observer = Observer {
        answered,
        before: stats.totals(),
        stats: &stats,
    };
    play(&mut scenes, &mut observer, &test, &mut screen, args.run_for).await?;

    test.become_(Mood::Well);
    client.stop().await;
    let rested = timeout(REST, at_rest(&stats)).await;
    observer.look(scenes.tally_mut());
    screen.close(&scenes, &observer.before, test.received())?;
    running.stop_handle().drain();
    tokio::task::spawn_blocking(|| running.wait()).await?;
    if rested.is_err() || !observer.before.mirrors.iter().all(tally::adds_up) {
        return Err(anyhow!("the counts do not add up: this is a defect").into());
    }
    Ok(())
}

/// Scene after scene, until the time is over or somebody has seen enough.
async fn play(
    scenes: &mut Scenes,
    observer: &mut Observer<'_>,
    test: &Application,
    screen: &mut Screen,
    run_for: Option<Duration>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut redraw = interval(REDRAW);
    let end = run_for.map(|time| Instant::now() + time);
    let over = async {
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut next_scene = Instant::now() + scenes.length();
    loop {
        tokio::select! {
            () = &mut over => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = sleep_until(next_scene) => {
                observer.look(scenes.tally_mut());
                screen.scene_ended(scenes)?;
                scenes.next();
                test.become_(scenes.current().mood());
                next_scene += scenes.length();
            }
            _ = redraw.tick() => {
                observer.look(scenes.tally_mut());
                screen.draw(scenes, &observer.before, test.received(), next_scene - Instant::now())?;
            }
        }
    }
}

/// Counts what happens.
struct Observer<'a> {
    answered: mpsc::UnboundedReceiver<Answer>,
    before: Totals,
    stats: &'a Stats,
}

impl Observer<'_> {
    /// Adds to `tally` what happened since the last look.
    fn look(&mut self, tally: &mut Tally) {
        while let Ok(answer) = self.answered.try_recv() {
            tally.saw(answer);
        }
        let now = self.stats.totals();
        tally.counted(&self.before, &now);
        self.before = now;
    }
}

/// Waits until every copy has ended.
async fn at_rest(stats: &Stats) {
    let under_way = |t: &Totals| t.mirrors.iter().any(|m| m.copies != m.outcomes.iter().sum::<u64>());
    while under_way(&stats.totals()) {
        sleep(LOOK).await;
    }
}

/// One listener, one mirror, everything on free ports; times that fit into a scene.
fn configuration(production: SocketAddr, test: SocketAddr, ratio: Ratio, scene: Duration) -> Result<Config, Failure> {
    let flags = Flags {
        listen: "127.0.0.1:0".to_owned(),
        upstream: format!("http://{production}"),
        mirrors: vec![format!("test=http://{test}")],
        ratio: Some(ratio),
        workers: Some(1),
        admin: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()),
    };
    let mut config = mynah_config::from_flags(flags).map_err(|errors| Failure::Refused(errors.to_string()))?;
    for mirror in &mut config.mirrors {
        mirror.max_in_flight = 20;
        mirror.timeout = (scene / 4).min(Duration::from_secs(1));
        mirror.breaker.failures = 5;
        mirror.breaker.open_for = (scene / 30).min(Duration::from_millis(250));
    }
    Ok(config)
}
