//! nginx behind Mynah and beside it.

use mynah_testkit::binary::Mynah;
use mynah_testkit::raw::End;

use crate::curl::{curl, self_signed};
use crate::harness::{logging_mynah, mynah, patient_mynah, settled_with_every_copy, settled_without_errors};
use crate::server::Nginx;

/// The logs of both, when both have logged so many requests, are the same; copies carry the marker, requests do not.
async fn same_in_both_logs(upstream: &Nginx, mirror: &Nginx, requests: usize) {
    let (logged, copied) = (upstream.has_logged(requests).await, mirror.has_logged(requests).await);
    for (request, copy) in logged.iter().zip(&copied) {
        // Copies share kept connections, whatever the client's last one was.
        let request = request.replace("HTTP/1.0", "HTTP/1.1");
        assert_eq!(
            request.strip_suffix(" -"),
            copy.strip_suffix(" 1"),
            "{request} was copied as {copy}"
        );
    }
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn nginx_behind_and_beside_logs_what_mynah_counts() {
    let (upstream, mirror) = (Nginx::start(""), Nginx::start(""));
    let mynah = mynah(upstream.address(), mirror.address()).await;
    let url = format!("http://{}", mynah.address());
    let at = |path: &str| format!("{url}{path}");

    let codes = curl(&[
        "--parallel",
        "--parallel-max",
        "8",
        &at("/small?n=[1-300]"),
        "-o",
        "/dev/null",
    ])
    .await;
    assert_eq!(codes, vec!["1.1 200"; 300]);
    let codes = curl(&[
        "-H",
        "Peers-Test: one",
        "-d",
        "a body",
        &at("/discard/[1-50]"),
        "-o",
        "/dev/null",
    ])
    .await;
    assert_eq!(codes, vec!["1.1 204"; 50]);
    assert_eq!(curl(&["-I", &at("/small"), "-o", "/dev/null"]).await, ["1.1 200"]);
    assert_eq!(curl(&[&at("/missing"), "-o", "/dev/null"]).await, ["1.1 404"]);
    assert_eq!(
        curl(&["-r", "2-6", &at("/small"), "-o", "/dev/null"]).await,
        ["1.1 206"]
    );
    let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    assert_eq!(
        curl(&["-H", since, &at("/small"), "-o", "/dev/null"]).await,
        ["1.1 304"]
    );
    assert_eq!(
        curl(&["--http1.0", &at("/small"), "-o", "/dev/null"]).await,
        ["1.1 200"]
    );
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    assert_eq!(curl(&[&at("/large"), "-o", large.to_str().unwrap()]).await, ["1.1 200"]);
    assert!(
        std::fs::read(&large).unwrap() == upstream.file("large"),
        "the download differs"
    );

    let accounts = settled_with_every_copy(&mynah).await;
    assert_eq!(accounts.requests, 356);
    same_in_both_logs(&upstream, &mirror, 356).await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn nginx_behind_and_beside_logs_what_mynah_counts_over_http2() {
    let (upstream, mirror) = (Nginx::start_http2(), Nginx::start_http2());
    let directory = tempfile::tempdir().unwrap();
    // Under TLS curl uses a connection for many requests; without, its own HTTP/2 fails from the second on.
    let tls = self_signed(directory.path());
    let mynah = patient_mynah(directory.path(), upstream.address(), mirror.address(), Some(&tls)).await;
    let at = |path: &str| format!("https://localhost:{}{path}", mynah.address().port());
    let certificate = directory.path().join("certificate");
    let over = ["--http2", "--cacert", certificate.to_str().unwrap(), "-o", "/dev/null"];

    let gets = curl(&[&over[..], &["--parallel", &at("/small?n=[1-300]")]].concat()).await;
    assert_eq!(gets, vec!["2 200"; 300]);
    let posts = curl(
        &[
            &over[..],
            &["-H", "Peers-Test: one", "-d", "a body", &at("/discard/[1-50]")],
        ]
        .concat(),
    )
    .await;
    assert_eq!(posts, vec!["2 204"; 50]);
    assert_eq!(curl(&[&over[..], &["-I", &at("/small")]].concat()).await, ["2 200"]);
    assert_eq!(curl(&[&over[..], &[&at("/missing")]].concat()).await, ["2 404"]);

    assert_eq!(settled_with_every_copy(&mynah).await.requests, 352);
    same_in_both_logs(&upstream, &mirror, 352).await;
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_nginx_that_ends_its_connections_loses_no_request_and_no_copy() {
    let upstream = Nginx::start("keepalive_requests 3;");
    let mirror = Nginx::start("keepalive_requests 2;");
    let mynah = mynah(upstream.address(), mirror.address()).await;

    let url = format!("http://{}/small?n=[1-20]", mynah.address());
    assert_eq!(curl(&[&url, "-o", "/dev/null"]).await, vec!["1.1 200"; 20]);

    assert_eq!(settled_with_every_copy(&mynah).await.requests, 20);
    same_in_both_logs(&upstream, &mirror, 20).await;
}

/// A line of the format `combined`, and its time apart.
fn timed(line: &str) -> (String, String) {
    let (before, rest) = line.split_once('[').unwrap();
    let (time, after) = rest.split_once(']').unwrap();
    (format!("{before}[]{after}"), time.to_owned())
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn access_logs_are_line_for_line_those_of_nginx() {
    let (upstream, mirror) = (Nginx::start(""), Nginx::start(""));
    let directory = tempfile::tempdir().unwrap();
    let log = |name: &str| format!("access_log: {{path: {name}.log, format: combined}}");
    let mynah = logging_mynah(directory.path(), upstream.address(), mirror.address(), log).await;
    let url = format!("http://{}", mynah.address());
    let at = |path: &str| format!("{url}{path}");

    let requests: [&[&str]; 9] = [
        &[
            &at("/small?a=b&c"),
            "-A",
            "an \"agent\" \\ of \u{e9}",
            "-e",
            "http://a/?b",
        ],
        &["-I", &at("/small")],
        &[&at("/missing"), "-H", "User-Agent:"],
        &["-r", "2-6", &at("/small")],
        &["-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", &at("/small")],
        &["-d", "a body", &at("/discard/1")],
        &["-X", "DELETE", &at("/discard/2")],
        &[&at("/large")],
        &["-A", "", "-H", "Referer;", &at("/%20%22?x=%0a")],
    ];
    for request in requests {
        curl(&[request, &["-o", "/dev/null"]].concat()).await;
    }
    let read = |name: &str| {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        text.lines().map(timed).collect::<Vec<_>>()
    };
    for (name, nginx) in [("production.log", &upstream), ("mirror.log", &mirror)] {
        mynah
            .until("logged", |metrics| {
                metrics.sum("mynah_access_log_lines_total", &[]) == 18
            })
            .await
            .unwrap();
        let theirs: Vec<_> = nginx.combined(9).await.iter().map(|line| timed(line)).collect();
        let ours = read(name);
        for ((ours, our_time), (theirs, their_time)) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{name}");
            // The hour and later ones depend on nginx's time zone.
            assert_eq!(
                (our_time.len(), our_time.matches([':', '/', ' ', '+']).count()),
                (their_time.len(), 7)
            );
        }
        assert_eq!((ours.len(), theirs.len()), (9, 9));
    }
}

/// Asks for the small file; the connection stays open.
async fn ask(client: &mut End) {
    let before = client.received().len();
    assert!(client.send_all(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n").await);
    assert!(
        client
            .until(|client| client.received()[before..].ends_with(b"\r\n\r\na small file\n"))
            .await,
        "{:?}",
        client.received()
    );
}

async fn client_of(mynah: &Mynah) -> End {
    End::connect(mynah.address()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_connection_that_idles_out_at_nginx_is_closed_for_the_client() {
    let upstream = Nginx::start("keepalive_timeout 1s;");
    let mirror = Nginx::start("keepalive_timeout 1s;");
    let mynah = mynah(upstream.address(), mirror.address()).await;

    for _ in 0..2 {
        let mut client = client_of(&mynah).await;
        ask(&mut client).await;
        ask(&mut client).await;
        assert!(client.until_ended().await.is_some(), "the client is not told");
        // The mirror's connection has gone the same way, and the next copy finds another.
        mynah
            .until("alone", |metrics| metrics.sum("mynah_mirror_connections", &[]) == 0)
            .await
            .unwrap();
    }
    assert_eq!(settled_with_every_copy(&mynah).await.requests, 4);
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_nginx_killed_within_a_download_ends_it_and_is_found_again() {
    let mut upstream = Nginx::start("");
    let mirror = Nginx::start("");
    let mynah = mynah(upstream.address(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    assert!(client.send_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await);
    assert!(client.until(|client| client.received().len() > 10_000).await);
    upstream.kill().await;
    assert!(client.until_ended().await.is_some(), "the client waits for nobody");

    let url = format!("http://{}/small", mynah.address());
    assert_eq!(curl(&[&url, "-o", "/dev/null"]).await, ["1.1 502"]);
    upstream.restart();
    assert_eq!(curl(&[&url, "-o", "/dev/null"]).await, ["1.1 200"]);

    // The copy of the download goes on by itself, and ends in whatever way its limits allow.
    let (accounts, metrics) = mynah.settled().await.unwrap();
    assert_eq!(
        (metrics.errors("truncated"), metrics.errors("connect")),
        (1, 1),
        "{metrics}"
    );
    assert_eq!((metrics.all_errors(), accounts.requests), (2, 3), "{metrics}");
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn an_nginx_mirror_killed_and_started_again_is_never_noticed() {
    let upstream = Nginx::start("");
    let mut mirror = Nginx::start("");
    let mynah = mynah(upstream.address(), mirror.address()).await;

    let url = format!("http://{}/small?n=[1-2000]", mynah.address());
    let args = ["--parallel", "--parallel-max", "4", &url, "-o", "/dev/null"];
    let load = curl(&args);
    let kill = async {
        mynah
            .until("under load", |metrics| metrics.sum("mynah_requests_total", &[]) > 200)
            .await
            .unwrap();
        mirror.kill().await;
    };
    let (codes, ()) = tokio::join!(load, kill);
    assert_eq!(codes, vec!["1.1 200"; 2000]);
    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert!(
        accounts.mirror().failed > 0 && metrics.copies("shed", "breaker_open") > 0,
        "{metrics}"
    );

    mirror.restart();
    let before = accounts.mirror().delivered;
    let url = format!("http://{}/small", mynah.address());
    while settled_without_errors(&mynah).await.0.mirror().delivered < before + 5 {
        assert_eq!(curl(&[&url, "-o", "/dev/null"]).await, ["1.1 200"]);
    }
    let (accounts, _) = settled_without_errors(&mynah).await;
    upstream.has_logged(accounts.requests as usize).await;
    assert!(mirror.logged().len() as u64 >= accounts.mirror().delivered);
}
