//! What lines say.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mynah_testkit::app;
use serde_json::{Value, json};

use crate::harness::{Logged, Setup, application, exchange, listener};

/// Everything that does not depend on the time or on chance.
const ALL: &str = "{client} {method} {path} {query} {target} \\\"{request}\\\" {protocol} {host} {status} {request_bytes} \
                   {response_bytes} {mirror} {outcome} {reason} {route} {header(x-a)} {request_id} {pod}";

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CREATED: &str = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

async fn both(format: &str, answers: &'static [&'static str], mirror: &str) -> Logged {
    let copies = application(answers).await;
    Setup {
        upstream: application(answers).await,
        top: &format!(
            "request_id: x-request-id\naccess_log: {{path: access.log, format: \"{format}\", constants: {{pod: web-1}}}}"
        ),
        mirrors: format!(
            "{{m: {{url: 'http://{copies}{mirror}', access_log: {{path: m.log, format: \"{format}\", constants: {{pod: web-1}}}}}}}}"
        ),
    }
    .start()
    .await
}

#[tokio::test]
async fn a_line_says_what_was_asked_and_how_it_ended() {
    let logged = both(ALL, &[OK, CREATED], "/shadow").await;
    let mut client = logged.client().await;
    exchange(
        &mut client,
        "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nX-A: one\r\nX-A: two\r\nX-Request-Id: 7\r\n\r\n",
        "hello",
    )
    .await;
    exchange(
        &mut client,
        "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
        "0\r\n\r\n",
    )
    .await;

    assert_eq!(
        logged.lines("access.log", 2).await,
        [
            "127.0.0.1 GET /a/b c=d /a/b?c=d \"GET /a/b?c=d HTTP/1.1\" HTTP/1.1 example.com 200 0 5 - - - 0 one, two 7 web-1",
            // The body is counted as it travels: with its chunk sizes.
            "127.0.0.1 POST /c - /c \"POST /c HTTP/1.1\" HTTP/1.1 h 201 4 13 - - - 0 - - web-1",
        ]
    );
    assert_eq!(
        logged.lines("m.log", 2).await,
        [
            "127.0.0.1 GET /shadowa/b c=d /shadowa/b?c=d \"GET /shadowa/b?c=d HTTP/1.1\" HTTP/1.1 example.com 200 0 5 m delivered - - one, two 7 web-1",
            "127.0.0.1 POST /shadowc - /shadowc \"POST /shadowc HTTP/1.1\" HTTP/1.1 h 201 4 13 m delivered - - - - web-1",
        ]
    );
    let metrics = logged
        .until("logged", |metrics| {
            metrics.sum("mynah_access_log_lines_total", &[]) == 4
        })
        .await;
    for labels in [
        [("log", "production"), ("mirror", "")],
        [("log", "mirror"), ("mirror", "m")],
    ] {
        assert_eq!(metrics.sum("mynah_access_log_lines_total", &labels), 2, "{metrics}");
    }
    assert_eq!(metrics.sum("mynah_access_log_lines_dropped_total", &[]), 0);
}

#[tokio::test]
async fn pipelined_requests_have_lines_in_their_order() {
    let logged = both("{path} {status} {response_bytes}", &[OK, CREATED, OK], "").await;
    let mut client = logged.client().await;
    let three = ["/1", "/2", "/3"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    exchange(&mut client, &three.concat(), &format!("{OK}{CREATED}{OK}")).await;
    assert_eq!(
        logged.lines("access.log", 3).await,
        ["/1 200 5", "/2 201 13", "/3 200 5"]
    );
}

#[tokio::test]
async fn combined_is_as_nginx_has_it_and_never_names_the_user() {
    let logged = both("combined", &[OK], "").await;
    exchange(
        &mut logged.client().await,
        "GET /a?b HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTpi\r\nReferer: http://r/\r\nUser-Agent: a \"b\"\r\n\r\n",
        "hello",
    )
    .await;
    for log in ["access.log", "m.log"] {
        let line = logged.line(log).await;
        let (before, after) = line.split_once('[').unwrap();
        let (time, after) = after.split_once(']').unwrap();
        assert_eq!(before, "127.0.0.1 - - ");
        assert_eq!(after, r#" "GET /a?b HTTP/1.1" 200 5 "http://r/" "a \x22b\x22""#);
        // 25/Nov/2026:04:04:04 +0000
        let parts: Vec<&str> = time.split(['/', ':', ' ']).collect();
        assert_eq!((parts.len(), parts[6]), (7, "+0000"), "{time}");
    }
}

#[tokio::test]
async fn json_has_what_concerns_nobody_and_what_is_named() {
    let mirror = app::mirror().await;
    let copies = mirror.address();
    let logged = Setup {
        upstream: application(&[OK]).await,
        top: "access_log: {path: access.log, constants: {pod: '${POD_NAME}', node: '${NODE_NAME}'}}",
        mirrors: format!(
            "{{m: {{url: 'http://{copies}', headers: {{set: {{x-pod: '${{POD_NAME}}'}}}}, access_log: {{path: m.log, \
             fields: [query, header(user-agent), header(x-pod), status, listener, time_unix], constants: {{pod: '${{POD_NAME}}'}}}}}}}}"
        ),
    }
    .start_with(&[("POD_NAME", "web-7"), ("NODE_NAME", "node-\"3\"")])
    .await;
    let mut client = logged.client().await;
    exchange(
        &mut client,
        "GET /a?secret=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: u/1\r\n\r\n",
        "hello",
    )
    .await;

    let mut line: Value = serde_json::from_str(&logged.line("access.log").await).unwrap();
    let mut take = |key: &str| line[key].take();
    let (time, duration, upstream) = (take("time"), take("duration"), take("upstream_time"));
    assert!(
        time.as_str()
            .is_some_and(|time| time.len() == 24 && time.ends_with('Z')),
        "{time}"
    );
    assert!(duration.as_f64().unwrap() >= upstream.as_f64().unwrap());
    let listener = logged.mynah.address().to_string();
    assert_eq!(
        line,
        json!({
            "time": null, "duration": null, "upstream_time": null,
            "client": "127.0.0.1", "listener": listener, "method": "GET", "host": "h", "path": "/a",
            "protocol": "HTTP/1.1", "status": 200, "request_bytes": 0, "response_bytes": 5,
            "reason": null, "request_id": null, "pod": "web-7", "node": "node-\"3\"",
        })
    );
    assert_eq!(mirror.received(1).await[0].headers["x-pod"], "web-7");
    let mut line: Value = serde_json::from_str(&logged.line("m.log").await).unwrap();
    assert!(line["time_unix"].take().as_f64().unwrap() > 1.7e9);
    assert_eq!(
        line,
        json!({
            "query": "secret=1", "header_user_agent": "u/1", "header_x_pod": "web-7", "status": 200,
            "listener": listener, "time_unix": null, "pod": "web-7",
        })
    );
}

#[tokio::test]
async fn requests_of_http2_have_lines_as_well() {
    let (upstream, mirror) = (app::upstream().await, app::mirror().await);
    let format = "{request} {host} {status} {request_bytes} {response_bytes} {outcome} {header(x-a)} {upstream_time}";
    let logged = Setup {
        upstream: upstream.address(),
        top: &format!("access_log: {{path: access.log, format: '{format}'}}"),
        mirrors: format!(
            "{{m: {{url: '{}', access_log: {{path: m.log, format: '{format}'}}}}}}",
            mirror.url()
        ),
    }
    .start()
    .await;
    let tcp = tokio::net::TcpStream::connect(logged.mynah.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://example.com/a?b=c")
        .header("x-a", "one")
        .body(Full::<Bytes>::from("seven b"))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "7");
    for (log, outcome) in [("access.log", "-"), ("m.log", "delivered")] {
        let line = logged.line(log).await;
        let (line, upstream_time) = line.rsplit_once(' ').unwrap();
        assert_eq!(
            line,
            format!("POST /a?b=c HTTP/2.0 example.com 200 7 1 {outcome} one"),
            "{log}"
        );
        assert!(upstream_time.parse::<f64>().is_ok(), "{upstream_time}");
    }
}

#[tokio::test]
async fn a_generated_identifier_joins_a_request_to_its_copies_and_the_application_does_not_see_it() {
    let (upstream, mirror) = (app::upstream().await, app::mirror().await);
    let logged = Setup {
        upstream: upstream.address(),
        top: "request_id: {header: X-Request-Id, generate: true}\n\
              access_log: {path: access.log, format: '{path} {request_id}'}",
        mirrors: format!(
            "{{m: {{url: '{}', access_log: {{path: m.log, format: '{{path}} {{request_id}}'}}}}}}",
            mirror.url()
        ),
    }
    .start()
    .await;
    let mut client = logged.client().await;
    exchange(&mut client, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", "0").await;
    exchange(
        &mut client,
        "GET /2 HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n",
        "0",
    )
    .await;

    let lines = logged.lines("access.log", 2).await;
    let mut copies = logged.lines("m.log", 2).await;
    copies.sort();
    assert_eq!(lines, copies);
    assert_eq!(lines[1], "/2 mine");
    let id = lines[0].strip_prefix("/1 ").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let header = |seen: &app::Seen| {
        seen.headers
            .get("x-request-id")
            .map(|id| id.to_str().unwrap().to_owned())
    };
    let seen: Vec<_> = upstream.received(2).await.iter().map(header).collect();
    assert_eq!(seen, [None, Some("mine".to_owned())]);
    let mut seen: Vec<_> = mirror.received(2).await.iter().map(header).collect();
    seen.sort();
    assert_eq!(seen, [Some(id.to_owned()), Some("mine".to_owned())]);
}

#[tokio::test]
async fn without_an_access_log_there_is_none() {
    let (upstream, mirror) = (listener().await, listener().await);
    let logged = Setup {
        upstream: upstream.local_addr().unwrap(),
        top: "",
        mirrors: format!("{{m: 'http://{}'}}", mirror.local_addr().unwrap()),
    }
    .start()
    .await;
    let metrics = logged.mynah.metrics().await.unwrap();
    assert!(!metrics.to_string().contains("access_log"));
    assert_eq!(
        std::fs::read_dir(logged.folder.path()).unwrap().count(),
        1,
        "only the configuration"
    );
}
