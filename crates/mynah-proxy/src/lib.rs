//! The data plane of Mynah: takes over a port, forwards everything unchanged, copies a share of it.
//!
//! The files follow a request: `listener → client → route → tee → upstream`, with a `lane` for each mirror beside.
//! Nothing on that way is shared between threads: a worker is one thread with its own sockets, connections, lanes and
//! counters. [`build`] is the table of contents; it makes every part and binds every address before anything runs.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod admin;
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
pub mod resolve;
mod route;
mod snapshot;
mod stats;
pub mod stream;
mod tee;
pub mod tls;
mod upstream;
mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use mynah_config::model::Config;
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::bind::BindError;
use crate::plan::Plan;
pub use crate::plan::PlanError;
use crate::resolve::Resolver;
pub use crate::stats::{LATENCY_BUCKETS_US, LatencyTotals, MirrorTotals, ProductionError, Side, Stats, Totals};
use crate::worker::{Command, Unstarted};

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

/// A proxy with every address bound and every certificate read, that does not run yet.
pub struct Bound {
    plan: Arc<Plan>,
    listeners: Vec<(SocketAddr, bool)>,
    admin: TcpListener,
    admin_address: SocketAddr,
    workers: Vec<Unstarted>,
    stop: StopHandle,
    control: Runtime,
}

/// Makes every part of a proxy and binds every address.
pub fn build(config: Config) -> Result<Bound, StartError> {
    let control = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("mynah-control")
        .enable_all()
        .build()?;
    let sockets = bind::listeners(&config)?;
    let admin = bind::admin(config.admin)?;
    let listeners = sockets
        .iter()
        .zip(&config.listeners)
        .map(|(s, l)| (s.address, l.tls.is_some()))
        .collect();
    let plan = Arc::new(Plan::load(config, &Resolver::new(control.handle().clone()))?);
    let mut commands = Vec::new();
    let mut per_worker: Vec<Vec<TcpListener>> = (0..plan.config.workers).map(|_| Vec::new()).collect();
    for socket in sockets {
        per_worker
            .iter_mut()
            .zip(socket.sockets)
            .for_each(|(worker, socket)| worker.push(socket));
    }
    let workers = per_worker
        .into_iter()
        .enumerate()
        .map(|(id, listeners)| {
            let (sender, receiver) = mpsc::unbounded_channel();
            commands.push(sender);
            Unstarted {
                id,
                plan: plan.clone(),
                listeners,
                commands: receiver,
            }
        })
        .collect();
    let stop = StopHandle {
        commands: commands.into(),
        drains: Arc::default(),
    };
    let admin_address = admin.local_addr()?;
    Ok(Bound {
        plan,
        listeners,
        admin,
        admin_address,
        workers,
        stop,
        control,
    })
}

impl Bound {
    /// The addresses bound for clients, in the order of the configuration, and whether TLS is spoken there.
    pub fn listeners(&self) -> &[(SocketAddr, bool)] {
        &self.listeners
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.admin_address
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
        self.admin.set_nonblocking(true)?;
        self.control.spawn(admin::serve(self.admin, stats, stop.clone()));
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
    _control: Runtime,
}

impl Running {
    /// What stops it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until every worker has ended. Whether all of them ended well.
    pub fn wait(self) -> bool {
        let ends: Vec<_> = self.threads.into_iter().map(thread::JoinHandle::join).collect();
        ends.iter().all(|ended| matches!(ended, Ok(Ok(()))))
    }
}

/// Stops a proxy.
#[derive(Debug, Clone)]
pub struct StopHandle {
    commands: Arc<[mpsc::UnboundedSender<Command>]>,
    drains: Arc<std::sync::atomic::AtomicBool>,
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

    fn send(&self, command: impl Fn() -> Command) {
        for worker in &*self.commands {
            // A worker that has ended needs no command.
            let _ = worker.send(command());
        }
    }
}
