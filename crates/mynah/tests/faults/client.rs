//! The client dies.

use mynah_testkit::raw::{Collector, Copy, Ended};

use crate::harness::{accept, client_of, is_served, listener, mynah, receive, send, settled};

/// The client goes within its upload; the application sees it go, and the copy is given up.
async fn gone_within_an_upload(how: Ended) {
    let app = listener().await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(app.local_addr().unwrap(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    let head = "PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n";
    send(&mut client, [head, "ten bytes."].concat()).await;
    let mut server = accept(&app).await;
    receive(&mut server, "ten bytes.").await;
    mirror.until_bytes(head.len() + 10).await;
    match how {
        Ended::Fin => drop(client),
        Ended::Reset => client.reset(),
    }
    assert_eq!(server.until_ended().await, Some(how));
    drop(server);
    is_served(&mynah, &app).await;

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("aborted"), metrics.all_errors()), (1, 1), "{metrics}");
    assert_eq!(metrics.copies("shed", "source_aborted"), 1, "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 1));
    let copies = mirror.until(|copies| copies.len() == 2).await;
    assert!(
        matches!(
            copies[..],
            [Copy::Cut(_), Copy::Whole(_)] | [Copy::Whole(_), Copy::Cut(_)]
        ),
        "{copies:?}"
    );
}

#[tokio::test]
async fn a_client_that_ends_within_its_upload_takes_only_its_copy_along() {
    gone_within_an_upload(Ended::Fin).await;
}

#[tokio::test]
async fn a_client_that_is_reset_within_its_upload_takes_only_its_copy_along() {
    gone_within_an_upload(Ended::Reset).await;
}

#[tokio::test]
async fn a_client_gone_within_its_response_leaves_a_whole_copy() {
    let app = listener().await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(app.local_addr().unwrap(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    send(&mut client, "GET /down HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut server = accept(&app).await;
    receive(&mut server, "\r\n\r\n").await;
    send(&mut server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    receive(&mut client, "half").await;
    client.reset();
    assert!(
        server.until_ended().await.is_some(),
        "the application never hears of it"
    );
    drop(server);
    is_served(&mynah, &app).await;

    let (accounts, metrics) = settled(&mynah).await;
    assert_eq!((metrics.errors("aborted"), metrics.all_errors()), (1, 1), "{metrics}");
    assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 2));
}
