//! A new configuration changes what is logged, and to where.

use std::fs;

use mynah_testkit::binary::Metrics;

use crate::harness::{Setup, application, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_log_is_turned_on_changed_and_turned_off_without_losing_a_line() {
    let mirror = application(&[OK; 20]).await;
    let setup = Setup {
        upstream: application(&[OK; 20]).await,
        top: "",
        mirrors: format!("{{m: 'http://{mirror}'}}"),
    };
    let without = format!(
        "listeners: ['127.0.0.1:0']\nupstream: http://{}\nworkers: 1\nadmin: 127.0.0.1:0\n",
        setup.upstream
    );
    let logged = setup.start().await;
    let mut client = logged.client().await;
    let logs = [
        ("", ""),
        (
            "access_log: {path: a.log, format: '1 {path}'}",
            "path: m.log, format: '1 {path} {request_id}'",
        ),
        (
            "access_log: {path: a.log, format: '2 {path}'}",
            "path: m.log, format: '2 {path} {request_id}'",
        ),
        // The identifier of requests is a part of a mirror's lines.
        (
            "access_log: {path: b.log, format: '3 {path}'}\nrequest_id: x-id",
            "path: m.log, format: '2 {path} {request_id}'",
        ),
        ("", ""),
    ];
    for (n, (production, copies)) in logs.iter().enumerate() {
        let mirror = match *copies {
            "" => format!("mirrors: {{m: 'http://{mirror}'}}"),
            log => format!("mirrors: {{m: {{url: 'http://{mirror}', access_log: {{{log}}}}}}}"),
        };
        // Taken up once for each change, because the file is watched and nothing else asks for it.
        let generation = |metrics: &Metrics| metrics.sum("mynah_config_generation", &[]);
        let before = generation(&logged.mynah.metrics().await.unwrap());
        fs::write(logged.path("mynah.yaml"), format!("{without}{mirror}\n{production}\n")).unwrap();
        logged.until("taken up", |metrics| generation(metrics) > before).await;
        let request = format!("GET /{n} HTTP/1.1\r\nHost: h\r\nX-Id: id\r\n\r\n");
        exchange(&mut client, &request, "hello").await;
    }
    assert_eq!(logged.lines("a.log", 2).await, ["1 /1", "2 /2"]);
    assert_eq!(logged.lines("b.log", 1).await, ["3 /3"]);
    assert_eq!(logged.lines("m.log", 3).await, ["1 /1 -", "2 /2 -", "2 /3 id"]);
    let metrics = logged
        .until("written", |metrics| {
            metrics.sum("mynah_access_log_lines_total", &[]) == 6
        })
        .await;
    assert_eq!(metrics.sum("mynah_access_log_lines_dropped_total", &[]), 0);
}
