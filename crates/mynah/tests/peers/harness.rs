//! What every room needs: the binary with a configuration, programs, and the books at the end.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mynah_testkit::binary::{Accounts, Metrics, Mynah};
use mynah_testkit::program::Program;
use tokio::process::Command;

/// The binary under test; another build of it when the environment names one.
fn binary() -> PathBuf {
    env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from)
}

/// A proxy before `upstream` that copies everything to `mirror`, started by flags: every default holds.
pub(crate) async fn mynah(upstream: SocketAddr, mirror: SocketAddr) -> Mynah {
    Mynah::before(&binary(), upstream, &[mirror]).await.unwrap()
}

/// The same from a file, which is kept in `directory`. The copies' windows are so wide that even large ones arrive, and
/// mirrors that do not answer are given up soon. `tls` is that of the listener, in YAML.
pub(crate) async fn patient_mynah(
    directory: &Path,
    upstream: SocketAddr,
    mirror: SocketAddr,
    tls: Option<&str>,
) -> Mynah {
    let file = directory.join("mynah.yaml");
    let config = format!(
        "listeners: [{{address: 127.0.0.1:0{}}}]\n\
         upstream: http://{upstream}\n\
         mirrors: {{mirror: {{url: 'http://{mirror}', window: 128MiB, max_response: 128MiB, timeout: 5s}}}}\n\
         max_held_bytes: 512MiB\n\
         workers: 1\n\
         admin: 127.0.0.1:0\n",
        tls.map(|tls| format!(", tls: {tls}")).unwrap_or_default()
    );
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    Mynah::run(&binary(), &args).await.unwrap()
}

/// A proxy from a file in `directory`, with what `log` says for `production` and for `mirror`.
pub(crate) async fn logging_mynah(
    directory: &Path,
    upstream: SocketAddr,
    mirror: SocketAddr,
    log: impl Fn(&str) -> String,
) -> Mynah {
    let file = directory.join("mynah.yaml");
    let config = format!(
        "listeners: ['127.0.0.1:0']\n\
         upstream: http://{upstream}\n\
         mirrors: {{mirror: {{url: 'http://{mirror}', max_response: 128MiB, {}}}}}\n\
         {}\n\
         workers: 1\n\
         admin: 127.0.0.1:0\n",
        log("mirror"),
        log("production"),
    );
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    Mynah::run(&binary(), &args).await.unwrap()
}

/// A command of the peer's, with nothing to read.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

/// One of the programs in `e2e/peers`.
pub(crate) fn node(program: &str, args: &[&str]) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../e2e/peers")
        .join(program);
    let mut command = command("node", &[file.to_str().unwrap()]);
    command.args(args);
    command
}

/// A program that listens on a free port and says which.
pub(crate) async fn listening(command: Command) -> (Program, SocketAddr) {
    let program = Program::start(command).unwrap();
    let port: u16 = program.says("listening ").await.unwrap().parse().unwrap();
    (program, ([127, 0, 0, 1], port).into())
}

/// The books once no copy is under way, of a production without errors; they add up.
pub(crate) async fn settled_without_errors(mynah: &Mynah) -> (Accounts, Metrics) {
    let (accounts, metrics) = mynah.settled().await.unwrap();
    assert_eq!(metrics.all_errors(), 0, "{metrics}; {}", mynah.output());
    (accounts, metrics)
}

/// The same of one where every request was copied and every copy arrived.
pub(crate) async fn settled_with_every_copy(mynah: &Mynah) -> Accounts {
    let (accounts, metrics) = settled_without_errors(mynah).await;
    assert_eq!(
        accounts.mirror().delivered,
        accounts.requests,
        "{metrics}; {}",
        mynah.output()
    );
    accounts
}
