//! Access logs: a line for each production request, and for each copy.
//!
//! What a line says of the request is put down when the request begins, in a [`Draft`]; the rest is added when it ends, in
//! whatever way: a draft that is dropped makes its line too. Lines gather in a buffer of the worker's and leave for the
//! log's own thread in one call that never waits; what does not fit there is dropped and counted. A log that is off costs
//! one look at an `Option`.

mod draft;
mod escape;
mod id;
mod sink;
mod subject;
mod template;
mod worker_log;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mynah_config::model::{AccessLog, Config, LogDestination};

pub(crate) use self::draft::{CLIENT_GONE, Draft};
pub(crate) use self::id::{GeneratedId, IdSource, RequestIds};
use self::sink::Sink;
pub(crate) use self::subject::{CopySubject, Logged, Subject};
use self::template::Template;
pub(crate) use self::worker_log::WorkerLog;
use crate::stats::{LogStats, LogTotals};

/// Every access log of a process: what reads and replaces configurations shares it, so that a log's file and counts
/// outlive a change of configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessLogs(Arc<Mutex<Logs>>);

#[derive(Debug, Default)]
struct Logs {
    /// By destination: two logs that go to the same place are written by the same thread.
    sinks: Vec<(LogDestination, Arc<Sink>)>,
    /// By mirror; production's is the one without.
    stats: BTreeMap<Option<String>, Arc<LogStats>>,
}

/// An access log, ready to be written to by every worker.
#[derive(Debug, Clone)]
pub(crate) struct LogPlan {
    template: Arc<Template>,
    sink: Arc<Sink>,
    stats: Arc<LogStats>,
    /// Bytes that may wait.
    buffer: usize,
    /// The field that tells a request's identifier.
    id: Option<String>,
}

impl AccessLogs {
    /// Production's log, or that of a mirror. Its file is opened by its thread, now or when that becomes possible.
    pub(crate) fn open(&self, log: &AccessLog, mirror: Option<&str>, config: &Config) -> std::io::Result<LogPlan> {
        let mut logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that no configuration has any more end once all is written.
        logs.sinks.retain(|(_, sink)| Arc::strong_count(sink) > 1);
        let known = logs.sinks.iter().find(|(to, _)| *to == log.destination);
        let sink = match known {
            Some((_, sink)) => sink.clone(),
            None => {
                let sink = Arc::new(Sink::start(log.destination.clone())?);
                logs.sinks.push((log.destination.clone(), sink.clone()));
                sink
            }
        };
        Ok(LogPlan {
            template: Arc::new(Template::compile(log, mirror)),
            sink,
            stats: logs.stats.entry(mirror.map(str::to_owned)).or_default().clone(),
            buffer: log.buffer.bytes() as usize,
            id: config.request_id.as_ref().map(|id| id.header.clone()),
        })
    }

    /// Opens every file anew, after it was moved away.
    pub(crate) fn reopen(&self) {
        self.each(|sink| sink.reopen());
    }

    /// Waits until everything is written, but no longer than this.
    pub(crate) fn finish(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut ends = Vec::new();
        self.each(|sink| ends.push(sink.finish()));
        for (end, destination) in ends {
            let rest = until.saturating_duration_since(Instant::now());
            if end.recv_timeout(rest).is_err() {
                tracing::warn!(%destination, "access log not written to its end");
            }
        }
    }

    fn each(&self, mut act: impl FnMut(&Sink)) {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.sinks.iter().for_each(|(_, sink)| act(sink));
    }

    /// What was written and dropped of every log.
    pub(crate) fn totals(&self) -> Vec<LogTotals> {
        let logs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logs.stats.iter().map(|(mirror, stats)| stats.totals(mirror)).collect()
    }
}

#[cfg(test)]
mod tests;
