//! Taking up a new configuration while everything runs.
//!
//! On the control thread, one reload after the other: the source is read and validated, certificates are loaded and new
//! addresses bound, and only when all of that has worked is anything changed. Then each worker is given the new plan and its
//! sockets, and works by it from the next request on. If anything is wrong, nothing changes.
//!
//! Number of workers and admin address are what the process was built with; a configuration that changes them is applied
//! but for that, and the [`Report`] says so.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mynah_config::model::Config;
use mynah_config::watch::{Pace, Watch, is_mounted_by_itself};
use mynah_config::{Loaded, Source};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::bind::{BindError, Listeners};
use crate::plan::{Contents, Plan, PlanError};
use crate::resolve::Resolver;
use crate::worker::{Command, Update};

/// Why a configuration is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The file, or one that it names, has changed.
    File,
    /// SIGHUP.
    Signal,
    /// The admin API.
    Api,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Signal => "signal",
            Self::Api => "api",
        }
    }
}

/// What a reload has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Configurations taken into use so far, with this one.
    pub generation: u64,
    /// The hash of the file; empty without a file.
    pub hash: String,
    /// Keys whose change needs a restart and was left out.
    pub needs_restart: Vec<&'static str>,
    /// What had been changed at run time and is as configured again.
    pub replaced: Vec<String>,
}

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong; every error is told, one a line.
    #[error(transparent)]
    Config(#[from] mynah_config::Errors),
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no file to read again.
    #[error("the configuration was given with flags; there is no file to read again")]
    NoFile,
    /// The proxy is stopping.
    #[error("stopping; no configuration is taken up any more")]
    Stopping,
}

/// Has a running proxy read its configuration again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::UnboundedSender<Request>);

struct Request {
    trigger: Trigger,
    /// Instead of what the source says.
    given: Option<Box<Loaded>>,
    reply: Option<oneshot::Sender<Result<Report, ReloadError>>>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("trigger", &self.trigger)
            .finish_non_exhaustive()
    }
}

impl ReloadHandle {
    pub(crate) fn new() -> (Self, Requests) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Requests(receiver))
    }

    /// Reads the source again. Returns when every worker works by it, or nothing has changed.
    pub async fn reload(&self, trigger: Trigger) -> Result<Report, ReloadError> {
        self.ask(trigger, None).await
    }

    /// Takes up this configuration, wherever it comes from.
    pub async fn apply(&self, loaded: Loaded) -> Result<Report, ReloadError> {
        self.ask(Trigger::Api, Some(Box::new(loaded))).await
    }

    /// Has the source read again, without waiting for what becomes of it.
    pub fn request(&self, trigger: Trigger) {
        // A proxy that has ended takes nothing up.
        let _ = self.0.send(Request {
            trigger,
            given: None,
            reply: None,
        });
    }

    async fn ask(&self, trigger: Trigger, given: Option<Box<Loaded>>) -> Result<Report, ReloadError> {
        let (sender, receiver) = oneshot::channel();
        let reply = Some(sender);
        let sent = self.0.send(Request { trigger, given, reply });
        sent.map_err(|_| ReloadError::Stopping)?;
        receiver.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

/// What is asked of [`Control`].
pub(crate) struct Requests(mpsc::UnboundedReceiver<Request>);

/// The side of the running configuration that changes it.
pub(crate) struct Control {
    source: Option<Source>,
    resolver: Resolver,
    plan: Arc<Plan>,
    listeners: Listeners,
    commands: Arc<[mpsc::UnboundedSender<Command>]>,
    /// Ends when the listeners are closed that the last reload removed.
    closing: Option<mpsc::Receiver<Infallible>>,
    /// What was read last, whether it was taken up or not.
    last: Option<Last>,
    watch: Option<Watch>,
}

/// What was read last.
#[derive(PartialEq)]
enum Last {
    Applied { hash: String, files: Contents },
    Refused(String),
}

impl Control {
    pub(crate) fn new(
        source: Option<Source>,
        (hash, shown): (String, String),
        resolver: Resolver,
        plan: Arc<Plan>,
        listeners: Listeners,
        commands: Arc<[mpsc::UnboundedSender<Command>]>,
    ) -> Self {
        let files = Contents::of(plan.config.files());
        let control = Self {
            last: Some(Last::Applied {
                hash: hash.clone(),
                files,
            }),
            source,
            resolver,
            plan,
            listeners,
            commands,
            closing: None,
            watch: None,
        };
        control.taken_up(hash, shown);
        control
    }

    /// Reloads as it is asked to, and when files change, until the runtime ends.
    pub(crate) async fn run(mut self, handle: ReloadHandle, mut requests: Requests) {
        self.start_watch(handle);
        while let Some(Request { trigger, given, reply }) = requests.0.recv().await {
            let result = self.reload(trigger, given).await;
            if let (Some(reply), Some(result)) = (reply, result) {
                // Whoever asked may have gone.
                let _ = reply.send(result);
            }
        }
    }

    fn start_watch(&mut self, handle: ReloadHandle) {
        let Some(file) = self.source.as_ref().and_then(Source::file) else {
            return;
        };
        if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            // A pipe, say, which would be empty the second time.
            tracing::info!(file = %file.display(), "not a regular file: changes are not noticed");
            return;
        }
        let files = self.files(&self.plan.config);
        for file in files.iter().filter(|file| is_mounted_by_itself(file)) {
            tracing::warn!(
                file = %file.display(),
                "the file is mounted by itself, as with a subPath: Kubernetes never updates it; mount its folder instead"
            );
        }
        match Watch::start(files, Pace::default(), move || handle.request(Trigger::File)) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => tracing::warn!(%error, "files are not watched; SIGHUP has them read again"),
        }
    }

    /// The file and all that it names.
    fn files(&self, config: &Config) -> Vec<PathBuf> {
        let source = self.source.as_ref().and_then(Source::file);
        let mut files: Vec<_> = source.into_iter().chain(config.files()).map(PathBuf::from).collect();
        files.dedup();
        files
    }

    /// What became of it; none when there was nothing new.
    async fn reload(&mut self, trigger: Trigger, given: Option<Box<Loaded>>) -> Option<Result<Report, ReloadError>> {
        if let Some(closing) = &mut self.closing {
            // An address that is being closed cannot be bound again yet.
            let _ = closing.recv().await;
            self.closing = None;
        }
        let loaded = match given {
            Some(loaded) => Ok(*loaded),
            None => self.load().await,
        };
        let result = match loaded {
            Ok(loaded) => {
                let last = Last::Applied {
                    hash: loaded.hash.clone(),
                    files: Contents::of(loaded.config.files()),
                };
                if trigger == Trigger::File && self.last.as_ref() == Some(&last) {
                    return None;
                }
                // Where a certificate alone is new, nobody has said anything about ratios.
                let same_text = matches!(&self.last, Some(Last::Applied { hash, .. }) if *hash == loaded.hash);
                let result = self.take_up(loaded, trigger == Trigger::File && same_text).await;
                if result.is_ok() {
                    self.last = Some(last);
                }
                result
            }
            Err(error) => Err(error),
        };
        match &result {
            Ok(report) => {
                self.plan.stats.config.applied.add(1);
                let Report { generation, hash, .. } = report;
                tracing::info!(trigger = trigger.as_str(), generation, hash, "configuration reloaded");
                for change in &report.replaced {
                    tracing::warn!(change, "a change at run time was replaced by what is configured");
                }
                for key in &report.needs_restart {
                    tracing::warn!(key, "the change of this key needs a restart; the rest is applied");
                }
                self.watch_on(false);
            }
            Err(error) => {
                let last = Some(Last::Refused(error.to_string()));
                if trigger == Trigger::File && self.last == last {
                    return None;
                }
                self.last = last;
                self.plan.stats.config.refused.add(1);
                let errors = error.to_string().replace('\n', "; ");
                tracing::error!(
                    trigger = trigger.as_str(),
                    errors,
                    "configuration refused; the running one stays"
                );
                self.watch_on(true);
            }
        }
        Some(result)
    }

    /// After a refusal at every look: what is missing may be a file that nobody could name.
    fn watch_on(&self, again: bool) {
        if let Some(watch) = &self.watch {
            watch.set_files(self.files(&self.plan.config), again);
        }
    }

    async fn load(&self) -> Result<Loaded, ReloadError> {
        match &self.source {
            Some(source) if source.file().is_some() => {
                let source = source.clone();
                let loading = spawn_blocking(move || source.load()).await;
                Ok(loading.map_err(|_| ReloadError::Stopping)??)
            }
            _ => Err(ReloadError::NoFile),
        }
    }

    /// Everything that can fail comes before anything that changes.
    async fn take_up(&mut self, loaded: Loaded, keep_changes: bool) -> Result<Report, ReloadError> {
        let Loaded {
            mut config,
            shown,
            hash,
        } = loaded;
        let running = &self.plan.config;
        let mut needs_restart = Vec::new();
        if config.workers != running.workers {
            needs_restart.push("workers");
            config.workers = running.workers;
        }
        if config.admin != running.admin {
            needs_restart.push("admin");
            config.admin = running.admin.clone();
        }
        let (resolver, before) = (self.resolver.clone(), self.plan.clone());
        let loading = spawn_blocking(move || Plan::load(config, &resolver, Some(&before))).await;
        let plan = Arc::new(loading.map_err(|_| ReloadError::Stopping)??);
        let (listeners, sockets) = self.listeners.change(&plan.config)?;
        self.plan = plan;
        for address in listeners.without(&self.listeners) {
            tracing::info!(%address, "listener opened");
        }
        for address in self.listeners.without(&listeners) {
            tracing::info!(%address, "listener closed; its clients stay");
        }
        self.listeners = listeners;
        let replaced = self.plan.publish(keep_changes);
        self.hand_out(sockets).await;
        Ok(Report {
            generation: self.taken_up(hash.clone(), shown),
            hash,
            needs_restart,
            replaced,
        })
    }

    /// Gives the plan to every worker, and waits until all of them work by it.
    async fn hand_out(&mut self, sockets: Vec<Vec<crate::bind::Socket>>) {
        let (applied, mut all_applied) = mpsc::channel(1);
        let (closed, all_closed) = mpsc::channel(1);
        for (worker, sockets) in self.commands.iter().zip(sockets) {
            // A worker that has ended needs no plan.
            let _ = worker.send(Command::Apply(Box::new(Update {
                plan: self.plan.clone(),
                listeners: self.listeners.ids(),
                sockets,
                applied: applied.clone(),
                closed: closed.clone(),
            })));
        }
        drop((applied, closed));
        let _ = all_applied.recv().await;
        self.closing = Some(all_closed);
    }

    /// Counts a configuration as taken into use.
    fn taken_up(&self, hash: String, shown: String) -> u64 {
        let stats = &self.plan.stats.config;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        stats.applied_at.set(now.as_secs());
        stats.generation.add(1);
        stats.hash.store(Arc::new(hash));
        stats.shown.store(Arc::new(shown));
        stats.generation.get()
    }
}
