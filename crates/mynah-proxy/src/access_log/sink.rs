//! The thread that writes a log, and the bounded way to it.
//!
//! Handing lines over is one call that never waits. When the disk stalls, lines wait up to the log's bound and are dropped
//! past it, whole and counted. When it fails, that is told once, and tried again until it works.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use mynah_config::model::LogDestination;

use crate::stats::LogStats;

/// Time between two tries to write to what could not be written to.
const RETRY: Duration = Duration::from_secs(1);

/// The way to a log's thread, which ends when this is dropped and all is written.
#[derive(Debug)]
pub(super) struct Sink {
    to_thread: Sender<Message>,
    name: String,
}

enum Message {
    Lines(Batch),
    /// The file was moved away.
    Reopen,
    /// Says when everything before this is written.
    Finish(Sender<()>),
}

/// Lines, whole, of one log.
struct Batch {
    bytes: Box<[u8]>,
    lines: u64,
    stats: Arc<LogStats>,
    /// Bytes written.
    at: usize,
}

impl Sink {
    pub(super) fn start(destination: LogDestination) -> io::Result<Self> {
        let (to_thread, messages) = mpsc::channel();
        let name = Name(&destination).to_string();
        let writer = Writer {
            destination,
            file: None,
            waiting: VecDeque::new(),
            failed: None,
        };
        thread::Builder::new()
            .name("mynah-access-log".to_owned())
            .spawn(move || writer.run(&messages))?;
        Ok(Self { to_thread, name })
    }

    /// Hands lines over, or drops them when more than `bound` bytes of their log would wait.
    pub(super) fn hand_over(&self, bytes: &[u8], lines: u64, stats: &Arc<LogStats>, bound: usize) {
        let before = stats.waiting.fetch_add(bytes.len(), Relaxed);
        if before + bytes.len() > bound {
            stats.waiting.fetch_sub(bytes.len(), Relaxed);
            stats.dropped.fetch_add(lines, Relaxed);
            return;
        }
        let batch = Batch {
            bytes: bytes.into(),
            lines,
            stats: stats.clone(),
            at: 0,
        };
        if let Err(mpsc::SendError(Message::Lines(mut batch))) = self.to_thread.send(Message::Lines(batch)) {
            batch.give_up();
        }
    }

    pub(super) fn reopen(&self) {
        // A thread that has ended has nothing to open.
        let _ = self.to_thread.send(Message::Reopen);
    }

    /// What says when everything is written, and where to.
    pub(super) fn finish(&self) -> (Receiver<()>, String) {
        let (ended, end) = mpsc::channel();
        let _ = self.to_thread.send(Message::Finish(ended));
        (end, self.name.clone())
    }
}

impl Batch {
    fn written(&self) {
        self.stats.lines.fetch_add(self.lines, Relaxed);
        self.stats.waiting.fetch_sub(self.bytes.len(), Relaxed);
    }

    /// The rest of a line of which a part is written never will be.
    fn cut_line(&mut self) {
        if self.at > 0 && self.bytes[self.at - 1] != b'\n' {
            let end = memchr::memchr(b'\n', &self.bytes[self.at..]);
            self.at = end.map_or(self.bytes.len(), |end| self.at + end + 1);
            self.lines -= 1;
            self.stats.dropped.fetch_add(1, Relaxed);
        }
    }

    /// What is not written of it never will be.
    fn give_up(&mut self) {
        let rest = self.bytes[self.at..].iter().filter(|b| **b == b'\n').count() as u64;
        self.stats.dropped.fetch_add(rest, Relaxed);
        self.lines -= rest;
        self.written();
    }
}

struct Name<'a>(&'a LogDestination);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LogDestination::Stdout => f.write_str("stdout"),
            LogDestination::File(path) => write!(f, "{}", path.display()),
        }
    }
}

struct Writer {
    destination: LogDestination,
    file: Option<File>,
    waiting: VecDeque<Batch>,
    /// When it failed last, if it has not worked since.
    failed: Option<Instant>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        // The file is there before the first line, as people expect.
        self.write();
        loop {
            let message = match self.failed {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(last) => messages.recv_timeout(RETRY.saturating_sub(last.elapsed())),
            };
            match message {
                Ok(Message::Lines(batch)) => {
                    self.waiting.push_back(batch);
                    if self.failed.is_none() {
                        self.write();
                    }
                }
                Ok(Message::Reopen) => self.reopen(),
                Ok(Message::Finish(ended)) => {
                    self.write();
                    // Nobody waits any longer.
                    let _ = ended.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return self.waiting.iter_mut().for_each(Batch::give_up);
                }
            }
        }
    }

    /// A line of which a part stands in the old file ends there.
    fn reopen(&mut self) {
        if self.destination == LogDestination::Stdout {
            return;
        }
        self.file = None;
        if let Some(batch) = self.waiting.front_mut() {
            batch.cut_line();
        }
        self.write();
    }

    /// Writes what waits, as far as it goes.
    fn write(&mut self) {
        match self.try_write() {
            Ok(()) => {
                if self.failed.take().is_some() {
                    tracing::info!(destination = %Name(&self.destination), "access log written again");
                }
            }
            Err(error) => {
                self.file = None;
                if let Some(batch) = self.waiting.front() {
                    batch.stats.errors.fetch_add(1, Relaxed);
                }
                if self.failed.replace(Instant::now()).is_none() {
                    tracing::error!(destination = %Name(&self.destination), %error, "access log not written; trying again");
                }
            }
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open(&self.destination)?);
        }
        while let (Some(batch), Some(file)) = (self.waiting.front_mut(), &mut self.file) {
            if batch.at == batch.bytes.len() {
                batch.written();
                self.waiting.pop_front();
                continue;
            }
            match file.write(&batch.bytes[batch.at..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => batch.at += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(destination: &LogDestination) -> io::Result<File> {
    match destination {
        LogDestination::Stdout => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        LogDestination::File(path) => OpenOptions::new().append(true).create(true).open(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn batch(stats: &Arc<LogStats>, text: &str) -> Batch {
        stats.waiting.fetch_add(text.len(), Relaxed);
        Batch {
            bytes: text.as_bytes().into(),
            lines: text.lines().count() as u64,
            stats: stats.clone(),
            at: 0,
        }
    }

    fn writer(path: &Path) -> Writer {
        Writer {
            destination: LogDestination::File(path.to_owned()),
            file: None,
            waiting: VecDeque::new(),
            failed: None,
        }
    }

    fn counts(stats: &LogStats) -> (u64, u64, usize) {
        let LogStats {
            lines,
            dropped,
            waiting,
            ..
        } = stats;
        (lines.load(Relaxed), dropped.load(Relaxed), waiting.load(Relaxed))
    }

    #[test]
    fn a_line_that_is_half_written_when_its_file_is_moved_away_does_not_go_on_in_the_next() {
        for (written, old, new, counted) in [
            (0, "", "one\ntwo\nthree\n", (3, 0, 0)),
            (2, "on", "two\nthree\n", (2, 1, 0)),
            (4, "one\n", "two\nthree\n", (3, 0, 0)),
            (9, "one\ntwo\nt", "", (2, 1, 0)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
            let stats = Arc::new(LogStats::default());
            let mut writer = writer(&path);
            let mut batch = batch(&stats, "one\ntwo\nthree\n");
            fs::write(&moved, &batch.bytes[..written]).unwrap();
            batch.at = written;
            writer.waiting.push_back(batch);
            writer.reopen();
            assert_eq!(
                (
                    fs::read_to_string(&moved).unwrap().as_str(),
                    fs::read_to_string(&path).unwrap().as_str()
                ),
                (old, new)
            );
            assert_eq!(counts(&stats), counted, "after {written} bytes");
        }
    }

    #[test]
    fn what_cannot_be_written_waits_and_what_never_can_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/log");
        let stats = Arc::new(LogStats::default());
        let mut writer = writer(&path);
        writer.waiting.push_back(batch(&stats, "one\ntwo\n"));
        writer.write();
        assert!(writer.failed.is_some());
        assert_eq!((counts(&stats), stats.errors.load(Relaxed)), ((0, 0, 8), 1));
        fs::create_dir(folder.path().join("missing")).unwrap();
        writer.write();
        assert!(writer.failed.is_none());
        assert_eq!(counts(&stats), (2, 0, 0));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");

        let mut cut = batch(&stats, "three\nfour\n");
        cut.at = 8;
        cut.give_up();
        assert_eq!(
            counts(&stats),
            (3, 1, 0),
            "the line that is half there is not counted as written"
        );
    }
}
