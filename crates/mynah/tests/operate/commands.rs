//! The commands, with all that they print.

use std::process::Output;

use mynah_testkit::application::Application;
use mynah_testkit::caller::{Caller, Load};
use mynah_testkit::raw::Collector;
use tokio::process::Command;

use crate::harness::{Operated, before, binary, mirrored};

/// Runs a command of the binary. Exit code, standard output and standard error.
async fn run(args: &[&str]) -> (i32, String, String) {
    let command = Command::new(binary()).args(args).env_remove("MYNAH_ADMIN").output();
    let Output { status, stdout, stderr } = command.await.unwrap();
    (
        status.code().unwrap_or(-1),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// The same for the proxy at this place; it must do well.
async fn done(place: &str, args: &[&str]) -> String {
    let (code, out, err) = run(&[args, &["--admin", place]].concat()).await;
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
    out
}

#[tokio::test]
async fn status_shows_production_and_every_mirror() {
    let app = Application::start().await;
    let (one, two) = (Collector::start().await.unwrap(), Collector::start().await.unwrap());
    let mirrors = [("staging", one.address(), ""), ("big", two.address(), ", ratio: 250%")];
    let operated = Operated::start(&(mirrored(app.address(), &mirrors) + "workers: 1\n")).await;
    let place = operated.mynah.admin().to_string();
    let json: serde_json::Value = serde_json::from_str(&done(&place, &["status", "--json"]).await).unwrap();
    let version = json["version"].as_str().unwrap();
    let hash = json["hash"].as_str().unwrap();
    let fresh = format!(
        "mynah {version}, configuration 1 ({hash})\n\
         production: 0 requests, 0 errors, 0 connections, p50 -, p99 -, 0 bytes held for copies\n\
         \n\
         MIRROR   STATE    RATIO  MATCHED  COPIES  DELIVERED  FAILED  SHED  IN FLIGHT  P50  P99\n\
         big      running  250%         0       0          0       0     0          0    -    -\n\
         staging  running  100%         0       0          0       0     0          0    -    -\n"
    );
    assert_eq!(done(&place, &["status"]).await, fresh);

    done(&place, &["pause", "staging"]).await;
    done(&place, &["ratio", "big", "0.5%"]).await;
    let mut caller = Caller::connect(operated.mynah.address()).await.unwrap();
    caller.ask().await.unwrap();
    drop(caller);
    let quiet = |metrics: &mynah_testkit::binary::Metrics| metrics.sum("mynah_connections", &[]) == 0;
    operated.mynah.until("quiet", quiet).await.unwrap();
    let shown = done(&place, &["status"]).await;
    let (_, table) = shown.split_once("\n\n").unwrap();
    assert_eq!(
        table,
        "MIRROR   STATE    RATIO                   MATCHED  COPIES  DELIVERED  FAILED  SHED  IN FLIGHT  P50  P99\n\
         big      running  0.5% (configured 250%)        1       0          0       0     0          0    -    -\n\
         staging  paused   100%                          1       1          0       0     1          0    -    -\n\
         staging shed: paused 1\n"
    );
    assert!(
        shown.contains("\nproduction: 1 requests, 0 errors, 0 connections, p50 ≤"),
        "{shown}"
    );
}

#[tokio::test]
async fn everything_is_changed_under_load_and_no_request_fails() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let config = mirrored(app.address(), &[("staging", mirror.address(), ", ratio: 25%")]);
    let mut operated = Operated::start(&config).await;
    let place = operated.mynah.admin().to_string();
    let load = Load::start(operated.mynah.address(), 6, 3);
    load.until_answered(50).await;
    assert_eq!(
        done(&place, &["ratio", "staging", "10%"]).await,
        "staging: 10% (configured 25%)\n"
    );
    assert_eq!(done(&place, &["pause", "staging"]).await, "staging: paused\n");
    load.until_answered(50).await;
    assert_eq!(done(&place, &["resume", "staging"]).await, "staging: running\n");
    assert_eq!(done(&place, &["pause"]).await, "staging: paused\n");
    let reloaded = done(&place, &["reload"]).await;
    let lines: Vec<_> = reloaded.lines().collect();
    assert!(
        lines[0].starts_with("configuration 2 (") && lines[0].ends_with(") is in force"),
        "{reloaded}"
    );
    assert_eq!(
        lines[1..],
        ["replaced what was changed: mirror staging: ratio 10%, paused"]
    );
    assert_eq!(done(&place, &["resume"]).await, "staging: running\n");
    load.until_answered(50).await;

    operated.change(&(config.clone() + "workers: 7\n")).await;
    let reloaded = done(&place, &["reload"]).await;
    assert!(
        reloaded.ends_with("is in force\nneeds a restart: workers\n"),
        "{reloaded}"
    );
    operated.refuse(&(config + "workers: none\n")).await;
    let (code, out, err) = run(&["reload", "--admin", &place]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    let file = operated.volume.file("mynah.yaml");
    assert!(
        err.starts_with(&format!("{}:5:", file.display())) && err.contains("workers: "),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");

    assert_eq!(done(&place, &["drain"]).await, "draining\n");
    load.until_turned_away().await;
    assert_eq!(
        operated.mynah.ended().await.expect("it ends").code(),
        Some(0),
        "{}",
        operated.mynah.output()
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_told_with_its_reason() {
    let app = Application::start().await;
    let operated = Operated::start(&before(app.address())).await;
    let place = operated.mynah.admin().to_string();
    let (code, out, err) = run(&["ratio", "staging", "10%", "--admin", &place]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "mynah: no mirror is called 'staging' (404 unknown_mirror)\n");
    assert_eq!(done(&place, &["pause"]).await, "no mirrors\n");
    let (code, _, err) = run(&["ratio", "staging", "10", "--admin", &place]).await;
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = run(&["pause", "../drain", "--admin", &place]).await;
    assert_eq!(code, 2, "{err}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (code, out, err) = run(&["status", "--admin", &closed.to_string()]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        format!(
            "mynah: Mynah at {closed}: not reached; --admin or MYNAH_ADMIN says where it is: Connection refused (os error 111)\n"
        )
    );
    let (code, _, err) = run(&["status", "--admin", &app.address().to_string()]).await;
    assert_eq!(code, 1);
    assert!(err.contains("is this Mynah's admin address?"), "{err}");
}

#[tokio::test]
async fn the_place_and_the_token_come_from_flags_or_the_environment() {
    let app = Application::start().await;
    let config = before(app.address())
        + "workers: 1\nadmin: {address: 'unix:admin.sock', token_file: token, metrics: 127.0.0.1:0}\n";
    let token = "a-token-of-enough-length".to_owned();
    let operated = Operated::start_with(&[("mynah.yaml", config), ("token", token)]).await;
    let place = format!("unix:{}", operated.volume.file("admin.sock").display());
    let token = operated.volume.file("token").display().to_string();
    assert_eq!(done(&place, &["pause", "--token-file", &token]).await, "no mirrors\n");
    let (code, _, err) = run(&["pause", "--admin", &place]).await;
    assert_eq!(code, 1);
    assert!(err.contains("(401 unauthorized)"), "{err}");
    let mut command = Command::new(binary());
    command
        .args(["resume"])
        .env("MYNAH_ADMIN", &place)
        .env("MYNAH_TOKEN_FILE", &token);
    let output = command.output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "no mirrors\n");
    let url = format!("http://{}", operated.mynah.admin());
    let (code, _, err) = run(&["status", "--admin", &url]).await;
    // The address of the metrics has no API.
    assert_eq!(code, 1, "{err}");
}
