//! The data plane of Mynah: takes over a port, forwards everything unchanged, copies a share of it.
//!
//! The files follow a request: `listener → client → route → tee → upstream`, with a `lane` for each mirror beside.
//! Nothing on that way is shared between threads: a worker is one thread with its own sockets, connections, lanes and
//! counters. [`build`] is the table of contents; it makes every part and binds every address before anything runs.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod access_log;
mod admin;
mod alarm;
mod bind;
mod client;
mod connect;
mod exchange;
mod lane;
mod listener;
mod metrics;
mod out;
mod plan;
pub mod proxy_protocol;
mod reload;
pub mod resolve;
mod route;
mod snapshot;
mod source;
mod stats;
pub mod stream;
mod tee;
pub mod tls;
mod upstream;
mod worker;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mynah_config::model::{AdminAddress, Config};
use mynah_config::{Loaded, Source};
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::access_log::AccessLogs;
use crate::admin::{Access, Admin, AdminListener, Purpose};
use crate::bind::{BindError, Listeners};
use crate::plan::Plan;
pub use crate::plan::PlanError;
use crate::reload::{Control, Requests};
pub use crate::reload::{ReloadError, ReloadHandle, Report, Trigger};
use crate::resolve::Resolver;
pub use crate::stats::{
    ConfigTotals, LATENCY_BUCKETS_US, LatencyTotals, LogTotals, MirrorTotals, ProductionError, Side, Stats, Totals,
};
use crate::worker::{Command, Unstarted};

/// How long the end may wait for the last lines of access logs to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The system refused a thread or an event queue.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// What the program that runs the proxy tells the admin side.
pub struct About {
    /// Its version.
    pub version: String,
    /// What it logs.
    pub log_level: LogLevel,
}

impl Default for About {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_level: LogLevel {
                get: Box::new(|| "off".to_owned()),
                set: Box::new(|_| Err("this program has no log whose level could be set".to_owned())),
            },
        }
    }
}

/// How the level of a log is read and set.
pub struct LogLevel {
    /// Tells it.
    pub get: Box<dyn Fn() -> String + Send + Sync>,
    /// Sets it; the error says what was expected.
    #[allow(clippy::type_complexity, reason = "it is what it says")]
    pub set: Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>,
}

/// A proxy with every address bound and every certificate read, that does not run yet.
pub struct Bound {
    plan: Arc<Plan>,
    listeners: Vec<(SocketAddr, bool)>,
    admin: AdminListener,
    admin_address: AdminAddress,
    metrics: Option<AdminListener>,
    metrics_address: Option<SocketAddr>,
    about: About,
    workers: Vec<Unstarted>,
    stop: StopHandle,
    reload: ReloadHandle,
    requests: Requests,
    changes: Control,
    control: Runtime,
}

/// Makes every part of a proxy and binds every address. Its configuration changes only by [`ReloadHandle::apply`].
pub fn build(config: Config) -> Result<Bound, StartError> {
    let loaded = Loaded {
        config,
        shown: String::new(),
        hash: String::new(),
    };
    build_from(None, loaded)
}

/// The same with what was loaded from a source, which is read again when it changes and on demand.
pub fn build_from(source: Option<Source>, loaded: Loaded) -> Result<Bound, StartError> {
    let config = loaded.config;
    let control = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("mynah-control")
        .enable_all()
        .build()?;
    let (listeners, sockets) = Listeners::default().change(&config)?;
    let admin = bind::admin(config.admin.address.clone())?;
    let admin_address = match admin.tcp()? {
        Some(address) => address.into(),
        None => config.admin.address.clone(),
    };
    let metrics = config
        .admin
        .metrics
        .map(|address| bind::admin(address.into()))
        .transpose()?;
    let metrics_address = metrics.as_ref().map(AdminListener::tcp).transpose()?.flatten();
    let resolver = Resolver::new(control.handle().clone());
    let plan = Arc::new(Plan::load(config, &resolver, None)?);
    plan.publish(false);
    let mut commands = Vec::new();
    let workers = sockets
        .into_iter()
        .enumerate()
        .map(|(id, sockets)| {
            let (sender, receiver) = mpsc::unbounded_channel();
            commands.push(sender);
            Unstarted {
                id,
                plan: plan.clone(),
                listeners: listeners.ids(),
                sockets,
                commands: receiver,
            }
        })
        .collect();
    let stop = StopHandle {
        commands: commands.into(),
        drains: Arc::default(),
        access_logs: plan.stats.access_logs.clone(),
    };
    let (reload, requests) = ReloadHandle::new();
    Ok(Bound {
        listeners: listeners
            .addresses()
            .zip(plan.config.listeners.iter().map(|listener| listener.tls.is_some()))
            .collect(),
        changes: Control::new(
            source,
            (loaded.hash, loaded.shown),
            resolver,
            plan.clone(),
            listeners,
            stop.commands.clone(),
        ),
        plan,
        admin,
        admin_address,
        metrics,
        metrics_address,
        about: About::default(),
        workers,
        stop,
        reload,
        requests,
        control,
    })
}

impl Bound {
    /// The addresses bound for clients, in the order of the configuration, and whether TLS is spoken there.
    pub fn listeners(&self) -> &[(SocketAddr, bool)] {
        &self.listeners
    }

    /// The admin address.
    pub fn admin(&self) -> &AdminAddress {
        &self.admin_address
    }

    /// The address of metrics and health checks alone, if there is one.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Tells the admin side about the program.
    pub fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The configuration that will run.
    pub fn config(&self) -> &Config {
        &self.plan.config
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.plan.stats.clone()
    }

    /// Starts the workers, a thread each, and the admin side.
    pub fn start(self) -> Result<Running, StartError> {
        let stats = self.stats();
        let stop = self.stop.clone();
        let reload = self.reload.clone();
        let access = Access::of(&self.plan.config.admin);
        access.tell(&self.admin_address);
        let admin = Arc::new(Admin {
            stats,
            stop: stop.clone(),
            reload: reload.clone(),
            about: self.about,
        });
        self.control
            .spawn(admin::serve(self.admin, Purpose::Api(access), admin.clone()));
        if let Some(metrics) = self.metrics {
            self.control.spawn(admin::serve(metrics, Purpose::Metrics, admin));
        }
        self.control.spawn(self.changes.run(self.reload, self.requests));
        let mut threads = Vec::new();
        for worker in self.workers {
            let name = format!("mynah-worker-{}", worker.id);
            threads.push(thread::Builder::new().name(name).spawn(move || -> io::Result<()> {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())?;
                runtime.block_on(worker.run());
                Ok(())
            })?);
        }
        Ok(Running {
            threads,
            stop,
            reload,
            _control: self.control,
        })
    }

    /// The single worker's life as a future, for a runtime whose clock a test holds. The admin side does not run.
    ///
    /// # Panics
    /// If the configuration has more than one worker.
    pub fn into_worker(mut self) -> (impl Future<Output = ()>, StopHandle) {
        assert_eq!(self.workers.len(), 1, "one worker runs on the current thread");
        let stop = self.stop.clone();
        let worker = self.workers.remove(0);
        let control = self.control;
        let life = async move {
            LocalSet::new().run_until(worker.run()).await;
            control.shutdown_background();
        };
        (life, stop)
    }
}

/// A proxy that runs.
pub struct Running {
    threads: Vec<thread::JoinHandle<io::Result<()>>>,
    stop: StopHandle,
    reload: ReloadHandle,
    _control: Runtime,
}

impl Running {
    /// What stops it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// What has it read its configuration again.
    pub fn reload_handle(&self) -> ReloadHandle {
        self.reload.clone()
    }

    /// Waits until every worker has ended. Whether all of them ended well.
    pub fn wait(self) -> bool {
        let ends: Vec<_> = self.threads.into_iter().map(thread::JoinHandle::join).collect();
        self.stop.access_logs.finish(LAST_LINES);
        ends.iter().all(|ended| matches!(ended, Ok(Ok(()))))
    }
}

/// Stops a proxy, and tells it of what happens to its files.
#[derive(Debug, Clone)]
pub struct StopHandle {
    commands: Arc<[mpsc::UnboundedSender<Command>]>,
    drains: Arc<std::sync::atomic::AtomicBool>,
    access_logs: AccessLogs,
}

impl StopHandle {
    /// Accepts no more clients, lets production requests finish within the drain timeout and copies within a second after
    /// that, and ends.
    pub fn drain(&self) {
        self.drains.store(true, std::sync::atomic::Ordering::Relaxed);
        self.send(|| Command::Drain);
    }

    /// Ends at once.
    pub fn abort(&self) {
        self.send(|| Command::Abort);
    }

    /// Whether a drain was asked for.
    pub fn is_draining(&self) -> bool {
        self.drains.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Opens the files of access logs anew, after they were moved away.
    pub fn reopen_logs(&self) {
        self.access_logs.reopen();
    }

    /// Sheds the copies under way to a mirror, or to all. Returns when every worker has.
    pub(crate) async fn shed(&self, mirror: Option<&str>) {
        let mirror: Option<Arc<str>> = mirror.map(Into::into);
        let (done, mut all_done) = mpsc::channel::<Infallible>(1);
        self.send(|| Command::Shed(mirror.clone(), done.clone()));
        drop(done);
        let _ = all_done.recv().await;
    }

    fn send(&self, command: impl Fn() -> Command) {
        for worker in &*self.commands {
            // A worker that has ended needs no command.
            let _ = worker.send(command());
        }
    }
}
