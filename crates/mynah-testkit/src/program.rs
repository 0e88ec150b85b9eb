//! Programs of others that a test runs: servers that say where they listen, and clients that say what they have seen.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a program may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, the leader of a process group that is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    group: u32,
    output: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
    changed: watch::Receiver<()>,
}

impl Program {
    /// Starts it; its standard input is closed unless the command says otherwise.
    pub fn start(mut command: Command) -> Result<Self, String> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let (change, changed) = watch::channel(());
        let change = Arc::new(change);
        let (output, errors) = (Arc::default(), Arc::default());
        tokio::spawn(keep(child.stdout.take(), Arc::clone(&output), change.clone()));
        tokio::spawn(keep(child.stderr.take(), Arc::clone(&errors), change));
        Ok(Self {
            name,
            group: child.id().ok_or("it ended at once")?,
            child,
            output,
            errors,
            changed,
        })
    }

    /// Runs it to its end. What it printed; an error if it did not end well.
    pub async fn run(command: Command) -> Result<String, String> {
        let mut program = Self::start(command)?;
        let status = program.ended().await?;
        if status.success() {
            Ok(program.output().join("\n"))
        } else {
            Err(format!("{program}: {status}"))
        }
    }

    /// The lines it has printed to standard output so far.
    pub fn output(&self) -> Vec<String> {
        lock(&self.output).clone()
    }

    /// Waits until it has printed a line that starts like this, and returns what follows.
    pub async fn says(&self, start: &str) -> Result<String, String> {
        let mut changed = self.changed.clone();
        let found = async {
            loop {
                let line = lock(&self.output)
                    .iter()
                    .find_map(|line| line.strip_prefix(start).map(str::to_owned));
                if let Some(rest) = line {
                    return Some(rest);
                }
                changed.changed().await.ok()?;
            }
        };
        match timeout(PATIENCE, found).await {
            Ok(Some(rest)) => Ok(rest.trim().to_owned()),
            Ok(None) => Err(format!("{self}: ended and never said {start:?}")),
            Err(_) => Err(format!("{self}: never said {start:?}")),
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Result<ExitStatus, String> {
        let status = timeout(PATIENCE, self.child.wait()).await;
        // The last lines may still be on their way.
        let _ = timeout(PATIENCE, async { while self.changed.changed().await.is_ok() {} }).await;
        match status {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(format!("{self}: {error}")),
            Err(_) => Err(format!("{self}: does not end")),
        }
    }

    /// Ends it and everything it has started, without a last word.
    pub async fn kill(&mut self) {
        self.kill_group();
        let _ = self.child.wait().await;
    }

    fn kill_group(&self) {
        if self.child.id().is_some() {
            let group = format!("-{}", self.group);
            let _ = std::process::Command::new("kill")
                .args(["-s", "KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_group();
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = [lock(&self.output).join("\n"), lock(&self.errors).join("\n")];
        write!(f, "{}, having said {said:?}", self.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, lines: Arc<Mutex<Vec<String>>>, change: Arc<watch::Sender<()>>) {
    let Some(stream) = stream else { return };
    let mut read = BufReader::new(stream).lines();
    while let Ok(Some(line)) = read.next_line().await {
        lock(&lines).push(line);
        let _ = change.send(());
    }
}
