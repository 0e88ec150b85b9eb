//! curl, over every protocol that it speaks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mynah_testkit::app::{App, Seen, mirror, upstream};
use mynah_testkit::binary::Mynah;
use mynah_testkit::program::Program;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{command, mynah, patient_mynah, settled_with_every_copy, settled_without_errors};
use crate::server::Nginx;

/// A large upload.
const UPLOAD: usize = 64 << 20;

/// A listener's TLS with a certificate for `localhost`, which is in the file `certificate`.
pub(crate) fn self_signed(directory: &Path) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (directory.join("certificate"), directory.join("key"));
    fs::write(&certificate, cert.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    format!("{{certificate: '{}', key: '{}'}}", certificate.display(), key.display())
}

/// Runs curl, and returns version and status of each transfer. Bodies go where the arguments say.
pub(crate) async fn curl(args: &[&str]) -> Vec<String> {
    run(command("curl", args)).await
}

async fn run(mut curl: Command) -> Vec<String> {
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "100",
        "--write-out",
        "%{http_version} %{http_code}\n",
    ]);
    let said = Program::run(curl).await.unwrap();
    said.lines().map(str::to_owned).collect()
}

/// An application, a mirror, and Mynah.
struct Around {
    upstream: App,
    mirror: App,
    mynah: Mynah,
    directory: TempDir,
    scheme: &'static str,
}

impl Around {
    /// With every default.
    async fn start() -> Self {
        let (upstream, mirror) = (upstream().await, mirror().await);
        Self {
            mynah: mynah(upstream.address(), mirror.address()).await,
            upstream,
            mirror,
            directory: tempfile::tempdir().unwrap(),
            scheme: "http",
        }
    }

    /// With wide windows, so that every copy arrives; over TLS when asked for, with a certificate in `certificate`.
    async fn patient(tls: bool) -> Self {
        let (upstream, mirror) = (upstream().await, mirror().await);
        let directory = tempfile::tempdir().unwrap();
        let listener_tls = tls.then(|| self_signed(directory.path()));
        Self {
            mynah: patient_mynah(
                directory.path(),
                upstream.address(),
                mirror.address(),
                listener_tls.as_deref(),
            )
            .await,
            upstream,
            mirror,
            directory,
            scheme: if tls { "https" } else { "http" },
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.mynah.address().port())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Curl with these flags, before the transfers; it finds the certificate, if there is one.
    fn curl(&self, flags: &[&str]) -> Command {
        let mut curl = command("curl", flags);
        if self.scheme == "https" {
            curl.arg("--cacert").arg(self.file("certificate"));
        }
        curl
    }

    /// A file to send.
    fn upload(&self, bytes: usize) -> PathBuf {
        let file = self.file("upload");
        let content: Vec<u8> = (0..bytes as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(&file, content).unwrap();
        file
    }

    /// What both applications have received, which must be the same.
    async fn same_on_both_sides(&self, requests: usize) -> Vec<Seen> {
        assert_eq!(settled_with_every_copy(&self.mynah).await.requests, requests as u64);
        let mut seen = self.upstream.received(requests).await;
        let mut copies = self.mirror.received(requests).await;
        seen.sort_by_key(essence);
        copies.sort_by_key(essence);
        for (request, copy) in seen.iter().zip(&copies) {
            assert_eq!(essence(request), essence(copy));
            assert!(
                request.body == copy.body,
                "the copy's body differs: {}",
                essence(request)
            );
            assert!(
                request.complete && !request.headers.contains_key("mynah-copy"),
                "{}",
                essence(request)
            );
            assert!(
                copy.headers["mynah-copy"] == "1" && !copy.headers.contains_key("expect"),
                "{copy:?}"
            );
        }
        assert_eq!((seen.len(), copies.len()), (requests, requests));
        seen
    }
}

/// All of a request but its body, the marker, and the permission to send, which is asked of the application alone.
fn essence(request: &Seen) -> String {
    let mut headers = request.headers.clone();
    headers.remove("mynah-copy");
    headers.remove("expect");
    format!(
        "{} {} {:?} {headers:?} {} {:?}",
        request.method,
        request.target,
        request.version,
        request.body.len(),
        request.trailers
    )
}

/// Requests of many sorts, in one go and over as few connections as curl likes.
async fn many_sorts(around: &Around, protocol: &str, version: &str) {
    let nowhere = "/dev/null";
    // Curl is known to fail when it uses such a connection again.
    let apart = protocol == "--http2-prior-knowledge";
    let mut said = Vec::new();
    let mut curl = around.curl(&[]);
    let sorts: [&[&str]; 7] = [
        &["/plain?a=b&c=%20#fragment"],
        &["/repeated", "-H", "X-One: 1", "-H", "X-One: 2", "-H", "X-Empty;"],
        &["/head", "--head"],
        &["/form", "--data", "a=b&c=d"],
        &["/nothing", "-X", "DELETE"],
        &["/parts", "-F", "field=value", "-F", "more=values"],
        &[
            "/json",
            "-X",
            "PATCH",
            "-H",
            "Content-Type: application/json",
            "--data",
            r#"{"a": 1}"#,
        ],
    ];
    for (n, sort) in sorts.iter().enumerate() {
        if apart && n > 0 {
            let next = around.curl(&[]);
            said.extend(run(std::mem::replace(&mut curl, next)).await.drain(..1));
        } else if n > 0 {
            curl.args(["--next", "--silent", "--write-out", "%{http_version} %{http_code}\n"]);
            if around.scheme == "https" {
                curl.arg("--cacert").arg(around.file("certificate"));
            }
        }
        curl.args([protocol, "--output", nowhere])
            .arg(around.url(sort[0]))
            .args(&sort[1..]);
        if n == 0 || apart {
            curl.args(["--write-out", "%{http_version} %{http_code}\n"]);
        }
    }
    said.extend(run(curl).await);
    assert_eq!(said[..7], vec![format!("{version} 200"); 7]);
    let seen = around.same_on_both_sides(7).await;
    assert!(seen.iter().any(|request| request.target == "/plain?a=b&c=%20"));
}

/// A body of 64 MiB there and, as the application sends it back, here again.
async fn there_and_back(around: &Around, protocol: &str, version: &str) {
    let (upload, download) = (around.upload(UPLOAD), around.file("download"));
    let mut curl = around.curl(&[protocol]);
    curl.arg("--upload-file")
        .arg(&upload)
        .arg("--output")
        .arg(&download)
        .arg(around.url("/echo"));
    assert_eq!(run(curl).await, [format!("{version} 200")]);
    assert!(
        fs::read(&upload).unwrap() == fs::read(&download).unwrap(),
        "what came back differs"
    );
    settled_with_every_copy(&around.mynah).await;
}

/// An upload of 64 MiB, compared at the application and at the mirror.
async fn upload(around: &Around, protocol: &str, version: &str) {
    let upload = around.upload(UPLOAD);
    let mut curl = around.curl(&[protocol]);
    curl.arg("--upload-file")
        .arg(&upload)
        .args(["--output", "/dev/null"])
        .arg(around.url("/up"));
    assert_eq!(run(curl).await, [format!("{version} 200")]);
    let seen = around.same_on_both_sides(1).await;
    assert!(seen[0].body == fs::read(&upload).unwrap(), "what arrived differs");
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn requests_of_many_sorts_over_http1() {
    many_sorts(&Around::start().await, "--http1.1", "1.1").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn requests_of_many_sorts_over_tls() {
    many_sorts(&Around::patient(true).await, "--http1.1", "1.1").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn requests_of_many_sorts_over_http2_with_prior_knowledge() {
    many_sorts(&Around::start().await, "--http2-prior-knowledge", "2").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn requests_of_many_sorts_over_http2_and_tls() {
    many_sorts(&Around::patient(true).await, "--http2", "2").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_upload_arrives_twice() {
    upload(&Around::patient(false).await, "--http1.1", "1.1").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_upload_over_tls_arrives_twice() {
    upload(&Around::patient(true).await, "--http1.1", "1.1").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_upload_over_http2_arrives_twice() {
    upload(&Around::patient(false).await, "--http2-prior-knowledge", "2").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_upload_over_http2_and_tls_arrives_twice() {
    upload(&Around::patient(true).await, "--http2", "2").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_body_goes_there_and_comes_back() {
    there_and_back(&Around::patient(false).await, "--http1.1", "1.1").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_body_goes_there_and_comes_back_over_http2_and_tls() {
    there_and_back(&Around::patient(true).await, "--http2", "2").await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_large_upload_arrives_whatever_becomes_of_its_copy() {
    let around = Around::start().await;
    let upload = around.upload(UPLOAD);
    let mut curl = around.curl(&["--output", "/dev/null", "--upload-file"]);
    curl.arg(&upload).arg(around.url("/up"));
    assert_eq!(run(curl).await, ["1.1 200"]);
    assert!(
        around.upstream.received(1).await[0].body == fs::read(&upload).unwrap(),
        "what arrived differs"
    );
    // The default window is smaller than the body: the mirror may or may not keep up.
    let (accounts, metrics) = settled_without_errors(&around.mynah).await;
    assert_eq!(
        accounts.mirror().delivered + metrics.copies("shed", "window"),
        1,
        "{metrics}"
    );
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_chunked_upload_arrives_twice() {
    let around = Around::patient(false).await;
    let upload = around.upload(3_000_001);
    // What comes from standard input has no length.
    let mut curl = around.curl(&["--http1.1", "--output", "/dev/null", "--upload-file", "-"]);
    curl.arg(around.url("/chunks"))
        .stdin(Stdio::from(File::open(&upload).unwrap()));
    assert_eq!(run(curl).await, ["1.1 200"]);
    let seen = around.same_on_both_sides(1).await;
    assert_eq!(seen[0].headers["transfer-encoding"], "chunked");
    assert!(seen[0].body == fs::read(&upload).unwrap(), "what arrived differs");
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_upload_that_waits_for_permission_gets_it_from_the_application() {
    let around = Around::patient(false).await;
    let upload = around.upload(100_000);
    // Curl would wait for longer than the whole may take.
    let flags = [
        "--expect100-timeout",
        "1000",
        "--max-time",
        "100",
        "-H",
        "Expect: 100-continue",
    ];
    let mut curl = around.curl(&flags);
    curl.args(["--output", "/dev/null", "--upload-file"])
        .arg(&upload)
        .arg(around.url("/permitted"));
    assert_eq!(run(curl).await, ["1.1 200"]);
    let seen = around.same_on_both_sides(1).await;
    assert_eq!(seen[0].headers["expect"], "100-continue");
    assert!(seen[0].body == fs::read(&upload).unwrap(), "what arrived differs");
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_upload_that_the_application_refuses_is_never_sent() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("upload");
    fs::write(&file, vec![b'x'; 100_000]).unwrap();
    let (upstream, mirror) = (
        Nginx::start("location /refused { client_max_body_size 1k; }"),
        mirror().await,
    );
    let mynah = mynah(upstream.address(), mirror.address()).await;
    let url = format!("http://{}/refused", mynah.address());
    let file = file.to_str().unwrap();
    let flags = ["--expect100-timeout", "1000", "-H", "Expect: 100-continue"];
    let transfer = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_upload} %{http_code}\n",
        "--upload-file",
        file,
        &url,
    ];
    let said = Program::run(command("curl", &[&flags[..], &["--silent"], &transfer].concat()))
        .await
        .unwrap();
    assert_eq!(said, "0 413");

    let (accounts, metrics) = mynah.settled().await.unwrap();
    assert_eq!((accounts.requests, accounts.mirror().ended()), (1, 1), "{metrics}");
    assert_eq!(
        metrics.errors_of("upstream") + metrics.errors_of("internal"),
        0,
        "{metrics}"
    );
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_offer_to_upgrade_is_the_applications_to_decline() {
    let around = Around::start().await;
    // In clear text this asks for an upgrade of the first request, which the application does not know.
    let mut curl = around.curl(&["--http2", "--output", "/dev/null"]);
    curl.arg(around.url("/upgrade"));
    assert_eq!(run(curl).await, ["1.1 200"]);
    assert_eq!(around.upstream.received(1).await[0].headers["upgrade"], "h2c");
    let (accounts, metrics) = settled_without_errors(&around.mynah).await;
    assert_eq!((accounts.requests, metrics.not_copied("upgrade")), (1, 1), "{metrics}");
}
