//! nginx, as an application or as a mirror.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use mynah_testkit::program::Program;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// How long it may take until nginx has written its log.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks at the log.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes of the file `/large`.
pub(crate) const LARGE: usize = 16 << 20;

/// A running nginx.
pub(crate) struct Nginx {
    address: SocketAddr,
    directory: TempDir,
    settings: String,
    http2: bool,
    program: Program,
}

impl Nginx {
    /// On a free port, with these directives besides those that every test needs.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_for(settings, false)
    }

    /// The same, for HTTP/2 with prior knowledge alone.
    pub(crate) fn start_http2() -> Self {
        Self::start_for("", true)
    }

    fn start_for(settings: &str, http2: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        fs::write(directory.path().join("files/small"), "a small file\n").unwrap();
        let large: Vec<u8> = (0..LARGE as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(directory.path().join("files/large"), large).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let program = run(&directory, listener, settings, http2);
        Self {
            address,
            directory,
            settings: settings.to_owned(),
            http2,
            program,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bytes of one of its files.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("files").join(name)).unwrap()
    }

    /// Kills all of its processes.
    pub(crate) async fn kill(&mut self) {
        self.program.kill().await;
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.program = run(&self.directory, listener, &self.settings, self.http2);
    }

    /// The requests it has logged so far, one line each; the last word is the copy's marker, or `-`.
    pub(crate) fn logged(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Its lines of the format `combined`, once there are so many.
    pub(crate) async fn combined(&self, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(self.directory.path().join("combined.log")).unwrap_or_default();
        let wait = async {
            while read().lines().count() < count {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(PATIENCE, wait).await;
        read().lines().map(str::to_owned).collect()
    }

    /// Waits until it has logged so many requests, and returns them in an order of their own.
    pub(crate) async fn has_logged(&self, count: usize) -> Vec<String> {
        let wait = async {
            while self.logged().len() < count {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(PATIENCE, wait).await;
        let mut logged = self.logged();
        assert_eq!(logged.len(), count, "{}", self.program);
        logged.sort();
        logged
    }
}

/// nginx takes a port of its choice only from a process that hands it an open socket, as its predecessor does in an
/// upgrade of the binary: a descriptor above the standard ones, which the environment names.
fn run(directory: &TempDir, listener: TcpListener, settings: &str, http2: bool) -> Program {
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let path = directory.path().to_str().unwrap();
    let protocol = if http2 { "http2" } else { "" };
    let config = format!(
        r#"
        daemon off;
        pid {path}/pid;
        user root;
        error_log stderr;
        worker_processes 1;
        events {{ worker_connections 512; }}
        http {{
            log_format peers '"$request" $status $content_length "$http_host" "$http_peers_test" $http_mynah_copy';
            access_log {path}/access.log peers;
            access_log {path}/combined.log combined;
            client_body_temp_path {path}/body;
            proxy_temp_path {path}/proxy;
            fastcgi_temp_path {path}/fastcgi;
            uwsgi_temp_path {path}/uwsgi;
            scgi_temp_path {path}/scgi;
            client_max_body_size 0;
            if_modified_since before;
            root {path}/files;
            server {{
                listen {address} {protocol};
                location /discard {{ return 204; }}
                location /slow {{ alias {path}/files/large; limit_rate 256k; }}
                {settings}
            }}
        }}"#
    );
    fs::write(directory.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"exec nginx "$@" 3<&0 </dev/null"#,
            "sh",
            "-p",
            path,
            "-c",
            "nginx.conf",
        ])
        .env("NGINX", "3;")
        .stdin(Stdio::from(OwnedFd::from(listener)));
    Program::start(command).unwrap()
}
