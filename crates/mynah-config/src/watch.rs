//! Telling when files have changed, however they are written: in place, by a rename over them, or as Kubernetes does it, by
//! a symbolic link that all of a volume's files lead through and that is replaced.
//!
//! What is watched are the folders on the way to each file, so that a file is noticed that is not there yet. An event says
//! only that it is time to look; what counts is what the files contain. File systems without events (NFS, some container
//! runtimes) are looked at now and then.

mod mount;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

pub use self::mount::is_mounted_by_itself;

/// Symbolic links followed on the way to a file.
const LINKS: usize = 16;

/// How eagerly files are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long nothing must have happened, so that a file is not read while it is being written.
    pub quiet: Duration,
    /// How often files are looked at without an event.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(200),
            poll: Duration::from_secs(10),
        }
    }
}

/// Events may go on for this many times the quiet time before files are looked at all the same.
const RESTLESS: u32 = 10;

/// Watches files until it is dropped.
#[derive(Debug)]
pub struct Watch(Sender<Message>);

enum Message {
    Event,
    Files { files: Vec<PathBuf>, again: bool },
    Stop,
}

impl Watch {
    /// Watches these files on a thread of its own, which calls `changed` whenever their contents are not what they were the
    /// last time, and once at the start: what was read before may have changed meanwhile.
    pub fn start(files: Vec<PathBuf>, pace: Pace, changed: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let looking = move || {
            let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // That somebody reads, as the look itself does, changes nothing.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    // The other end is gone when nobody watches any more.
                    let _ = events.send(Message::Event);
                }
            });
            let watcher = watcher.map_err(|error| {
                tracing::warn!(%error, every = ?pace.poll, "no file events; files are looked at now and then");
            });
            let mut look = Look {
                files,
                again: false,
                watcher: watcher.ok(),
                folders: BTreeSet::new(),
                seen: None,
            };
            look.look(&changed);
            while let Some(due) = look.wait(&receiver, pace) {
                if due {
                    look.look(&changed);
                }
            }
        };
        thread::Builder::new().name("mynah-watch".to_owned()).spawn(looking)?;
        Ok(Self(sender))
    }

    /// Watches these files from now on. With `again`, `changed` is called at every look, whether they have changed or not.
    pub fn set_files(&self, files: Vec<PathBuf>, again: bool) {
        let _ = self.0.send(Message::Files { files, again });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Stop);
    }
}

struct Look {
    files: Vec<PathBuf>,
    again: bool,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    /// A hash of the contents at the last look.
    seen: Option<u64>,
}

impl Look {
    /// Waits until it is time to look. Whether it is; none at the end.
    fn wait(&mut self, messages: &Receiver<Message>, pace: Pace) -> Option<bool> {
        match messages.recv_timeout(pace.poll) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
            Ok(Message::Files { files, again }) => {
                self.again = again;
                // Files that are new to us may have changed since somebody read them.
                let due = self.files != files;
                self.files = files;
                return Some(due);
            }
            Err(RecvTimeoutError::Timeout) => return Some(true),
            Ok(Message::Event) => {}
        }
        let latest = Instant::now() + pace.quiet * RESTLESS;
        while Instant::now() < latest {
            match messages.recv_timeout(pace.quiet) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Message::Files { files, again }) => (self.files, self.again) = (files, again),
                Ok(Message::Event) => {}
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        Some(true)
    }

    fn look(&mut self, changed: &impl Fn()) {
        self.follow();
        let mut hasher = DefaultHasher::new();
        for file in &self.files {
            (file, fs::read(file).ok()).hash(&mut hasher);
        }
        let seen = Some(hasher.finish());
        if std::mem::replace(&mut self.seen, seen) != seen || self.again {
            changed();
        }
    }

    /// Has the system tell of the folders that lead to the files now.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders: BTreeSet<PathBuf> = self.files.iter().flat_map(|file| folders_to(file)).collect();
        for folder in self.folders.difference(&folders) {
            // It may be gone.
            let _ = watcher.unwatch(folder);
        }
        // Again for those that stay: a folder may have been removed and made anew under the same name.
        for folder in &folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "folder not watched");
            }
        }
        self.folders = folders;
    }
}

/// The folders in which the file, or a link on the way to it, is replaced.
fn folders_to(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut links = 0;
    let mut pending = vec![absolute(file)];
    while let Some(path) = pending.pop() {
        let mut at = PathBuf::new();
        let mut parts = path.components();
        while let Some(part) = parts.next() {
            let folder = at.clone();
            at.push(part);
            let Ok(target) = fs::read_link(&at) else { continue };
            if links < LINKS {
                links += 1;
                folders.push(folder.clone());
                pending.push(folder.join(target).join(parts.as_path()));
            }
            break;
        }
        folders.extend(path.parent().map(Path::to_owned));
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests;
