//! Two network namespaces with a cable between them: a client, and a pod with an application and a mirror.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const LIMIT: Duration = Duration::from_secs(30);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What the application said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Who asked, as the application saw it.
    pub(crate) peer: SocketAddr,
    /// The address that the client asked from.
    pub(crate) own: SocketAddr,
}

/// A pod and a client; both end with it.
pub(crate) struct Pod {
    name: String,
    client: String,
    pub(crate) v4: IpAddr,
    pub(crate) v6: IpAddr,
    pub(crate) client_v4: IpAddr,
    pub(crate) client_v6: IpAddr,
    copies: Arc<(Mutex<usize>, Condvar)>,
    running: Mutex<Option<Child>>,
    folder: tempfile::TempDir,
}

impl Pod {
    pub(crate) fn new(title: &str) -> Self {
        let id = format!(
            "mynah-{title}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let (name, client) = (format!("{id}-pod"), format!("{id}-client"));
        let pod = Self {
            v4: "10.99.0.2".parse().unwrap(),
            v6: "fd99::2".parse().unwrap(),
            client_v4: "10.99.0.1".parse().unwrap(),
            client_v6: "fd99::1".parse().unwrap(),
            copies: Arc::default(),
            running: Mutex::new(None),
            folder: tempfile::tempdir().unwrap(),
            name,
            client,
        };
        ip(&["netns", "add", &pod.name]);
        ip(&["netns", "add", &pod.client]);
        ip(&[
            "-n",
            &pod.name,
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &pod.client,
        ]);
        for (namespace, v4, v6) in [(&pod.name, pod.v4, pod.v6), (&pod.client, pod.client_v4, pod.client_v6)] {
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
            ip(&["-n", namespace, "addr", "add", &format!("{v4}/24"), "dev", "eth0"]);
            ip(&[
                "-n",
                namespace,
                "addr",
                "add",
                &format!("{v6}/64"),
                "dev",
                "eth0",
                "nodad",
            ]);
            ip(&["-n", namespace, "link", "set", "eth0", "up"]);
        }
        ip(&[
            "-n",
            &pod.name,
            "route",
            "add",
            "default",
            "via",
            &pod.client_v4.to_string(),
        ]);
        pod.serve("[::]:8080", None);
        pod.serve("127.0.0.1:7070", Some(pod.copies.clone()));
        pod
    }

    /// Answers every request with the address it came from; counts them if asked to.
    fn serve(&self, address: &'static str, count: Option<Arc<(Mutex<usize>, Condvar)>>) {
        let listener = within(&self.name, || TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, count) = (stream.unwrap(), count.clone());
                thread::spawn(move || {
                    let peer = stream.peer_addr().unwrap();
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    loop {
                        let mut line = String::new();
                        while line != "\r\n" {
                            line.clear();
                            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                                return;
                            }
                        }
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{peer}", peer.len());
                        let _ = stream.write_all(answer.as_bytes());
                        if let Some(count) = &count {
                            *count.0.lock().unwrap() += 1;
                            count.1.notify_all();
                        }
                    }
                });
            }
        });
    }

    /// Runs the binary in the pod until it ends; returns what it printed.
    pub(crate) fn mynah(&self, args: &[&str]) -> String {
        self.output(Command::new(env!("CARGO_BIN_EXE_mynah")).args(args))
    }

    /// Starts the proxy on port 9480.
    pub(crate) fn run(&self, upstream: &str) {
        let file = self.folder.path().join("mynah.yaml");
        let config = format!(
            "listeners: [\":9480\"]\n{upstream}\nmirrors: {{m: \"http://127.0.0.1:7070\"}}\nadmin: 127.0.0.1:0\n"
        );
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
        command.args(["run", "--config"]).arg(file).stdout(Stdio::piped());
        let mut child = within(&self.name, || command.spawn().unwrap());
        // The admin address is printed last, when everything listens.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("admin"));
        assert!(ready, "mynah has not started");
        *self.running.lock().unwrap() = Some(child);
    }

    /// Asks over a new connection from the client's namespace.
    pub(crate) fn ask_from_client(&self, address: SocketAddr) -> Answer {
        within(&self.client, || ask(address))
    }

    /// Asks over a new connection from the pod's.
    pub(crate) fn ask_from_inside(&self, address: SocketAddr) -> Answer {
        within(&self.name, || ask(address))
    }

    pub(crate) fn copies(&self) -> usize {
        *self.copies.0.lock().unwrap()
    }

    pub(crate) fn wait_for_copies(&self, expected: usize) {
        let guard = self.copies.0.lock().unwrap();
        let (copies, result) = self
            .copies
            .1
            .wait_timeout_while(guard, LIMIT, |copies| *copies < expected)
            .unwrap();
        assert!(!result.timed_out(), "{} of {expected} copies", *copies);
    }

    /// The rules, as `nft` reads them.
    pub(crate) fn nft(&self) -> String {
        self.output(Command::new("nft").args(["list", "ruleset"]))
    }

    pub(crate) fn nft_script(&self, script: &str) {
        self.output(Command::new("nft").arg(script));
    }

    pub(crate) fn ip(&self, args: &[&str]) -> String {
        self.output(Command::new("ip").args(args))
    }

    fn output(&self, command: &mut Command) -> String {
        let output = within(&self.name, || command.output().unwrap());
        let error = String::from_utf8_lossy(&output.stderr);
        // A table of routes that was never there.
        assert!(
            output.status.success() || error.contains("FIB table does not exist"),
            "{command:?}: {error}"
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for namespace in [&self.name, &self.client] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn ask(address: SocketAddr) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    let body = loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(
            read > 0,
            "{address}: closed after {:?}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            break body.to_owned();
        }
    };
    Answer {
        peer: body.parse().unwrap(),
        own: stream.local_addr().unwrap(),
    }
}

/// Runs something in a network namespace, on a thread that ends with it.
fn within<T: Send>(namespace: &str, action: impl FnOnce() -> T + Send) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            action()
        });
        inside.join().unwrap()
    })
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().unwrap();
    assert!(status.success(), "ip {args:?}");
}
