//! The admin side attacked: from other sites, without the token, slowly, with too much, and by odd paths.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mynah_testkit::application::Application;
use mynah_testkit::caller::{Caller, Load};
use mynah_testkit::raw::Collector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::admin::{call, exchange, get, post, put, send};
use crate::harness::{Operated, before, mirrored};

const TOKEN: &str = "correct-horse-battery-staple";

#[tokio::test]
async fn pages_of_other_sites_and_under_other_names_change_nothing() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let operated = Operated::start(&mirrored(app.address(), &[("staging", mirror.address(), "")])).await;
    let admin = operated.mynah.admin();
    for (fields, code) in [
        ("Origin: http://evil.example\r\n".to_owned(), "foreign_origin"),
        ("Origin: null\r\n".to_owned(), "foreign_origin"),
        ("Sec-Fetch-Site: cross-site\r\n".to_owned(), "foreign_origin"),
        ("Sec-Fetch-Site: same-site\r\n".to_owned(), "foreign_origin"),
        (
            format!("Origin: http://localhost:{}1\r\n", admin.port() / 10),
            "foreign_origin",
        ),
        (
            "Host: evil.example\r\nOrigin: http://evil.example\r\n".to_owned(),
            "foreign_host",
        ),
        (format!("Host: evil.example:{}\r\n", admin.port()), "foreign_host"),
        (format!("Host: {admin}\r\nHost: evil.example\r\n"), "foreign_host"),
    ] {
        for (method, path) in [
            ("POST", "/api/v1/pause"),
            ("GET", "/api/v1/config"),
            ("POST", "/api/v1/drain"),
        ] {
            let answer = call(admin, method, path, &fields, "").await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, code),
                "{fields}: {answer:?}"
            );
        }
    }
    let own = format!("Origin: http://{admin}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(call(admin, "POST", "/api/v1/resume", &own, "").await.status, 200);
    let mirror = get(admin, "/api/v1/mirrors/staging").await.json();
    assert_eq!(mirror["state"], "running");
    assert_eq!(get(admin, "/readyz").await.status, 200);
}

#[tokio::test]
async fn an_address_that_others_reach_has_an_api_only_with_a_token() {
    let app = Application::start().await;
    let operated = Operated::start(&(before(app.address()) + "admin: 0.0.0.0:0\n")).await;
    let admin = operated.mynah.admin();
    for (method, path) in [
        ("GET", "/api/v1/status"),
        ("POST", "/api/v1/pause"),
        ("GET", "/"),
        ("GET", "/openapi.json"),
    ] {
        let answer = call(admin, method, path, "Authorization: Bearer \r\n", "").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "api_off"), "{answer:?}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(
            call(admin, "GET", path, "Host: any.name\r\n", "").await.status,
            200,
            "{path}"
        );
    }
    operated.mynah.says("the API is off").await.unwrap();
}

#[tokio::test]
async fn without_the_token_nothing_is_told_and_nothing_done() {
    let app = Application::start().await;
    let config =
        before(app.address()) + "workers: 1\nadmin: {address: '0.0.0.0:0', token_file: token, metrics: 127.0.0.1:0}\n";
    let mut operated = Operated::start_with(&[("mynah.yaml", config.clone()), ("token", TOKEN.to_owned())]).await;
    let admin = operated.mynah.admin();
    let wrong = [
        String::new(),
        "Authorization: Bearer wrong-horse-battery-staple\r\n".to_owned(),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Cookie: token={TOKEN}\r\n"),
    ];
    for fields in &wrong {
        let answer = call(admin, "POST", "/api/v1/drain", fields, "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "unauthorized"),
            "{fields}: {answer:?}"
        );
        assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
        assert!(!answer.body.contains(TOKEN));
    }
    let query = call(admin, "POST", &format!("/api/v1/drain?token={TOKEN}"), "", "").await;
    assert_eq!(query.status, 401, "{query:?}");
    let right = |token: &str| format!("Authorization: Bearer {token}\r\nHost: mynah.example\r\n");
    assert_eq!(
        call(admin, "GET", "/api/v1/status", &right(TOKEN), "").await.status,
        200
    );
    let foreign = right(TOKEN) + "Origin: http://evil.example\r\n";
    assert_eq!(call(admin, "GET", "/api/v1/status", &foreign, "").await.status, 403);

    // The address of the metrics has nothing else, with and without the token.
    let output = operated.mynah.output();
    let line = output.lines().find_map(|line| line.strip_prefix("metrics ")).unwrap();
    let metrics = line.parse().unwrap();
    assert_eq!(get(metrics, "/metrics").await.status, 200);
    assert_eq!(get(metrics, "/healthz").await.status, 200);
    for path in ["/api/v1/status", "/", "/openapi.json"] {
        assert_eq!(
            call(metrics, "GET", path, &right(TOKEN), "").await.status,
            404,
            "{path}"
        );
    }

    // A token that is replaced counts at once; a file without one opens nothing.
    let other = "another-token-of-some-length";
    operated.update(&[("mynah.yaml", config.clone()), ("token", other.to_owned())]);
    assert_eq!(
        call(admin, "GET", "/api/v1/status", &right(TOKEN), "").await.status,
        401
    );
    assert_eq!(
        call(admin, "GET", "/api/v1/status", &right(other), "").await.status,
        200
    );
    operated.update(&[("mynah.yaml", config), ("token", String::new())]);
    let closed = call(admin, "GET", "/api/v1/status", "Authorization: Bearer \r\n", "").await;
    assert_eq!((closed.status, closed.code().as_str()), (503, "token_unavailable"));
    assert!(!operated.mynah.output().contains(TOKEN), "the token was logged");
}

#[tokio::test]
async fn a_socket_is_for_its_user_alone() {
    let app = Application::start().await;
    let config = before(app.address()) + "workers: 1\nadmin: {address: 'unix:admin.sock', metrics: 127.0.0.1:0}\n";
    let operated = Operated::start(&config).await;
    let socket = operated.volume.file("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let request = b"POST /api/v1/pause HTTP/1.1\r\nHost: any\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = exchange(UnixStream::connect(&socket).await.unwrap(), request).await;
    assert_eq!(answer.status, 403, "a name that is not this host's: {answer:?}");
    let request = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(UnixStream::connect(&socket).await.unwrap(), request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn too_much_and_the_wrong_kind_is_refused() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let operated = Operated::start(&mirrored(app.address(), &[("staging", mirror.address(), "")])).await;
    let admin = operated.mynah.admin();
    let path = "/api/v1/mirrors/staging/ratio";
    let large = format!(r#"{{"ratio": "{}"}}"#, "1".repeat(1 << 20));
    let answer = put(admin, path, &large).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let chunked = format!(
        "PUT {path} HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         100000\r\n{}\r\n0\r\n\r\n",
        "1".repeat(1 << 20)
    );
    let answer = send(admin, chunked.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let answer = call(
        admin,
        "GET",
        "/healthz",
        &format!("X: {}\r\n", "x".repeat(64 << 10)),
        "",
    )
    .await;
    assert_eq!(answer.status, 431, "{answer:?}");
    let form = call(admin, "PUT", path, "Content-Type: text/plain\r\n", r#"{"ratio": "1%"}"#).await;
    assert_eq!((form.status, form.code().as_str()), (415, "unsupported_media_type"));
    let deep = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
    assert_eq!(put(admin, path, &deep).await.status, 400);
    assert_eq!(get(admin, "/api/v1/mirrors/staging").await.json()["ratio"], "100%");
}

#[tokio::test]
async fn odd_paths_and_methods_lead_nowhere() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let operated = Operated::start(&mirrored(app.address(), &[("staging", mirror.address(), "")])).await;
    let admin = operated.mynah.admin();
    for path in [
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/status/",
        "//api/v1/status",
        "/api//v1/status",
        "/api/v1/../v1/status",
        "/api/v1/./status",
        "/metrics/../api/v1/status",
        "/api/v1/%73tatus",
        "/API/v1/status",
        "/api/v1/mirrors/",
        "/api/v1/mirrors//",
        "/api/v1/mirrors/..",
        "/api/v1/mirrors/%73taging",
        "/api/v1/mirrors/staging/",
        "/api/v1/mirrors/a/b",
        "/../../etc/passwd",
        "/dashboard/../admin.rs",
        "/metrics/",
        "/metrics;x",
    ] {
        let answer = get(admin, path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
    }
    for (method, path, allow) in [
        ("POST", "/api/v1/status", "get"),
        ("GET", "/api/v1/pause", "post"),
        ("DELETE", "/api/v1/mirrors/staging", "get"),
        ("POST", "/api/v1/mirrors/staging/ratio", "put"),
        ("POST", "/api/v1/log-level", "get, put"),
        ("POST", "/metrics", "get, head"),
        ("POST", "/", "get, head"),
    ] {
        let answer = post_as(admin, method, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        assert!(
            answer.head.contains(&format!("allow: {allow}\r\n")),
            "{method} {path}: {answer:?}"
        );
    }
    assert_eq!(get(admin, "/api/v1/mirrors/staging").await.json()["state"], "running");
    assert_eq!(post(admin, "/api/v1/resume").await.status, 200);
}

async fn post_as(admin: std::net::SocketAddr, method: &str, path: &str) -> crate::admin::Answer {
    call(admin, method, path, "", "").await
}

#[tokio::test]
async fn the_slow_and_the_many_keep_nobody_out() {
    let app = Application::start().await;
    let operated = Operated::start(&before(app.address())).await;
    let admin = operated.mynah.admin();
    let load = Load::start(operated.mynah.address(), 4, 2);
    let mut slow = Vec::new();
    for n in 0..200 {
        let Ok(mut stream) = TcpStream::connect(admin).await else {
            continue;
        };
        // Half a head, half a body, or nothing.
        let said: &[u8] = match n % 3 {
            0 => b"GET /metrics HT",
            1 => b"PUT /api/v1/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
            _ => b"",
        };
        let _ = stream.write_all(said).await;
        slow.push(stream);
        if n % 20 == 0 {
            assert_eq!(get(admin, "/healthz").await.status, 200, "after {n} slow ones");
        }
    }
    // Each is given up in time, without any help.
    for mut stream in slow {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
        assert!(end.await.is_ok(), "a slow connection is kept for ever");
    }
    load.until_answered(50).await;
    load.stop().await;
    Caller::connect(operated.mynah.address())
        .await
        .unwrap()
        .ask()
        .await
        .unwrap();
    assert_eq!(get(admin, "/readyz").await.status, 200);
}
