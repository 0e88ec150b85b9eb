//! A browser: it listens to Server-Sent Events through Mynah, and shows Mynah's dashboard.

use mynah_testkit::program::Program;
use mynah_testkit::raw::Collector;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{command, listening, mynah, node, settled_with_every_copy};

/// A browser without a window and without a past, that talks to nobody but what the page names.
fn browser(profile: &TempDir, url: &str) -> Command {
    let profile = format!("--user-data-dir={}", profile.path().display());
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        &profile,
        url,
    ];
    command("chromium", &flags)
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_browser_gets_every_event_when_it_is_sent() {
    let (server, upstream) = listening(node("events-server.js", &[])).await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(upstream, mirror.address()).await;

    let profile = tempfile::tempdir().unwrap();
    let mut browser = Program::start(browser(&profile, &format!("http://{}/", mynah.address()))).unwrap();
    let done = server
        .says("done ")
        .await
        .map_err(|error| format!("{error}; {browser}"))
        .unwrap();
    browser.kill().await;
    let events: Vec<_> = (1..=10).map(|n| format!(r#""{n} number {n}\nof 10""#)).collect();
    assert_eq!(done, format!("[{}]", events.join(",")));
    assert_eq!(server.says("last-event-id ").await.unwrap(), "5");

    let accounts = settled_with_every_copy(&mynah).await;
    let mut asked: Vec<_> = server
        .output()
        .iter()
        .filter_map(|line| line.strip_prefix("request ").map(str::to_owned))
        .collect();
    let copies = mirror.until(|copies| copies.len() >= asked.len()).await;
    assert_eq!((copies.len(), accounts.requests), (asked.len(), asked.len() as u64));
    let mut copied: Vec<_> = mirror
        .whole()
        .iter()
        .map(|copy| format!("{} {}", copy.method.escape_ascii(), copy.target.escape_ascii()))
        .collect();
    asked.sort();
    copied.sort();
    assert_eq!(asked, copied);
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn the_dashboard_sets_a_ratio_and_pauses_copies() {
    let upstream = Collector::start().await.unwrap();
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(upstream.address(), mirror.address()).await;

    let profile = tempfile::tempdir().unwrap();
    let page = format!("http://{}/", mynah.admin());
    let user = node("dashboard-user.js", &[&page, profile.path().to_str().unwrap()]);
    let said = Program::run(user).await.unwrap();
    // What the page shows it reads from the metrics. The slider is quadratic: its middle is a quarter.
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "state copying",
            "ratio 25%",
            "paused paused",
            "resumed copying",
            "complaints []"
        ]
    );
    let metrics = mynah.page("/metrics").await.unwrap();
    for line in [
        "mynah_mirror_ratio{mirror=\"mirror\"} 0.25",
        "mynah_mirror_paused{mirror=\"mirror\"} 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in\n{metrics}"
        );
    }
}
