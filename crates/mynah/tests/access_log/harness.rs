//! The binary with access logs in a folder of the test's own.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mynah_testkit::binary::{Metrics, Mynah, Signal};
use mynah_testkit::raw::End;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// How long anything may take that is due.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// A running Mynah and its folder.
pub(crate) struct Logged {
    pub(crate) mynah: Mynah,
    pub(crate) folder: TempDir,
}

/// What stands in the configuration besides what every test needs.
pub(crate) struct Setup<'a> {
    pub(crate) upstream: SocketAddr,
    /// Further top-level keys.
    pub(crate) top: &'a str,
    /// The mapping of mirrors, as flow.
    pub(crate) mirrors: String,
}

impl Setup<'_> {
    pub(crate) async fn start(self) -> Logged {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(self, variables: &[(&str, &str)]) -> Logged {
        let folder = tempfile::tempdir().unwrap();
        self.start_in(folder, variables).await
    }

    pub(crate) async fn start_in(self, folder: TempDir, variables: &[(&str, &str)]) -> Logged {
        let file = folder.path().join("mynah.yaml");
        let config = format!(
            "listeners: ['127.0.0.1:0']\nupstream: http://{}\nmirrors: {}\nworkers: 1\nadmin: 127.0.0.1:0\n{}\n",
            self.upstream, self.mirrors, self.top
        );
        fs::write(&file, config).unwrap();
        let binary = env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from);
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg("--config")
            .arg(file)
            .envs(variables.iter().copied());
        let mynah = Mynah::start(command).await.unwrap();
        Logged { mynah, folder }
    }
}

impl Logged {
    pub(crate) fn path(&self, log: &str) -> PathBuf {
        self.folder.path().join(log)
    }

    /// What a log has so far.
    pub(crate) fn text(&self, log: &str) -> String {
        fs::read_to_string(self.path(log)).unwrap_or_default()
    }

    /// The lines of a log, once there are so many.
    pub(crate) async fn lines(&self, log: &str, count: usize) -> Vec<String> {
        let wait = async {
            while self.text(log).matches('\n').count() < count {
                sleep(LOOK).await;
            }
        };
        let came = timeout(PATIENCE, wait).await.is_ok();
        let text = self.text(log);
        assert!(came, "{count} lines never came, but: {text}; {}", self.mynah.output());
        assert!(text.ends_with('\n'), "a line is not whole: {text}");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// The one line of a log.
    pub(crate) async fn line(&self, log: &str) -> String {
        self.lines(log, 1).await.remove(0)
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Metrics) -> bool) -> Metrics {
        self.mynah.until(what, condition).await.unwrap()
    }

    /// Waits until it has printed this.
    pub(crate) async fn says(&self, what: &str) {
        let wait = async {
            while !self.mynah.output().contains(what) {
                sleep(LOOK).await;
            }
        };
        let said = timeout(PATIENCE, wait).await.is_ok();
        assert!(said, "never said {what:?}: {}", self.mynah.output());
    }

    /// Ends it, and waits for that.
    pub(crate) async fn stop(&mut self) {
        self.mynah.signal(Signal::Term).await;
        let status = self.mynah.ended().await.expect("it ends");
        assert!(status.success(), "{}", self.mynah.output());
    }

    pub(crate) async fn client(&self) -> End {
        End::connect(self.mynah.address()).await.unwrap()
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// An application that answers every connection's requests in turn, each with the next of these, and then closes.
pub(crate) async fn application(answers: &'static [&'static str]) -> SocketAddr {
    let listener = listener().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut end = End::new(stream);
                let mut read = 0;
                for answer in answers {
                    let mut len = 0;
                    let whole = |end: &End| {
                        len = request(&end.received()[read..]);
                        len > 0
                    };
                    if !end.until(whole).await {
                        return;
                    }
                    read += len;
                    end.send_all(answer.as_bytes()).await;
                }
                end.until_ended().await;
            });
        }
    });
    address
}

/// Bytes of the first request, 0 when it is not whole.
fn request(bytes: &[u8]) -> usize {
    match mynah_testkit::raw::read_request(bytes) {
        mynah_testkit::raw::Read::Whole(_, len) => len,
        _ => 0,
    }
}

/// Sends, and waits until what was received ends like this.
pub(crate) async fn exchange(client: &mut End, request: &str, tail: &str) {
    let before = client.received().len();
    assert!(client.send_all(request.as_bytes()).await);
    let came = client
        .until(|client| client.received().len() > before && client.received().ends_with(tail.as_bytes()))
        .await;
    assert!(came, "{:?}", client.received().escape_ascii().to_string());
}
