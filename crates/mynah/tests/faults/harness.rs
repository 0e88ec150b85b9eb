//! What every room needs: the binary, ends of connections, and the books at the end.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mynah_testkit::binary::{Accounts, Metrics, Mynah};
use mynah_testkit::raw::End;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long anything may take that is due.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test; another build of it when the environment names one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from)
}

/// A proxy before `upstream` that copies everything to `mirror`.
pub(crate) async fn mynah(upstream: SocketAddr, mirror: SocketAddr) -> Mynah {
    Mynah::before(&binary(), upstream, &[mirror]).await.unwrap()
}

/// A port of the test's own.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// The next connection, as the end that a server has of it.
pub(crate) async fn accept(listener: &TcpListener) -> End {
    let (stream, _) = timeout(PATIENCE, listener.accept())
        .await
        .expect("nobody came")
        .unwrap();
    End::new(stream)
}

/// A client's connection.
pub(crate) async fn client_of(mynah: &Mynah) -> End {
    End::connect(mynah.address()).await.unwrap()
}

/// Sends, and sees that it was taken.
pub(crate) async fn send(end: &mut End, bytes: impl AsRef<[u8]>) {
    assert!(end.send_all(bytes.as_ref()).await, "what was sent is not taken");
}

/// Waits until what was received ends like this.
pub(crate) async fn receive(end: &mut End, tail: impl AsRef<[u8]>) {
    let tail = tail.as_ref();
    let came = end.until_ends_with(tail).await;
    assert!(
        came,
        "never received {:?}, but {:?}",
        tail.escape_ascii().to_string(),
        mynah_testkit::raw::show(end.received())
    );
}

/// Asks on a connection that may have been used before, and waits for this very answer.
pub(crate) async fn ask(client: &mut End, request: &str, answer: &str) {
    let before = client.received().len();
    send(client, request).await;
    let came = client
        .until(|client| client.received().len() >= before + answer.len())
        .await;
    assert!(came, "never answered: {request:?}");
    assert_eq!(
        client.received()[before..].escape_ascii().to_string(),
        answer.as_bytes().escape_ascii().to_string()
    );
}

/// A request and its response on a connection of their own: what a client sees when all is well.
pub(crate) async fn is_served(mynah: &Mynah, app: &TcpListener) {
    let mut client = client_of(mynah).await;
    send(&mut client, "GET /is-served HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = accept(app).await;
    receive(&mut server, "\r\n\r\n").await;
    send(&mut server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    receive(&mut client, "\r\n\r\nok").await;
}

/// The books once no copy is under way; they add up.
pub(crate) async fn settled(mynah: &Mynah) -> (Accounts, Metrics) {
    let (accounts, metrics) = mynah.settled().await.unwrap();
    assert_eq!(metrics.errors_of("internal"), 0, "{}", mynah.output());
    (accounts, metrics)
}

/// The books of a production that did not notice anything.
pub(crate) async fn settled_without_errors(mynah: &Mynah) -> (Accounts, Metrics) {
    let (accounts, metrics) = settled(mynah).await;
    assert_eq!(metrics.all_errors(), 0, "{metrics}; {}", mynah.output());
    (accounts, metrics)
}
