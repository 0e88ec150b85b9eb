//! The real binary: started, asked for its metrics, stopped.

mod metrics;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use self::metrics::{Accounts, Metrics};

/// How long it may take to start, to end, or to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks at the metrics.
const LOOK: Duration = Duration::from_millis(10);

/// A running `mynah run`; killed when dropped.
#[derive(Debug)]
pub struct Mynah {
    child: Child,
    listeners: Vec<SocketAddr>,
    admin: SocketAddr,
    output: Output,
}

/// What it has printed, on both streams.
#[derive(Debug, Clone)]
struct Output(Arc<Mutex<String>>);

impl Output {
    fn text(&self) -> String {
        self.0.lock().expect("nobody panics while holding it").clone()
    }
}

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Drains and ends.
    Term,
    /// As from a terminal.
    Int,
    /// Has the configuration read again.
    Hangup,
    /// Ends without a last word.
    Kill,
    /// Stands still.
    Stop,
    /// Goes on.
    Continue,
    /// Opens access logs anew.
    Usr1,
}

impl Mynah {
    /// One listener on a free port before `upstream`, copying everything to `mirrors`, with one worker.
    pub async fn before(binary: &Path, upstream: SocketAddr, mirrors: &[SocketAddr]) -> Result<Self, String> {
        let mut args = vec!["--upstream".to_owned(), format!("http://{upstream}")];
        for mirror in mirrors {
            args.extend(["--mirror".to_owned(), format!("http://{mirror}")]);
        }
        args.extend(["--listen", "127.0.0.1:0", "--ratio", "100%", "--workers", "1"].map(str::to_owned));
        Self::run(binary, &args).await
    }

    /// `mynah run` with these arguments and an admin address on a free port; returns once it listens.
    pub async fn run(binary: &Path, args: &[String]) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.arg("run").args(args);
        if !args.iter().any(|arg| arg == "--config") {
            command.args(["--admin", "127.0.0.1:0"]);
        }
        Self::start(command).await
    }

    /// The same, with at most this many file descriptors.
    pub async fn run_with_descriptors(binary: &Path, args: &[String], descriptors: u32) -> Result<Self, String> {
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"ulimit -n "$1"; shift; exec "$@""#, "sh"])
            .arg(descriptors.to_string())
            .arg(binary)
            .arg("run")
            .args(args)
            .args(["--admin", "127.0.0.1:0"]);
        Self::start(command).await
    }

    /// Starts a command that prints what `mynah run` prints.
    pub async fn start(mut command: Command) -> Result<Self, String> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let output = Output(Arc::default());
        let (changed, mut changes) = watch::channel(());
        let changed = Arc::new(changed);
        tokio::spawn(keep(child.stdout.take(), output.clone(), changed.clone()));
        tokio::spawn(keep(child.stderr.take(), output.clone(), changed));
        let started = async {
            loop {
                if let Some(addresses) = addresses(&output.text()) {
                    return Ok(addresses);
                }
                if changes.changed().await.is_err() {
                    return Err("it ended");
                }
            }
        };
        match timeout(PATIENCE, started)
            .await
            .unwrap_or(Err("it did not start in time"))
        {
            Ok((listeners, admin)) => Ok(Self {
                child,
                listeners,
                admin,
                output,
            }),
            Err(what) => Err(format!(
                "{what} ({:?}), having printed: {}",
                child.try_wait(),
                output.text()
            )),
        }
    }

    /// The first listener.
    pub fn address(&self) -> SocketAddr {
        self.listeners[0]
    }

    /// Every listener, in the order of the configuration.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// The admin address; that of the metrics, where it has no port.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until it has printed this text, and returns everything that it has printed.
    pub async fn says(&self, text: &str) -> Result<String, String> {
        let wait = async {
            while !self.output().contains(text) {
                sleep(LOOK).await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(()) => Ok(self.output()),
            Err(_) => Err(format!("never said {text:?}, but {}", self.output())),
        }
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Hangup => "HUP",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
            Signal::Usr1 => "USR1",
        };
        let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "the process takes signals");
    }

    /// Waits until it has ended; none if it did not in time.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await.ok()?.ok()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Its metrics now.
    pub async fn metrics(&self) -> Result<Metrics, String> {
        Ok(Metrics::parse(&self.page("/metrics").await?))
    }

    /// What its admin address answers, head and body.
    pub async fn page(&self, path: &str) -> Result<String, String> {
        get(self.admin, path).await.map_err(|error| format!("{path}: {error}"))
    }

    /// Waits until its metrics satisfy a condition, and returns them; they are the error if they do not in time.
    pub async fn until(&self, what: &str, condition: impl Fn(&Metrics) -> bool) -> Result<Metrics, String> {
        let mut last = Metrics::default();
        let wait = async {
            loop {
                last = self.metrics().await?;
                if condition(&last) {
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        };
        match timeout(PATIENCE, wait).await {
            Ok(Ok(())) => Ok(last),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("never {what}: {last}")),
        }
    }

    /// Waits until no request and no copy is under way, and returns the accounts; an error if they do not add up.
    pub async fn at_rest(&self) -> Result<Accounts, String> {
        self.settled().await.map(|(accounts, _)| accounts)
    }

    /// The same, together with the metrics that the accounts were taken from.
    pub async fn settled(&self) -> Result<(Accounts, Metrics), String> {
        let metrics = self.until("at rest", |metrics| Accounts::of(metrics).at_rest()).await?;
        let accounts = Accounts::of(&metrics);
        accounts.add_up().map(|()| (accounts, metrics))
    }
}

async fn keep(stream: Option<impl AsyncRead + Unpin>, output: Output, changed: Arc<watch::Sender<()>>) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = output.0.lock().expect("nobody panics while holding it");
        text.push_str(&line);
        text.push('\n');
        drop(text);
        let _ = changed.send(());
    }
}

/// The addresses printed, once that of the admin side is among them.
fn addresses(output: &str) -> Option<(Vec<SocketAddr>, SocketAddr)> {
    let of = |line: &str| {
        line.split_whitespace()
            .find_map(|word| word.trim_start_matches("http://").parse().ok())
    };
    let lines = |kind: &'static str| output.lines().filter(move |line| line.starts_with(kind)).filter_map(of);
    let listeners: Vec<_> = lines("listener").collect();
    // Last of all; at a socket without a port there may be one for metrics.
    output.lines().find(|line| line.starts_with("admin "))?;
    let admin = lines("admin").next().or_else(|| lines("metrics").next())?;
    (!listeners.is_empty()).then_some((listeners, admin))
}

/// A small GET.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
