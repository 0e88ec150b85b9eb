//! The application dies.

use mynah_testkit::raw::{Collector, Ended};
use tokio::net::TcpListener;

use crate::harness::{accept, client_of, is_served, listener, mynah, receive, send, settled};

/// Half of a response.
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";

/// The application ends within its response, the client sees exactly that, and the next clients are told the truth.
async fn killed_within_a_response(how: Ended) {
    let app = listener().await;
    let address = app.local_addr().unwrap();
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(address, mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = accept(&app).await;
    receive(&mut server, "\r\n\r\n").await;
    send(&mut server, HALF).await;
    receive(&mut client, HALF).await;
    match how {
        Ended::Fin => drop(server),
        Ended::Reset => server.reset(),
    }
    drop(app);
    assert_eq!(client.until_ended().await, Some(how));
    assert_eq!(client.received(), HALF.as_bytes());

    // Nobody listens any more.
    let mut client = client_of(&mynah).await;
    send(&mut client, "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.until_ended().await, Some(Ended::Fin));
    assert!(client.received().starts_with(b"HTTP/1.1 502 "));

    let app = TcpListener::bind(address).await.unwrap();
    is_served(&mynah, &app).await;

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("truncated"), metrics.errors("connect")), (1, 1));
    assert_eq!(metrics.all_errors(), 2, "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (3, 3));
}

#[tokio::test]
async fn an_upstream_that_ends_within_a_response_ends_it_for_the_client() {
    killed_within_a_response(Ended::Fin).await;
}

#[tokio::test]
async fn an_upstream_that_is_reset_within_a_response_resets_the_client() {
    killed_within_a_response(Ended::Reset).await;
}

#[tokio::test]
async fn an_upstream_killed_before_it_answers_is_a_bad_gateway() {
    let app = listener().await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(app.local_addr().unwrap(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, "GET /unanswered HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = accept(&app).await;
    receive(&mut server, "\r\n\r\n").await;
    server.reset();
    assert_eq!(client.until_ended().await, Some(Ended::Fin));
    assert!(client.received().starts_with(b"HTTP/1.1 502 "));
    is_served(&mynah, &app).await;

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("closed"), metrics.all_errors()), (1, 1), "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 2));
}

#[tokio::test]
async fn an_upstream_killed_within_an_upload_is_a_bad_gateway_and_cuts_the_copy() {
    let app = listener().await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(app.local_addr().unwrap(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(
        &mut client,
        "PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nten bytes.",
    )
    .await;
    let mut server = accept(&app).await;
    receive(&mut server, "ten bytes.").await;
    server.reset();
    assert_eq!(client.until_ended().await, Some(Ended::Fin));
    assert!(client.received().starts_with(b"HTTP/1.1 502 "));
    is_served(&mynah, &app).await;

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("closed"), metrics.all_errors()), (1, 1), "{metrics}");
    assert_eq!(metrics.copies("shed", "source_aborted"), 1);
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 1));
}
