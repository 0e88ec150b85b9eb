//! However a request ends, it has one line, and so has every copy.

use mynah_testkit::raw::End;

use crate::harness::{Logged, Setup, application, exchange, listener};

const FORMAT: &str = "{request} {status} {request_bytes} {response_bytes} {outcome} {reason}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn logged(upstream: std::net::SocketAddr, mirror: std::net::SocketAddr, top: &str) -> Logged {
    Setup {
        upstream,
        top: &format!("access_log: {{path: access.log, format: '{FORMAT}'}}\n{top}"),
        mirrors: format!("{{m: {{url: 'http://{mirror}', access_log: {{path: m.log, format: '{FORMAT}'}}}}}}"),
    }
    .start()
    .await
}

/// The line of what is asked before an application that does what `act` says, on a connection of its own.
async fn line_of<F: Future<Output = ()>>(ask: &str, act: impl FnOnce(End, End) -> F) -> (String, String) {
    let app = listener().await;
    let logged = logged(app.local_addr().unwrap(), application(&[OK]).await, "").await;
    let mut client = logged.client().await;
    assert!(client.send_all(ask.as_bytes()).await);
    let (stream, _) = app.accept().await.unwrap();
    let mut server = End::new(stream);
    let arrived = ask.len();
    assert!(server.until(|server| server.received().len() >= arrived).await);
    act(client, server).await;
    (logged.line("access.log").await, logged.line("m.log").await)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_logged_as_nginx_does() {
    let (line, copy) = line_of(GET, |client, mut server| async move {
        client.reset();
        server.until_ended().await;
    })
    .await;
    assert_eq!(line, "GET / HTTP/1.1 499 0 0 - aborted");
    assert_eq!(copy, "GET / HTTP/1.1 200 0 5 delivered -");
}

#[tokio::test]
async fn a_client_that_leaves_within_an_upload_is_logged_with_what_it_sent() {
    let ask = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf";
    let (line, copy) = line_of(ask, |client, mut server| async move {
        client.reset();
        server.until_ended().await;
    })
    .await;
    assert_eq!(line, "POST / HTTP/1.1 499 4 0 - aborted");
    assert_eq!(copy, "POST / HTTP/1.1 000 4 0 shed source_aborted");
}

#[tokio::test]
async fn an_application_that_leaves_within_a_response_is_logged_with_what_came() {
    let (line, _) = line_of(GET, |mut client, mut server| async move {
        server
            .send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .await;
        drop(server);
        client.until_ended().await;
    })
    .await;
    assert_eq!(line, "GET / HTTP/1.1 200 0 4 - truncated");
}

#[tokio::test]
async fn an_application_that_says_nothing_or_nonsense_is_logged_with_the_status_that_the_client_gets() {
    let (line, _) = line_of(GET, |mut client, server| async move {
        drop(server);
        client.until_ended().await;
    })
    .await;
    assert_eq!(line, "GET / HTTP/1.1 502 0 0 - closed");
    let (line, _) = line_of(GET, |mut client, mut server| async move {
        server.send_all(b"SPEAK FRIEND\r\n\r\n").await;
        client.until_ended().await;
    })
    .await;
    assert_eq!(line, "GET / HTTP/1.1 502 0 0 - bad_response");
}

#[tokio::test]
async fn a_tunnel_has_one_line_when_it_ends() {
    let ask = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let app = listener().await;
    let logged = logged(app.local_addr().unwrap(), application(&[OK]).await, "").await;
    let mut client = logged.client().await;
    assert!(client.send_all(ask.as_bytes()).await);
    let mut server = End::new(app.accept().await.unwrap().0);
    assert!(server.until_ends_with(b"\r\n\r\n").await);
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    server.send_all([switch, "from the server"].concat().as_bytes()).await;
    assert!(client.until_ends_with(b"from the server").await);
    exchange_bytes(&mut client, &mut server).await;
    assert_eq!(logged.text("access.log"), "", "it has not ended");
    drop(client);
    server.until_ended().await;
    drop(server);
    assert_eq!(logged.line("access.log").await, "GET /ws HTTP/1.1 101 6 15 - -");
    assert_eq!(logged.text("m.log"), "", "tunnels are not copied");
}

async fn exchange_bytes(client: &mut End, server: &mut End) {
    client.send_all(b"client").await;
    assert!(server.until_ends_with(b"client").await);
}

#[tokio::test]
async fn what_is_refused_has_a_line_though_nothing_of_it_can_be_told() {
    let logged = logged(
        application(&[OK]).await,
        application(&[OK]).await,
        "limits: {head_timeout: 100ms}",
    )
    .await;
    let mut client = logged.client().await;
    client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    client.until_ended().await;
    let mut client = logged.client().await;
    client.send_all(b"GET / HT").await;
    client.until_ended().await;
    assert_eq!(
        logged.lines("access.log", 2).await,
        ["- 400 0 0 - bad_request", "- 408 0 0 - head_timeout"]
    );
}

#[tokio::test]
async fn an_application_that_is_not_there_and_a_mirror_that_is_not_there_are_logged() {
    let gone = listener().await.local_addr().unwrap();
    let also_gone = listener().await.local_addr().unwrap();
    let logged = logged(gone, also_gone, "").await;
    for _ in 0..7 {
        let mut client = logged.client().await;
        client.send_all(GET.as_bytes()).await;
        client.until_ended().await;
    }
    assert_eq!(
        logged.lines("access.log", 7).await,
        ["GET / HTTP/1.1 502 0 0 - connect"; 7]
    );
    let lines = logged.lines("m.log", 7).await;
    let count = |wanted: &str| lines.iter().filter(|line| line.as_str() == wanted).count();
    // The breaker opens after five.
    assert_eq!(count("GET / HTTP/1.1 000 0 0 failed connect"), 5, "{lines:#?}");
    assert_eq!(count("GET / HTTP/1.1 000 0 0 shed breaker_open"), 2, "{lines:#?}");
}

#[tokio::test]
async fn there_are_as_many_lines_as_requests_and_copies() {
    let logged = Setup {
        upstream: application(&[OK; 100]).await,
        top: "access_log: {path: access.log, format: '{path}'}",
        mirrors: format!(
            "{{m: {{url: 'http://{}', ratio: 250%, access_log: {{path: m.log, format: '{{path}}'}}}}}}",
            application(&[OK; 300]).await
        ),
    }
    .start()
    .await;
    let mut client = logged.client().await;
    for _ in 0..100 {
        exchange(&mut client, GET, "hello").await;
    }
    logged
        .until("all delivered", |metrics| metrics.copies("delivered", "") == 250)
        .await;
    logged.lines("access.log", 100).await;
    logged.lines("m.log", 250).await;
}

#[tokio::test]
async fn a_request_that_mynah_cuts_when_it_stops_has_its_line() {
    let app = listener().await;
    let mut logged = logged(
        app.local_addr().unwrap(),
        application(&[OK]).await,
        "drain_timeout: 100ms",
    )
    .await;
    let mut client = logged.client().await;
    client.send_all(GET.as_bytes()).await;
    let mut server = End::new(app.accept().await.unwrap().0);
    assert!(server.until_ends_with(b"\r\n\r\n").await);
    logged.stop().await;
    assert_eq!(logged.line("access.log").await, "GET / HTTP/1.1 000 0 0 - shutdown");
}
