//! The configuration changes.

use std::fs;

use mynah_testkit::application::Application;
use mynah_testkit::binary::{Mynah, Signal};
use mynah_testkit::caller::{Caller, Load};
use mynah_testkit::raw::Collector;
use tokio::net::TcpStream;

use crate::harness::{Operated, before, binary, generation, mirrored, reloads};

#[tokio::test]
async fn a_swapped_config_map_is_taken_up_under_load_without_a_failed_request() {
    let app = Application::start().await;
    let (one, two) = (Application::start().await, Application::start().await);
    let mut operated = Operated::start(&before(app.address())).await;
    let load = Load::start(operated.mynah.address(), 8, 4);
    for round in 0..4 {
        load.until_answered(100).await;
        let mirrors = [("one", one.address(), ", ratio: 50%"), ("two", two.address(), "")];
        let metrics = operated
            .change(&mirrored(app.address(), &mirrors[..1 + round % 2]))
            .await;
        assert_eq!(reloads(&metrics, "success"), round as u64 + 1, "{metrics}");
        load.until_answered(100).await;
    }
    load.stop().await;
    let metrics = operated
        .mynah
        .until("at rest", |metrics| metrics.sum("mynah_copies_in_flight", &[]) == 0)
        .await
        .unwrap();
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    assert_eq!(
        metrics.sum("mynah_copies_total", &[("outcome", "failed")]),
        0,
        "{metrics}"
    );
    for mirror in ["one", "two"] {
        let of = |name: &str| metrics.sum(name, &[("mirror", mirror)]);
        assert!(of("mynah_copies_started_total") > 0, "{mirror}: {metrics}");
        assert_eq!(
            of("mynah_copies_started_total"),
            of("mynah_copies_total"),
            "{mirror}: {metrics}"
        );
    }
}

#[tokio::test]
async fn what_stays_the_same_goes_on_without_a_break() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let with = |more: &str| mirrored(app.address(), &[("kept", mirror.address(), more)]);
    let mut operated = Operated::start(&(with(", ratio: 100%") + "workers: 1\n")).await;
    let mut caller = Caller::connect(operated.mynah.address()).await.unwrap();
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 1).await;
    operated.mynah.at_rest().await.unwrap();

    operated.change(&(with(", ratio: 200%") + "workers: 1\n")).await;
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 3).await;
    let (_, metrics) = rest(&operated.mynah).await;
    assert_eq!(metrics.sum("mynah_connections_accepted_total", &[]), 1, "{metrics}");
    assert_eq!(app.connections(), 1, "the upstream connection was not kept");
    assert!(mirror.connections() <= 2, "the mirror's connections were not kept");

    // The same mirror with something else: its lane is new, its counters go on.
    operated.change(&(with(", credentials: drop") + "workers: 1\n")).await;
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 4).await;
    let (copies, metrics) = rest(&operated.mynah).await;
    assert_eq!(copies, 4, "{metrics}");
    assert_eq!(metrics.copies("delivered", ""), 4, "{metrics}");
    assert_eq!(app.connections(), 1, "the upstream connection was not kept");

    // Without the mirror nothing is copied, and what it has counted is not forgotten.
    operated.change(&(before(app.address()) + "workers: 1\n")).await;
    caller.ask().await.unwrap();
    let metrics = operated
        .mynah
        .until("without connections to the mirror", |metrics| {
            metrics.sum("mynah_mirror_connections", &[]) == 0
        })
        .await
        .unwrap();
    assert_eq!(
        metrics.sum("mynah_copies_started_total", &[("mirror", "kept")]),
        4,
        "{metrics}"
    );
    assert_eq!(metrics.sum("mynah_requests_total", &[]), 4, "{metrics}");
}

/// Copies made, once none is under way.
async fn rest(mynah: &Mynah) -> (u64, mynah_testkit::binary::Metrics) {
    let metrics = mynah
        .until("at rest", |metrics| metrics.sum("mynah_copies_in_flight", &[]) == 0)
        .await
        .unwrap();
    (metrics.sum("mynah_copies_started_total", &[]), metrics)
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_every_place_is_told_once() {
    let app = Application::start().await;
    let mut operated = Operated::start(&before(app.address())).await;
    let load = Load::start(operated.mynah.address(), 4, 2);
    let running = operated.mynah.metrics().await.unwrap();
    let wrong = before(app.address()) + "mirrors: {staging: {url: http://10.0.0.7, ratio: 12}}\nworkers: none\n";
    let metrics = operated.refuse(&wrong).await;
    assert_eq!(
        (generation(&metrics), reloads(&metrics, "success")),
        (1, 0),
        "{metrics}"
    );
    assert_eq!(
        metrics.sum("mynah_config_last_reload_success_timestamp_seconds", &[]),
        running.sum("mynah_config_last_reload_success_timestamp_seconds", &[])
    );
    // What follows is noticed, so whatever came before has been as well.
    operated.change(&(before(app.address()) + "drain_timeout: 5s\n")).await;
    load.until_answered(50).await;
    load.stop().await;
    let output = operated.mynah.output();
    let told: Vec<_> = output
        .lines()
        .filter(|line| line.contains("configuration refused"))
        .collect();
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0].contains("mynah.yaml:3:") && told[0].contains("mirrors.staging.ratio"),
        "{output}"
    );
    assert!(
        told[0].contains("mynah.yaml:4:") && told[0].contains("workers: "),
        "{output}"
    );
}

#[tokio::test]
async fn a_listener_comes_and_goes_without_a_refused_connection() {
    let app = Application::start().await;
    let two = before(app.address()).replace("127.0.0.1:0", "127.0.0.1:0, 127.0.0.1:0");
    let mut operated = Operated::start(&before(app.address())).await;
    let stays = Load::start(operated.mynah.address(), 2, 2);
    stays.until_answered(20).await;
    operated.change(&two).await;
    let address = *operated.opened().last().expect("the new address is told");
    let mut kept = Caller::connect(address).await.unwrap();
    kept.ask().await.unwrap();
    let goes = Load::start(address, 2, 6);
    goes.until_answered(50).await;
    // Still the same socket when something else changes.
    operated.change(&(two.clone() + "drain_timeout: 5s\n")).await;
    goes.until_answered(50).await;
    assert_eq!(operated.opened(), [address]);

    // When it goes, clients are turned away by a refusal and never in the middle of something; those that are in stay.
    operated.change(&before(app.address())).await;
    operated.mynah.says("listener closed").await.unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    kept.ask().await.unwrap();
    goes.stop_turned_away().await;
    stays.until_answered(20).await;
    stays.stop().await;
    let metrics = operated.mynah.metrics().await.unwrap();
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
}

#[tokio::test]
async fn a_hangup_has_the_file_read_again_and_needs_a_file() {
    let app = Application::start().await;
    let operated = Operated::start(&before(app.address())).await;
    operated.mynah.signal(Signal::Hangup).await;
    let reloaded = |metrics: &mynah_testkit::binary::Metrics| reloads(metrics, "success") == 1;
    let metrics = operated.mynah.until("reloaded", reloaded).await.unwrap();
    assert_eq!(generation(&metrics), 2, "{metrics}");

    let other = Application::start().await;
    let mynah = Mynah::before(&binary(), app.address(), &[other.address()])
        .await
        .unwrap();
    mynah.signal(Signal::Hangup).await;
    let output = mynah.says("configuration refused").await.unwrap();
    assert!(output.contains("there is no file to read again"), "{output}");
    Caller::connect(mynah.address()).await.unwrap().ask().await.unwrap();
}

#[tokio::test]
async fn what_needs_a_restart_is_told_and_the_rest_is_applied() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut operated = Operated::start(&before(app.address())).await;
    let config = mirrored(app.address(), &[("new", mirror.address(), "")]) + "workers: 3\nadmin: 127.0.0.1:1\n";
    operated.change(&config).await;
    let output = operated.mynah.says("key=\"admin\"").await.unwrap();
    assert!(
        output.contains("key=\"workers\"") && output.contains("needs a restart"),
        "{output}"
    );
    Caller::connect(operated.mynah.address())
        .await
        .unwrap()
        .ask()
        .await
        .unwrap();
    mirror.until(|copies| copies.len() == 1).await;
}

#[tokio::test]
async fn an_address_that_is_taken_changes_nothing() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut operated = Operated::start(&before(app.address())).await;
    let config = mirrored(app.address(), &[("new", mirror.address(), "")])
        .replace("127.0.0.1:0", &format!("127.0.0.1:0, {}", taken.local_addr().unwrap()));
    let metrics = operated.refuse(&config).await;
    assert_eq!(generation(&metrics), 1, "{metrics}");
    assert_eq!(metrics.sum("mynah_mirror_ratio", &[("mirror", "new")]), 0, "{metrics}");
    let output = operated.mynah.says("cannot listen on").await.unwrap();
    assert!(output.contains(&taken.local_addr().unwrap().to_string()), "{output}");
    Caller::connect(operated.mynah.address())
        .await
        .unwrap()
        .ask()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_is_taken_up_as_soon_as_it_is_there() {
    let app = Application::start().await;
    let mut operated = Operated::start(&before(app.address())).await;
    let file = operated.volume.file("mynah.yaml");
    let config = fs::read_to_string(&file).unwrap() + "drain_timeout: 7s\n";
    operated.volume.update(&[]).unwrap();
    operated.mynah.says("cannot read").await.unwrap();
    operated.volume.update(&[("mynah.yaml", &config)]).unwrap();
    operated
        .mynah
        .until("reloaded", |metrics| generation(metrics) == 2)
        .await
        .unwrap();
}
