//! Upstream connections that clients share.

use bytes::Bytes;
use mynah_testkit::app::{App, mirror};
use mynah_testkit::binary::Mynah;
use mynah_testkit::http2::{get, response};
use mynah_testkit::raw::{End, show};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::harness::{PATIENCE, binary};
use crate::responses::GET;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Around {
    app: TcpListener,
    mynah: Mynah,
    _mirror: App,
    _directory: TempDir,
}

impl Around {
    async fn start() -> Self {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mirror = mirror().await;
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "listeners: ['127.0.0.1:0']\nadmin: '127.0.0.1:0'\nworkers: 1\n\
             upstream: {{url: 'http://{}', connections: shared}}\nmirrors: {{m: {{url: 'http://{}'}}}}\n",
            app.local_addr().unwrap(),
            mirror.address()
        );
        let file = directory.path().join("mynah.yaml");
        std::fs::write(&file, config).unwrap();
        let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
        Self {
            app,
            mynah: Mynah::run(&binary(), &args).await.unwrap(),
            _mirror: mirror,
            _directory: directory,
        }
    }

    async fn client(&self) -> End {
        End::connect(self.mynah.address()).await.unwrap()
    }

    async fn connection(&self) -> End {
        End::new(self.app.accept().await.unwrap().0)
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(PATIENCE, test).await });
    assert!(ended.is_ok(), "somebody waits for what never comes");
}

/// One exchange; the client and the application have had `before` already.
async fn exchange(client: &mut End, app: &mut End, request: &str, answer: &str) {
    client.send_all(request.as_bytes()).await;
    assert!(
        app.until_ends_with(request.as_bytes()).await,
        "the application received {}",
        show(app.received())
    );
    app.send_all(answer.as_bytes()).await;
    assert!(
        client.until_ends_with(answer.as_bytes()).await,
        "the client received {}",
        show(client.received())
    );
}

#[test]
fn clients_share_the_connections_of_an_http1_application() {
    run(async {
        let around = Around::start().await;
        let (mut one, mut two) = (around.client().await, around.client().await);
        one.send_all(GET.as_bytes()).await;
        let mut app = around.connection().await;
        assert!(app.until_ends_with(GET.as_bytes()).await);
        app.send_all(OK.as_bytes()).await;
        assert!(one.until_ends_with(OK.as_bytes()).await);
        // Every next one arrives on the same connection, whoever asks.
        let odd = "GET /a//b HTTP/1.1\r\nhOST: a\r\nX-Case:  kept\r\n\r\n";
        exchange(&mut two, &mut app, odd, "HTTP/1.1 299 Odd\r\ncontent-LENGTH: 0\r\n\r\n").await;
        exchange(&mut one, &mut app, "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n", OK).await;
        exchange(&mut two, &mut app, "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n", OK).await;
        let accounts = around.mynah.at_rest().await.unwrap();
        assert_eq!((accounts.requests, accounts.connections), (4, 2));
    });
}

#[test]
fn requests_at_once_have_a_shared_connection_each() {
    run(async {
        let around = Around::start().await;
        let (mut one, mut two) = (around.client().await, around.client().await);
        one.send_all(GET.as_bytes()).await;
        let mut first = around.connection().await;
        two.send_all(GET.as_bytes()).await;
        let mut second = around.connection().await;
        assert!(second.until_ends_with(GET.as_bytes()).await);
        second.send_all(OK.as_bytes()).await;
        assert!(two.until_ends_with(OK.as_bytes()).await);
        assert!(first.until_ends_with(GET.as_bytes()).await);
        first.send_all(OK.as_bytes()).await;
        assert!(one.until_ends_with(OK.as_bytes()).await);
    });
}

#[test]
fn a_shared_connection_that_the_application_ends_ends_no_client_and_fails_no_request() {
    run(async {
        let around = Around::start().await;
        let (mut one, mut two) = (around.client().await, around.client().await);
        one.send_all(GET.as_bytes()).await;
        let mut app = around.connection().await;
        assert!(app.until_ends_with(GET.as_bytes()).await);
        app.send_all(OK.as_bytes()).await;
        assert!(one.until_ends_with(OK.as_bytes()).await);
        drop(app);
        for client in [&mut two, &mut one] {
            client.send_all(GET.as_bytes()).await;
            let mut app = around.connection().await;
            assert!(app.until_ends_with(GET.as_bytes()).await);
            app.send_all(OK.as_bytes()).await;
            assert!(client.until_ends_with(OK.as_bytes()).await);
        }
        let metrics = around.mynah.metrics().await.unwrap();
        assert_eq!(metrics.all_errors(), 0, "{metrics}");
    });
}

#[test]
fn a_request_that_meets_the_end_of_a_shared_connection_is_sent_again() {
    run(async {
        let around = Around::start().await;
        let mut client = around.client().await;
        client.send_all(GET.as_bytes()).await;
        let mut app = around.connection().await;
        assert!(app.until_ends_with(GET.as_bytes()).await);
        app.send_all(OK.as_bytes()).await;
        assert!(client.until_ends_with(OK.as_bytes()).await);
        client.send_all(GET.as_bytes()).await;
        assert!(app.until_ends_with(format!("{GET}{GET}").as_bytes()).await);
        drop(app);
        let mut app = around.connection().await;
        assert!(app.until_ends_with(GET.as_bytes()).await);
        app.send_all(OK.as_bytes()).await;
        assert!(client.until_ends_with(format!("{OK}{OK}").as_bytes()).await);
        let accounts = around.mynah.at_rest().await.unwrap();
        assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 2));
    });
}

#[test]
fn http2_clients_share_one_connection() {
    run(async {
        let around = Around::start().await;
        let ask = async || {
            let tcp = TcpStream::connect(around.mynah.address()).await.unwrap();
            let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
            tokio::task::spawn_local(connection);
            let (answer, _) = sender.ready().await.unwrap().send_request(get("/", &[]), true).unwrap();
            (answer,)
        };
        let (one,) = ask().await;
        let mut app = h2::server::handshake::<_>(around.app.accept().await.unwrap().0)
            .await
            .unwrap();
        let (_, mut respond_one) = app.accept().await.unwrap().unwrap();
        let (two,) = ask().await;
        let (_, mut respond_two) = app.accept().await.unwrap().unwrap();
        tokio::task::spawn_local(async move { while app.accept().await.is_some() {} });
        let _: h2::SendStream<Bytes> = respond_two.send_response(response(202, &[]), true).unwrap();
        assert_eq!(two.await.unwrap().status(), 202);
        respond_one.send_response(response(201, &[]), true).unwrap();
        assert_eq!(one.await.unwrap().status(), 201);
    });
}
