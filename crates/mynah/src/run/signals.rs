//! SIGTERM and SIGINT: the first drains, the second ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use mynah_proxy::StopHandle;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that are caught from now on, and answered once there is something to stop.
pub(crate) struct Signals {
    runtime: Runtime,
    term: Signal,
    int: Signal,
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
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(guard);
        Ok(Self { runtime, term, int })
    }

    /// Answers them on a thread of their own.
    pub(crate) fn stop(mut self, handle: StopHandle) -> io::Result<Hurried> {
        let hurried = Hurried::default();
        let report = hurried.clone();
        thread::Builder::new().name("mynah-signals".to_owned()).spawn(move || {
            let Self { runtime, term, int } = &mut self;
            runtime.block_on(async {
                let name = next(term, int).await;
                tracing::info!(signal = name, "draining");
                handle.drain();
                let name = next(term, int).await;
                tracing::warn!(signal = name, "ending at once");
                report.0.store(true, Relaxed);
                handle.abort();
            });
        })?;
        Ok(hurried)
    }
}

async fn next(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
