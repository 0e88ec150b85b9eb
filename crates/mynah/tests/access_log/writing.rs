//! Whatever the disk does, production goes on, and lines are whole.

use std::fs;
use std::io::Read;
use std::process::Command;

use mynah_testkit::binary::Signal;

use crate::harness::{Logged, Setup, application, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// More lines than a pipe and the buffer hold together.
const MANY: usize = 4000;

/// A request whose line is long.
fn long(n: usize) -> String {
    format!("GET /{n}/{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(200))
}

fn sums(metrics: &mynah_testkit::binary::Metrics) -> (u64, u64, u64) {
    let sum = |name: &str| metrics.sum(name, &[("log", "production")]);
    (
        sum("mynah_access_log_lines_total"),
        sum("mynah_access_log_lines_dropped_total"),
        sum("mynah_access_log_errors_total"),
    )
}

async fn with_log(log: &str, prepare: impl FnOnce(&std::path::Path)) -> Logged {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    Setup {
        upstream: application(&[OK; MANY]).await,
        top: &format!("access_log: {log}"),
        mirrors: "{}".to_owned(),
    }
    .start_in(folder, &[])
    .await
}

#[tokio::test]
async fn a_log_that_nobody_reads_costs_lines_and_production_goes_on() {
    let log = "{path: pipe, format: '{path}', buffer: 64KiB}";
    let logged = with_log(log, |folder| {
        let made = Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
        assert!(made.success());
    })
    .await;
    let mut client = logged.client().await;
    for n in 0..MANY {
        exchange(&mut client, &long(n), "hello").await;
    }
    let metrics = logged.until("dropped", |metrics| sums(metrics).1 > 0).await;
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    assert_eq!(sums(&metrics).0, 0, "nobody has read a line");

    // Whoever reads at last finds whole lines, and what is missing was counted.
    let path = logged.path("pipe");
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let metrics = logged
        .until("all is accounted for", |metrics| {
            let (lines, dropped, _) = sums(metrics);
            lines + dropped == MANY as u64
        })
        .await;
    let mut logged = logged;
    logged.stop().await;
    let text = read.await.unwrap();
    let (lines, dropped, _) = sums(&metrics);
    assert!(lines > 0 && dropped > 0, "{metrics}");
    assert_eq!(text.lines().count() as u64, lines);
    let mut last = None;
    for line in text.lines() {
        let n: usize = line.split('/').nth(1).unwrap().parse().unwrap();
        assert_eq!(line.len(), format!("/{n}/").len() + 200, "a line is not whole: {line}");
        assert!(last < Some(n), "out of order");
        last = Some(n);
    }
}

#[tokio::test]
async fn logrotate_moves_a_file_away_and_no_line_is_lost() {
    let logged = with_log("{path: access.log, format: '{path}'}", |_| {}).await;
    let mut client = logged.client().await;
    let mut files = Vec::new();
    for n in 0..4 {
        exchange(&mut client, &format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"), "hello").await;
        logged.line("access.log").await;
        let moved = format!("access.log.{n}");
        fs::rename(logged.path("access.log"), logged.path(&moved)).unwrap();
        logged.mynah.signal(Signal::Usr1).await;
        // The new file is there before the next line.
        while !logged.path("access.log").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        files.push(moved);
    }
    for (n, file) in files.iter().enumerate() {
        assert_eq!(logged.text(file), format!("/{n}\n"));
    }
    assert_eq!(logged.text("access.log"), "");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_told_once_and_waited_for() {
    let logged = with_log("{path: logs/access.log, format: '{path}'}", |_| {}).await;
    let mut client = logged.client().await;
    exchange(&mut client, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", "hello").await;
    logged.until("tried twice", |metrics| sums(metrics).2 >= 2).await;
    let told = |what: &str| logged.mynah.output().matches(what).count();
    assert_eq!(told("access log not written"), 1, "{}", logged.mynah.output());
    fs::create_dir(logged.path("logs")).unwrap();
    assert_eq!(logged.line("logs/access.log").await, "/1");
    logged.until("written", |metrics| sums(metrics).0 == 1).await;
    assert_eq!(told("access log written again"), 1, "{}", logged.mynah.output());
}

#[tokio::test]
async fn a_full_disk_is_told_and_lines_are_dropped_past_the_buffer() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let logged = with_log("{path: /dev/full, format: '{path}', buffer: 64KiB}", |_| {}).await;
    let mut client = logged.client().await;
    for n in 0..1000 {
        exchange(&mut client, &long(n), "hello").await;
    }
    let metrics = logged
        .until("dropped", |metrics| sums(metrics).1 > 0 && sums(metrics).2 > 0)
        .await;
    assert_eq!((sums(&metrics).0, metrics.all_errors()), (0, 0), "{metrics}");
    assert!(
        logged.mynah.output().contains("access log not written"),
        "{}",
        logged.mynah.output()
    );
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_end() {
    let mut logged = with_log("{path: access.log, format: '{path}'}", |_| {}).await;
    let mut client = logged.client().await;
    exchange(&mut client, "GET /last HTTP/1.1\r\nHost: h\r\n\r\n", "hello").await;
    drop(client);
    logged.stop().await;
    assert_eq!(logged.text("access.log"), "/last\n");
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    let mut logged = with_log("{path: pipe, format: '{path}'}", |folder| {
        assert!(
            Command::new("mkfifo")
                .arg(folder.join("pipe"))
                .status()
                .unwrap()
                .success()
        );
    })
    .await;
    let mut client = logged.client().await;
    exchange(&mut client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "hello").await;
    drop(client);
    logged.stop().await;
    logged.says("access log not written to its end").await;
}

#[tokio::test]
async fn lines_go_to_standard_output_when_asked_to() {
    let logged = with_log("{path: stdout, format: 'request {path} {status}'}", |_| {}).await;
    let mut client = logged.client().await;
    exchange(&mut client, "GET /out HTTP/1.1\r\nHost: h\r\n\r\n", "hello").await;
    logged.until("written", |metrics| sums(metrics).0 == 1).await;
    logged.says("request /out 200\n").await;
}
