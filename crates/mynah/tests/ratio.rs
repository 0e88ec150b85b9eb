//! The ratio, counted by those who receive the copies: exact over any run of requests, and by key the same for every user on
//! every worker and in every process.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use mynah_core::{Ratio, keyed_copies};
use mynah_testkit::app::{App, mirror, upstream};
use mynah_testkit::binary::{Accounts, Mynah};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

const WORKERS: u64 = 3;

/// A proxy with a mirror that is configured like that.
async fn mynah(app: &App, test: &App, mirror: &str) -> Mynah {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mynah.yaml");
    let config = format!(
        "listeners: [127.0.0.1:0]\nupstream: {}\nmirrors: {{test: {{url: '{}', {mirror}}}}}\n\
         admin: 127.0.0.1:0\nworkers: {WORKERS}\n",
        app.url(),
        test.url()
    );
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    Mynah::run(Path::new(env!("CARGO_BIN_EXE_mynah")), &args).await.unwrap()
}

/// Asks for each of these paths on one connection that comes from this host of the loopback network.
async fn ask(address: SocketAddr, host: u8, requests: &[(String, String)]) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let mut received = Vec::new();
    for (asked, (path, field)) in requests.iter().enumerate() {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answers = |received: &[u8]| received.windows(13).filter(|w| w == b"HTTP/1.1 200 ").count();
        while answers(&received) <= asked || !received.ends_with(b"\r\n\r\n0") {
            assert!(stream.read_buf(&mut received).await.unwrap() > 0, "not answered");
        }
    }
}

/// The books once so many requests, and all their copies, have ended.
async fn settled(mynah: &Mynah, requests: u64) -> Accounts {
    let rests = |accounts: &Accounts| accounts.requests == requests && accounts.at_rest();
    let metrics = mynah
        .until("at rest", |metrics| rests(&Accounts::of(metrics)))
        .await
        .unwrap();
    Accounts::of(&metrics)
}

#[tokio::test]
async fn copies_are_exactly_the_ratio_give_or_take_one_for_each_worker() {
    const CONNECTIONS: u64 = 40;
    const EACH: u64 = 25;
    const REQUESTS: u64 = CONNECTIONS * EACH;
    let requests: Vec<_> = (0..EACH).map(|_| ("/ratio".to_owned(), "X: y".to_owned())).collect();
    for ratio in ["250%", "100%", "37.5%", "0.1%", "0.0001%", "0%"] {
        let (app, test) = (upstream().await, mirror().await);
        let mynah = mynah(&app, &test, &format!("ratio: {ratio}")).await;
        for _ in 0..CONNECTIONS {
            ask(mynah.address(), 1, &requests).await;
        }
        let accounts = settled(&mynah, REQUESTS).await;
        let account = accounts.mirror();
        let exact = REQUESTS as f64 * f64::from(ratio.parse::<Ratio>().unwrap().units()) / 1e6;
        let off = (account.copies as f64 - exact).abs();
        assert!(off <= WORKERS as f64, "{} copies at {ratio}", account.copies);
        assert_eq!(
            (account.matched, account.delivered),
            (REQUESTS, account.copies),
            "{ratio}"
        );
        assert_eq!(test.seen().len() as u64, account.copies, "{ratio}");
        if ratio.ends_with("00%") || ratio == "0%" {
            assert_eq!(account.copies as f64, exact, "{ratio}");
        }
    }
}

/// Every user asks every process, on several connections each; the mirror gets all of some users' requests, as the key has it.
async fn the_same_users(by: &str, user: impl Fn(u8) -> (String, Vec<u8>, u8)) {
    const USERS: u8 = 40;
    const TIMES: u64 = 4;
    let ratio: Ratio = "30%".parse().unwrap();
    let (app, test) = (upstream().await, mirror().await);
    let config = format!("ratio: 30%, by: {by}");
    let processes = [mynah(&app, &test, &config).await, mynah(&app, &test, &config).await];
    for process in &processes {
        for number in 1..=USERS {
            let (field, _, host) = user(number);
            for _ in 0..TIMES {
                ask(process.address(), host, &[(format!("/{number}"), field.clone())]).await;
            }
        }
        settled(process, u64::from(USERS) * TIMES).await;
    }
    let mut copies = BTreeMap::new();
    for seen in test.seen() {
        *copies.entry(seen.target).or_insert(0) += 1;
    }
    let chosen = (1..=USERS).filter(|number| keyed_copies(&user(*number).1, ratio) == 1);
    let expected: BTreeMap<_, _> = chosen
        .map(|number| (format!("/{number}"), TIMES * processes.len() as u64))
        .collect();
    assert!((1..usize::from(USERS)).contains(&expected.len()), "{expected:?}");
    assert_eq!(copies, expected, "by {by}");
}

#[tokio::test]
async fn by_a_header_the_same_users_are_copied_everywhere() {
    the_same_users("header(x-user-id)", |number| {
        (
            format!("X-User-Id: user-{number}"),
            format!("user-{number}").into_bytes(),
            1,
        )
    })
    .await;
}

#[tokio::test]
async fn by_a_cookie_the_same_sessions_are_copied_everywhere() {
    the_same_users("cookie(sid)", |number| {
        (
            format!("Cookie: theme=dark; sid=session-{number}"),
            format!("session-{number}").into_bytes(),
            1,
        )
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn by_client_address_the_same_clients_are_copied_everywhere() {
    the_same_users("client-ip", |number| {
        ("X: y".to_owned(), vec![127, 0, 0, number], number)
    })
    .await;
}
