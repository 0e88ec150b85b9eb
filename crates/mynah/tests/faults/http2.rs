//! The same by HTTP/2: what dies takes its own streams along, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use mynah_testkit::binary::Signal;
use mynah_testkit::raw::Collector;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::harness::{PATIENCE, listener, mynah, settled, settled_without_errors};

/// An HTTP/2 server: reads every request, and answers with `ok`; those for `/half` with half of what it announced, and then
/// nothing. Its connections end with it.
struct Server {
    address: SocketAddr,
    /// Bytes of bodies that have arrived.
    bytes: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        Self::on(listener().await)
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let bytes = Arc::<AtomicU64>::default();
        let count = bytes.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp, count.clone()));
            }
        });
        Self {
            address,
            bytes,
            serving,
        }
    }

    /// Ends it with all its connections.
    async fn kill(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }

    async fn received(&self, bytes: u64) {
        until(|| self.bytes.load(Ordering::Relaxed) >= bytes).await;
    }
}

async fn serve(tcp: TcpStream, bytes: Arc<AtomicU64>) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else {
        return;
    };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        streams.spawn(answer(request, respond, bytes.clone()));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, bytes: Arc<AtomicU64>) -> Option<()> {
    let half = request.uri().path() == "/half";
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let len = data.ok()?.len();
        bytes.fetch_add(len as u64, Ordering::Relaxed);
        body.flow_control().release_capacity(len).ok()?;
    }
    let mut stream = respond.send_response(Response::new(()), false).ok()?;
    if half {
        stream.send_data(Bytes::from_static(b"half"), false).ok()?;
        std::future::pending::<()>().await;
    }
    stream.send_data(Bytes::from_static(b"ok"), true).ok()
}

/// Waits until a condition holds that no other task of the test waits for.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it never comes about");
}

type Sender = SendRequest<Bytes>;

async fn connect(address: SocketAddr) -> std::io::Result<(Sender, JoinHandle<()>)> {
    let tcp = TcpStream::connect(address).await?;
    let (sender, connection) = h2::client::handshake(tcp).await.map_err(std::io::Error::other)?;
    let driving = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok((sender, driving))
}

fn request(path: &str) -> Request<()> {
    Request::post(format!("http://a{path}")).body(()).unwrap()
}

/// Asks for `path`, and reads the whole answer.
async fn ask(sender: &Sender, path: &str) -> Result<(u16, Bytes), h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (response, _) = sender.send_request(request(path), true)?;
    read(response.await?).await
}

async fn read(response: Response<RecvStream>) -> Result<(u16, Bytes), h2::Error> {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        whole.extend_from_slice(&data?);
    }
    Ok((status, whole.into()))
}

/// Begins an upload, of which ten bytes are sent.
async fn begin_upload(sender: &Sender) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let mut sender = sender.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request("/up"), false).unwrap();
    stream.send_data(Bytes::from_static(b"ten bytes."), false).unwrap();
    (response, stream)
}

#[tokio::test]
async fn an_upstream_killed_within_a_response_resets_that_stream() {
    let app = Server::start().await;
    let address = app.address;
    let mirror = Server::start().await;
    let mynah = mynah(address, mirror.address).await;

    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    let mut ready = sender.clone().ready().await.unwrap();
    let (response, _) = ready.send_request(request("/half"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "half");
    app.kill().await;
    assert!(body.data().await.unwrap().is_err(), "the response looks whole");

    // Nobody listens any more; then somebody does.
    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    assert_eq!(ask(&sender, "/").await.unwrap().0, 502);
    let _app = Server::on(TcpListener::bind(address).await.unwrap());
    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    assert_eq!(ask(&sender, "/").await.unwrap(), (200, Bytes::from_static(b"ok")));

    mirror.kill().await;
    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!(
        (
            metrics.errors("truncated"),
            metrics.errors("connect"),
            metrics.all_errors()
        ),
        (1, 1, 2),
        "{metrics}"
    );
    assert_eq!(accounts.requests, 3);
}

#[tokio::test]
async fn a_mirror_killed_within_a_body_costs_that_copy_alone() {
    let app = Server::start().await;
    let mirror = Server::start().await;
    let mynah = mynah(app.address, mirror.address).await;

    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    let (response, mut stream) = begin_upload(&sender).await;
    mirror.received(10).await;
    mirror.kill().await;
    mynah
        .until("failed", |metrics| {
            metrics.copies("failed", "closed") + metrics.copies("failed", "reset") == 1
        })
        .await
        .unwrap();
    stream.send_data(Bytes::from_static(b"and a rest"), true).unwrap();
    assert_eq!(read(response.await.unwrap()).await.unwrap().0, 200);
    app.received(20).await;
    assert_eq!(ask(&sender, "/").await.unwrap().0, 200);

    let (accounts, _) = settled_without_errors(&mynah).await;
    // The second found nobody.
    assert_eq!((accounts.requests, accounts.mirror().failed), (2, 2), "{accounts:?}");
}

#[tokio::test]
async fn a_client_gone_within_its_upload_takes_only_its_copy_along() {
    let app = Server::start().await;
    let mirror = Server::start().await;
    let mynah = mynah(app.address, mirror.address).await;

    let (sender, driving) = connect(mynah.address()).await.unwrap();
    let _upload = begin_upload(&sender).await;
    app.received(10).await;
    mirror.received(10).await;
    driving.abort();
    mynah
        .until("given up", |metrics| metrics.copies("shed", "source_aborted") == 1)
        .await
        .unwrap();
    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    assert_eq!(ask(&sender, "/").await.unwrap().0, 200);

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("aborted"), metrics.all_errors()), (1, 1), "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 1));
}

/// Asks one request after the other, on a new connection when the old one takes no more, until there is none. How many were
/// answered; the error says which was not.
async fn keep_asking(address: SocketAddr, answered: Arc<AtomicU64>) -> Result<(), String> {
    while let Ok((sender, _driving)) = connect(address).await {
        let mut asked = 0;
        while let Ok(mut ready) = sender.clone().ready().await {
            let Ok((response, _)) = ready.send_request(request("/load"), true) else {
                break;
            };
            asked += 1;
            let answer = async { read(response.await?).await };
            match answer.await {
                Ok((200, body)) if body == "ok" => answered.fetch_add(1, Ordering::Relaxed),
                other => return Err(format!("request {asked} of a connection: {other:?}")),
            };
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_under_load_fails_no_production_request() {
    let app = Server::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut mynah = mynah(app.address, mirror.address()).await;

    // Keeps the process alive until its books have been read.
    let (sender, _driving) = connect(mynah.address()).await.unwrap();
    let (held, mut upload) = begin_upload(&sender).await;
    app.received(10).await;
    let answered = Arc::<AtomicU64>::default();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        callers.spawn(keep_asking(mynah.address(), answered.clone()));
    }
    until(|| answered.load(Ordering::Relaxed) >= 300).await;
    mynah.signal(Signal::Term).await;
    let ends = timeout(PATIENCE, callers.join_all())
        .await
        .expect("callers come to an end");
    let failed: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");

    assert!(!mynah.has_ended());
    let metrics = mynah.metrics().await.unwrap();
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    assert_eq!(
        metrics.sum("mynah_requests_total", &[]),
        answered.load(Ordering::Relaxed) + 1
    );
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(read(held.await.unwrap()).await.unwrap().0, 200);
    drop((sender, upload));
    assert_eq!(
        mynah.ended().await.expect("it ends").code(),
        Some(0),
        "{}",
        mynah.output()
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let app = Server::start().await;
    let mirror = Server::start().await;
    let mut mynah = mynah(app.address, mirror.address).await;

    let (sender, driving) = connect(mynah.address()).await.unwrap();
    let _upload = begin_upload(&sender).await;
    app.received(10).await;
    mynah.signal(Signal::Term).await;
    let refuses = async { while TcpStream::connect(mynah.address()).await.is_ok() {} };
    timeout(PATIENCE, refuses).await.expect("it stops accepting");
    assert!(!mynah.has_ended());
    mynah.signal(Signal::Term).await;
    // Well before the drain timeout would have passed.
    assert!(mynah.ended().await.is_some(), "it goes on");
    driving.await.unwrap();
}
