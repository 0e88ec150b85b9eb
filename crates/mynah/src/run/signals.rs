//! SIGTERM and SIGINT: the first drains, the second ends at once. SIGHUP has the configuration read again, SIGUSR1 opens the
//! files of access logs anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use mynah_proxy::{ReloadHandle, StopHandle, Trigger};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that are caught from now on, and answered once there is something to stop.
pub(crate) struct Signals {
    runtime: Runtime,
    signals: Caught,
}

struct Caught {
    term: Signal,
    int: Signal,
    hangup: Signal,
    usr1: Signal,
}

/// Whether a second signal came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hurried(Arc<AtomicBool>);

impl Hurried {
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Signals {
    /// Catches them.
    pub(crate) fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let signals = Caught {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
        };
        drop(guard);
        Ok(Self { runtime, signals })
    }

    /// Answers them on a thread of their own.
    pub(crate) fn answer(mut self, stop: StopHandle, reload: ReloadHandle) -> io::Result<Hurried> {
        let hurried = Hurried::default();
        let report = hurried.clone();
        thread::Builder::new().name("mynah-signals".to_owned()).spawn(move || {
            let Self { runtime, signals } = &mut self;
            runtime.block_on(async {
                let name = signals.next(&stop, &reload).await;
                tracing::info!(signal = name, "draining");
                stop.drain();
                let name = signals.next(&stop, &reload).await;
                tracing::warn!(signal = name, "ending at once");
                report.0.store(true, Relaxed);
                stop.abort();
            });
        })?;
        Ok(hurried)
    }
}

impl Caught {
    /// The next signal to stop; others are answered meanwhile.
    async fn next(&mut self, stop: &StopHandle, reload: &ReloadHandle) -> &'static str {
        loop {
            tokio::select! {
                _ = self.term.recv() => return "SIGTERM",
                _ = self.int.recv() => return "SIGINT",
                _ = self.hangup.recv() => reload.request(Trigger::Signal),
                _ = self.usr1.recv() => {
                    tracing::info!(signal = "SIGUSR1", "opening access logs anew");
                    stop.reopen_logs();
                }
            }
        }
    }
}
