//! File descriptors run out.

use std::fs;
use std::process::Command;

use mynah_testkit::application::Application;
use mynah_testkit::binary::Mynah;
use mynah_testkit::raw::Collector;

use crate::harness::{ask, binary, client_of, mynah, receive, send, settled_without_errors};

/// How often nothing must have changed before it is believed that nothing will.
const STABLE: usize = 50;

const REQUEST: &str = "GET /more HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Descriptors that the process may have. It keeps 64 for itself; clients take two, copies one.
const DESCRIPTORS: u32 = 128;
/// Clients for which there is room.
const CLIENTS: usize = (DESCRIPTORS as usize - 64) / 2;

async fn with_few_descriptors(app: &Application, mirror: &Application) -> Mynah {
    let args = [
        "--upstream".to_owned(),
        format!("http://{}", app.address()),
        "--mirror".to_owned(),
        format!("http://{}", mirror.address()),
        "--listen".to_owned(),
        "127.0.0.1:0".to_owned(),
        "--workers".to_owned(),
        "1".to_owned(),
    ];
    Mynah::run_with_descriptors(&binary(), &args, DESCRIPTORS)
        .await
        .unwrap()
}

#[tokio::test]
async fn copies_are_shed_when_they_would_take_the_descriptors_of_production() {
    let app = Application::start().await;
    let mirror = Application::start().await;
    let mynah = with_few_descriptors(&app, &mirror).await;

    // Every copy needs a connection of its own, because none of those before it has ended.
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = client_of(&mynah).await;
        send(&mut client, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
        receive(&mut client, "half").await;
        clients.push(client);
    }
    let metrics = mynah.metrics().await.unwrap();
    assert!(metrics.copies("shed", "descriptors") > 0, "{metrics}");
    // Production did not wait until they had ended by themselves.
    assert_eq!(metrics.copies("failed", "timeout"), 0, "{metrics}");

    app.release();
    mirror.release();
    for client in &mut clients {
        receive(client, " done").await;
        ask(client, REQUEST, ANSWER).await;
    }
    drop(clients);

    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert_eq!(accounts.requests, 2 * CLIENTS as u64);
    assert_eq!(accounts.mirror().failed, 0, "{metrics}");
}

#[tokio::test]
async fn clients_for_whom_there_is_no_descriptor_wait_and_are_served() {
    let app = Application::start().await;
    let mirror = Application::start().await;
    let mynah = with_few_descriptors(&app, &mirror).await;

    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = client_of(&mynah).await;
        ask(&mut client, REQUEST, ANSWER).await;
        clients.push(client);
    }
    // They are connected by the kernel, and wait.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = client_of(&mynah).await;
        send(&mut client, REQUEST).await;
        waiting.push(client);
    }
    mynah
        .until("full", |metrics| metrics.sum("mynah_accept_paused_total", &[]) > 0)
        .await
        .unwrap();
    // Those who are in go on.
    for client in &mut clients {
        ask(client, REQUEST, ANSWER).await;
    }
    drop(clients);
    for client in &mut waiting {
        receive(client, ANSWER).await;
    }
    let (accounts, _) = settled_without_errors(&mynah).await;
    assert_eq!(accounts.requests, 2 * CLIENTS as u64 + 20);
}

/// The limit of a running process on its open files.
fn limit_descriptors(mynah: &Mynah, limit: usize) {
    let pid = mynah.pid().unwrap().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={limit}:")])
        .status();
    assert!(done.unwrap().success());
}

/// The number that the process's next descriptor gets.
fn next_descriptor(mynah: &Mynah) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", mynah.pid().unwrap())).unwrap();
    let open: Vec<usize> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    (0..).find(|number| !open.contains(number)).unwrap()
}

/// Leaves the process only so many more descriptors than it has. Not even questions about metrics are answered then.
async fn exhaust_descriptors(mynah: &Mynah, spare: usize) {
    // The last question about metrics may still be open.
    let mut limit = usize::MAX;
    let mut stable = 0;
    while stable < STABLE {
        let next = next_descriptor(mynah);
        stable = if next == limit { stable + 1 } else { 0 };
        limit = next;
        tokio::task::yield_now().await;
    }
    limit_descriptors(mynah, limit + spare);
}

/// A client comes when the system has so few descriptors left: it waits for one, and those who are connected go on.
async fn a_client_comes_with_descriptors_left(spare: usize) {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(app.address(), mirror.address()).await;

    let mut client = client_of(&mynah).await;
    ask(&mut client, REQUEST, ANSWER).await;
    let (before, _) = settled_without_errors(&mynah).await;
    mynah
        .until("idle", |metrics| metrics.sum("mynah_mirror_connections", &[]) == 1)
        .await
        .unwrap();
    exhaust_descriptors(&mynah, spare).await;
    let mut late = client_of(&mynah).await;
    send(&mut late, REQUEST).await;
    for _ in 0..20 {
        ask(&mut client, REQUEST, ANSWER).await;
    }
    limit_descriptors(&mynah, 1024);
    receive(&mut late, ANSWER).await;

    let (accounts, _) = settled_without_errors(&mynah).await;
    assert_eq!(accounts.requests, before.requests + 21);
}

#[tokio::test]
async fn a_system_without_descriptors_stops_nobody_who_is_connected() {
    a_client_comes_with_descriptors_left(0).await;
}

#[tokio::test]
async fn a_client_for_whose_upstream_connection_there_is_no_descriptor_waits_for_it() {
    a_client_comes_with_descriptors_left(1).await;
}
