//! Mynah itself is told to end.

use std::time::{Duration, Instant};

use mynah_testkit::application::{Application, FIRST_HALF, SECOND_HALF};
use mynah_testkit::binary::{Mynah, Signal};
use mynah_testkit::caller::{Caller, Load};
use mynah_testkit::raw::{Collector, End, Ended};
use tokio::net::TcpStream;

use crate::harness::{PATIENCE, binary, client_of, mynah, receive, send, settled_without_errors};

/// A client with half of its response.
async fn held_client(mynah: &Mynah) -> End {
    let mut client = client_of(mynah).await;
    send(&mut client, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    receive(&mut client, FIRST_HALF).await;
    client
}

/// Waits until no more clients are accepted.
async fn until_it_refuses(mynah: &Mynah) {
    let refuses = async { while TcpStream::connect(mynah.address()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refuses)
        .await
        .expect("it stops accepting");
}

#[tokio::test]
async fn a_signal_under_load_fails_no_production_request() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let args = [
        "--upstream".to_owned(),
        format!("http://{}", app.address()),
        "--mirror".to_owned(),
        format!("http://{}", mirror.address()),
        "--listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--workers".to_owned(),
        "2".to_owned(),
    ];
    let mut mynah = Mynah::run(&binary(), &args).await.unwrap();

    // Keeps the process alive until its books have been read.
    let mut held = held_client(&mynah).await;
    let load = Load::start(mynah.address(), 12, 4);
    load.until_answered(500).await;
    mynah.signal(Signal::Term).await;
    let answered = load.until_turned_away().await;

    let (accounts, _) = settled_without_errors(&mynah).await;
    // What the mirror would answer to the held request is no concern of the drain.
    assert_eq!(accounts.requests, answered + 1, "{accounts:?}");
    assert!(!mynah.has_ended());
    app.release();
    receive(&mut held, SECOND_HALF).await;
    assert_eq!(held.until_ended().await, Some(Ended::Fin));
    let status = mynah.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", mynah.output());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut mynah = mynah(app.address(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    receive(&mut client, "\r\n\r\nok").await;
    settled_without_errors(&mynah).await;
    mynah.signal(Signal::Int).await;
    assert_eq!(client.until_ended().await, Some(Ended::Fin));
    let status = mynah.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", mynah.output());
}

#[tokio::test]
async fn a_request_on_a_kept_connection_is_served_after_the_signal_and_told_that_it_is_the_last() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut mynah = mynah(app.address(), mirror.address()).await;

    let mut held = held_client(&mynah).await;
    let mut caller = Caller::connect(mynah.address()).await.unwrap();
    assert!(!caller.ask().await.unwrap().last);
    mynah.signal(Signal::Term).await;
    // The signal may not have arrived yet.
    let mut asked = 1;
    loop {
        asked += 1;
        let answer = caller.ask().await.unwrap();
        assert_eq!(answer.status, 200);
        if answer.last {
            break;
        }
    }
    assert!(caller.is_closed().await);

    let (accounts, _) = settled_without_errors(&mynah).await;
    assert_eq!(accounts.requests, asked + 1);
    app.release();
    receive(&mut held, SECOND_HALF).await;
    assert_eq!(mynah.ended().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_copy_that_never_ends_holds_up_the_end_for_a_second_at_most() {
    let app = Collector::start().await.unwrap();
    let mirror = Application::start().await;
    let mut mynah = mynah(app.address(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").await;
    receive(&mut client, "Content-Length: 0\r\n\r\n").await;
    drop(client);
    let metrics = mynah
        .until("idle", |metrics| metrics.sum("mynah_connections", &[]) == 0)
        .await
        .unwrap();
    assert_eq!(metrics.sum("mynah_copies_in_flight", &[]), 1, "{metrics}");
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    let asked = Instant::now();
    mynah.signal(Signal::Term).await;
    let status = mynah.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", mynah.output());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut mynah = mynah(app.address(), mirror.address()).await;

    let mut held = held_client(&mynah).await;
    mynah.signal(Signal::Term).await;
    until_it_refuses(&mynah).await;
    let (_, metrics) = settled_without_errors(&mynah).await;
    assert_eq!(metrics.sum("mynah_requests_total", &[]), 1);
    assert!(!mynah.has_ended());
    let asked = Instant::now();
    mynah.signal(Signal::Term).await;
    assert!(mynah.ended().await.is_some(), "it goes on");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(held.until_ended().await.is_some());
    assert_eq!(held.received(), FIRST_HALF);
}

#[tokio::test]
async fn the_drain_timeout_ends_what_does_not_end() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mynah.yaml");
    let config = format!(
        "listeners: [127.0.0.1:0]\nupstream: http://{}\nmirrors: {{mirror: http://{}}}\n\
         admin: 127.0.0.1:0\nworkers: 1\ndrain_timeout: 1s\n",
        app.address(),
        mirror.address()
    );
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    let mut mynah = Mynah::run(&binary(), &args).await.unwrap();

    let mut held = held_client(&mynah).await;
    settled_without_errors(&mynah).await;
    let asked = Instant::now();
    mynah.signal(Signal::Term).await;
    let status = mynah.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", mynah.output());
    let took = asked.elapsed();
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(8)).contains(&took),
        "{took:?}"
    );
    assert!(held.until_ended().await.is_some());
    assert_eq!(held.received(), FIRST_HALF);
}
