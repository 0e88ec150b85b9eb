//! The mirror dies.

use mynah_testkit::application::Application;
use mynah_testkit::caller::Load;
use mynah_testkit::raw::{Collector, End, Ended};

use crate::harness::{accept, client_of, listener, mynah, receive, send, settled_without_errors};

const HEAD: &str = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn die(mirror: End, how: Ended) {
    match how {
        Ended::Fin => drop(mirror),
        Ended::Reset => mirror.reset(),
    }
}

/// The reason that is counted for a copy whose mirror died like that.
fn reason(how: Ended) -> &'static str {
    match how {
        Ended::Fin => "closed",
        Ended::Reset => "reset",
    }
}

/// The mirror ends within the copy of an upload; the upload itself arrives, and the next copy finds the mirror again.
async fn killed_within_a_body(how: Ended) {
    let app = listener().await;
    let mirrors = listener().await;
    let mynah = mynah(app.local_addr().unwrap(), mirrors.local_addr().unwrap()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, [HEAD, "ten bytes."].concat()).await;
    let mut server = accept(&app).await;
    let mut mirror = accept(&mirrors).await;
    receive(&mut server, "ten bytes.").await;
    receive(&mut mirror, "ten bytes.").await;
    die(mirror, how);
    mynah
        .until("failed", |metrics| metrics.copies("failed", reason(how)) == 1)
        .await
        .unwrap();
    send(&mut client, "and a rest").await;
    receive(&mut server, "ten bytes.and a rest").await;
    send(&mut server, RESPONSE).await;
    receive(&mut client, RESPONSE).await;

    send(&mut client, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n").await;
    receive(&mut server, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n").await;
    send(&mut server, RESPONSE).await;
    receive(&mut client, RESPONSE.repeat(2)).await;
    let mut mirror = accept(&mirrors).await;
    receive(&mut mirror, "\r\n\r\n").await;
    send(&mut mirror, RESPONSE).await;

    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert_eq!(metrics.copies("failed", reason(how)), 1, "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 1));
}

#[tokio::test]
async fn a_mirror_that_ends_within_a_body_costs_that_copy_alone() {
    killed_within_a_body(Ended::Fin).await;
}

#[tokio::test]
async fn a_mirror_that_is_reset_within_a_body_costs_that_copy_alone() {
    killed_within_a_body(Ended::Reset).await;
}

#[tokio::test]
async fn a_mirror_killed_within_its_response_costs_that_copy_alone() {
    let app = Collector::start().await.unwrap();
    let mirrors = listener().await;
    let mynah = mynah(app.address(), mirrors.local_addr().unwrap()).await;

    for how in [Ended::Fin, Ended::Reset] {
        let mut client = client_of(&mynah).await;
        send(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        receive(&mut client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let mut mirror = accept(&mirrors).await;
        receive(&mut mirror, "\r\n\r\n").await;
        send(&mut mirror, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
        die(mirror, how);
    }

    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert_eq!(
        (metrics.copies("failed", "closed"), metrics.copies("failed", "reset")),
        (1, 1),
        "{metrics}"
    );
    assert_eq!((accounts.requests, accounts.mirror().failed), (2, 2));
}

#[tokio::test]
async fn a_mirror_killed_under_load_fails_no_production_request() {
    let app = Application::start().await;
    let mirror = Application::start().await;
    let mynah = mynah(app.address(), mirror.address()).await;

    let load = Load::start(mynah.address(), 8, 2);
    load.until_answered(400).await;
    mirror.kill();
    mynah
        .until("left alone", |metrics| metrics.copies("shed", "breaker_open") >= 200)
        .await
        .unwrap();
    let answered = load.stop().await;

    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert_eq!(accounts.requests, answered, "{metrics}");
    assert!(
        accounts.mirror().delivered > 0 && accounts.mirror().failed > 0,
        "{accounts:?}"
    );
}
