//! Where client and application speak different protocols: what each receives.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response};
use mynah_testkit::app::mirror;
use mynah_testkit::binary::Mynah;
use mynah_testkit::http2::{fields, get, post, response};
use mynah_testkit::raw::{End, show};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::harness::{PATIENCE, binary};

/// Before an application on a free port that is spoken to in `protocol`, with a mirror that is spoken to in `mirror`.
struct Around {
    app: TcpListener,
    mirror: mynah_testkit::app::App,
    mynah: Mynah,
    _directory: TempDir,
}

impl Around {
    async fn start(protocol: &str, mirror_protocol: &str) -> Self {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mirror = mirror().await;
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "listeners: ['127.0.0.1:0']\nadmin: '127.0.0.1:0'\nworkers: 1\n\
             upstream: {{url: 'http://{}', protocol: {protocol}}}\n\
             mirrors: {{m: {{url: 'http://{}', protocol: {mirror_protocol}}}}}\n",
            app.local_addr().unwrap(),
            mirror.address()
        );
        let file = directory.path().join("mynah.yaml");
        std::fs::write(&file, config).unwrap();
        let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
        let mynah = Mynah::run(&binary(), &args).await.unwrap();
        Self {
            app,
            mirror,
            mynah,
            _directory: directory,
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(PATIENCE, test).await });
    assert!(ended.is_ok(), "somebody waits for what never comes");
}

/// What an HTTP/2 client receives.
#[derive(Debug, PartialEq)]
struct Received {
    interim: Vec<u16>,
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
    trailers: Option<Vec<(String, String)>>,
    reset: Option<Reason>,
}

fn received(status: u16, fields: &[(&str, &str)], body: &str) -> Received {
    Received {
        interim: Vec::new(),
        status,
        fields: own(fields),
        body: body.to_owned(),
        trailers: None,
        reset: None,
    }
}

fn own(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn listed(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| value.escape_ascii().to_string();
    fields
        .iter()
        .map(|(n, v)| (n.to_string(), text(v.as_bytes())))
        .collect()
}

/// One request of an HTTP/2 client's.
async fn ask(mynah: &Mynah, request: Request<()>, body: &[&'static str], trailers: Option<HeaderMap>) -> Received {
    let tcp = TcpStream::connect(mynah.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::task::spawn_local(connection);
    let mut sender = sender.ready().await.unwrap();
    let whole = body.is_empty() && trailers.is_none();
    let (mut pending, mut sending) = sender.send_request(request, whole).unwrap();
    for (n, part) in body.iter().enumerate() {
        let last = n + 1 == body.len() && trailers.is_none();
        sending.send_data(Bytes::from_static(part.as_bytes()), last).unwrap();
    }
    if let Some(trailers) = trailers {
        sending.send_trailers(trailers).unwrap();
    }
    let mut interim = Vec::new();
    while let Some(Ok(hint)) = poll_fn(|cx| pending.poll_informational(cx)).await {
        interim.push(hint.status().as_u16());
    }
    let (head, mut receiving) = pending.await.unwrap().into_parts();
    let mut received = received(head.status.as_u16(), &[], "");
    received.interim = interim;
    received.fields = listed(&head.headers);
    while let Some(data) = receiving.data().await {
        match data {
            Ok(data) => received.body.push_str(std::str::from_utf8(&data).unwrap()),
            Err(error) => {
                received.reset = error.reason();
                break;
            }
        }
    }
    if received.reset.is_none() {
        received.trailers = receiving.trailers().await.unwrap().as_ref().map(listed);
    }
    connection.abort();
    received
}

/// An HTTP/2 client asks an HTTP/1 application, which receives these bytes and answers by those.
async fn down(
    request: Request<()>,
    body: &[&'static str],
    trailers: Option<HeaderMap>,
    arrives: &str,
    answer: &str,
    ends: bool,
) -> Received {
    let around = Around::start("http1", "same").await;
    let app = async {
        let mut end = End::new(around.app.accept().await.unwrap().0);
        assert!(
            end.until_ends_with(arrives.as_bytes()).await,
            "received {}",
            show(end.received())
        );
        assert_eq!(show(end.received()), show(arrives.as_bytes()));
        end.send_all(answer.as_bytes()).await;
        if ends {
            drop(end);
            None
        } else {
            Some(end)
        }
    };
    let (received, _end) = tokio::join!(ask(&around.mynah, request, body, trailers), app);
    let accounts = around.mynah.at_rest().await.unwrap();
    assert_eq!((accounts.requests, accounts.mirror().delivered), (1, 1));
    received
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn an_http2_request_arrives_as_one_of_http1() {
    run(async {
        let request = get(
            "/a%20b?c",
            &[
                ("x-a", "1"),
                ("x-a", "2"),
                ("cookie", "a=b"),
                ("cookie", "c=d"),
                ("te", "trailers"),
            ],
        );
        let arrives = "GET /a%20b?c HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\nx-a: 2\r\ncookie: a=b; c=d\r\n\r\n";
        let expected = received(200, &[("content-length", "0")], "");
        assert_eq!(down(request, &[], None, arrives, OK, false).await, expected);
    });
}

#[test]
fn an_http2_body_of_known_length_arrives_with_it() {
    run(async {
        let arrives = "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 8\r\n\r\nonetwo!!";
        let request = post("/", &[("content-length", "8")]);
        let seen = down(request, &["one", "two!!"], None, arrives, OK, false).await;
        assert_eq!(seen.status, 200);
    });
}

#[test]
fn an_http2_body_of_unknown_length_arrives_in_chunks_with_its_trailers() {
    run(async {
        let arrives = "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n\
            3\r\none\r\n0\r\nx-sum: 1\r\n\r\n";
        // A length behind the body would be another message's.
        let trailers = Some(fields(&[("x-sum", "1"), ("content-length", "99"), ("host", "b")]));
        let seen = down(post("/", &[]), &["one"], trailers, arrives, OK, false).await;
        assert_eq!(seen.status, 200);
    });
}

#[test]
fn an_http1_response_becomes_one_of_http2() {
    run(async {
        let arrives = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let answer = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 299 Whatever\r\nX-A: 1\r\nDate: x\r\nx-A: 2\r\n\
            Connection: keep-alive, x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n\
            4;ext\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n";
        let mut expected = received(299, &[("x-a", "1"), ("x-a", "2"), ("date", "x")], "body");
        expected.interim = vec![103];
        expected.trailers = Some(own(&[("x-sum", "1")]));
        assert_eq!(down(get("/", &[]), &[], None, arrives, answer, false).await, expected);
    });
}

#[test]
fn http1_responses_that_the_close_ends_and_those_without_a_body() {
    run(async {
        let arrives = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let seen = down(
            get("/", &[]),
            &[],
            None,
            arrives,
            "HTTP/1.0 200 OK\r\n\r\nto the end",
            true,
        )
        .await;
        assert_eq!(seen, received(200, &[], "to the end"));
        let seen = down(
            get("/", &[]),
            &[],
            None,
            arrives,
            "HTTP/1.1 204 No Content\r\n\r\n",
            false,
        )
        .await;
        assert_eq!(seen, received(204, &[], ""));
        let answer = "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n";
        let seen = down(get("/", &[]), &[], None, arrives, answer, false).await;
        assert_eq!(seen, received(304, &[("content-length", "7")], ""));
        let head = Request::builder()
            .method("HEAD")
            .uri("http://a.example/")
            .body(())
            .unwrap();
        let arrives = "HEAD / HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        let seen = down(head, &[], None, arrives, answer, false).await;
        assert_eq!(seen, received(200, &[("content-length", "7")], ""));
    });
}

#[test]
fn http1_responses_that_are_malformed_or_cut_short() {
    run(async {
        let arrives = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
        for answer in [
            "nonsense\r\n\r\n",
            two_lengths,
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ] {
            let seen = down(get("/", &[]), &[], None, arrives, answer, false).await;
            assert_eq!(seen, received(502, &[("content-length", "0")], ""), "{answer}");
        }
        let seen = down(get("/", &[]), &[], None, arrives, "", true).await;
        assert_eq!(seen.status, 502);
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
        let mut expected = received(200, &[("content-length", "9")], "short");
        expected.reset = Some(Reason::INTERNAL_ERROR);
        assert_eq!(down(get("/", &[]), &[], None, arrives, short, true).await, expected);
    });
}

#[test]
fn tunnels_have_no_place_between_protocols() {
    run(async {
        let around = Around::start("http1", "same").await;
        let connect = Request::builder()
            .method("CONNECT")
            .uri("b.example:443")
            .body(())
            .unwrap();
        assert_eq!(ask(&around.mynah, connect, &[], None).await.status, 501);
        let around = Around::start("http2", "same").await;
        let mut client = End::connect(around.mynah.address()).await.unwrap();
        client.send_all(b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n").await;
        assert!(client.until_ended().await.is_some());
        assert!(
            client.received().starts_with(b"HTTP/1.1 501 "),
            "{}",
            show(client.received())
        );
    });
}

#[test]
fn heads_past_the_limits_are_refused_and_counted() {
    run(async {
        for protocol in ["same", "http1"] {
            let around = Around::start(protocol, "same").await;
            let many: Vec<(String, String)> = (0..513).map(|n| (format!("x-{n}"), String::new())).collect();
            let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(ask(&around.mynah, get("/", &many), &[], None).await.status, 431);
            let long = "v".repeat(60_000);
            let large = ["x-a", "x-b", "x-c", "x-d", "x-e"].map(|name| (name, long.as_str()));
            assert_eq!(ask(&around.mynah, get("/", &large), &[], None).await.status, 431);
            let metrics = around.mynah.metrics().await.unwrap();
            assert_eq!(
                (metrics.errors("bad_request"), metrics.sum("mynah_requests_total", &[])),
                (2, 0)
            );
        }
    });
}

/// An HTTP/1 client sends these bytes to an HTTP/2 application, which answers like this. What the application and the
/// client receive.
async fn up(bytes: &str, answer: impl AsyncFnOnce(h2::server::SendResponse<Bytes>)) -> (String, String) {
    let around = Around::start("http2", "same").await;
    let mut client = End::connect(around.mynah.address()).await.unwrap();
    client.send_all(bytes.as_bytes()).await;
    let (tcp, _) = around.app.accept().await.unwrap();
    let mut connection = h2::server::handshake(tcp).await.unwrap();
    let (request, respond) = connection.accept().await.unwrap().unwrap();
    let driving = tokio::task::spawn_local(async move { while connection.accept().await.is_some() {} });
    let (head, mut body) = request.into_parts();
    let mut seen = format!("{} {} {:?}", head.method, head.uri, listed(&head.headers));
    while let Some(Ok(data)) = body.data().await {
        seen.push_str(&format!(" {}", data.escape_ascii()));
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        seen.push_str(&format!(" {:?}", listed(&trailers)));
    }
    answer(respond).await;
    assert!(client.until_ended().await.is_some(), "{}", show(client.received()));
    driving.abort();
    let received = show(client.received());
    around.mynah.at_rest().await.unwrap();
    assert_eq!(around.mirror.received(1).await.len(), 1);
    (seen, received)
}

#[test]
fn an_http1_request_arrives_as_one_of_http2() {
    run(async {
        let request = "POST http://a.example?x HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nConnection: close, x-gone, te\r\n\
            X-Gone: 1\r\nTE: trailers\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n";
        let (seen, received) = up(request, async |mut respond| {
            let mut sending = respond.send_response(response(200, &[("x-b", "1")]), false).unwrap();
            sending.send_data(Bytes::from_static(b"body"), false).unwrap();
            sending.send_trailers(fields(&[("x-sum", "2")])).unwrap();
        })
        .await;
        assert_eq!(
            seen,
            r#"POST http://a.example/?x [("x-a", "1"), ("x-a", "2"), ("te", "trailers")] one [("x-sum", "1")]"#
        );
        let expected = "HTTP/1.1 200 OK\r\nx-b: 1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
            4\r\nbody\r\n0\r\nx-sum: 2\r\n\r\n";
        assert_eq!(received, show(expected.as_bytes()));
    });
}

#[test]
fn http2_responses_without_a_body_are_framed_so() {
    run(async {
        let close = "Host: a\r\nConnection: close\r\n\r\n";
        let head = async |request: &str, answer: Response<()>| {
            up(&format!("{request} HTTP/1.1\r\n{close}"), async move |mut respond| {
                respond.send_response(answer, true).unwrap();
            })
            .await
            .1
        };
        let shown = |text: &str| show(text.as_bytes());
        assert_eq!(
            head("GET /", response(200, &[])).await,
            shown("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        );
        assert_eq!(
            head("GET /", response(204, &[("content-length", "0")])).await,
            shown("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        );
        assert_eq!(
            head("HEAD /", response(200, &[("content-length", "5")])).await,
            shown("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n")
        );
    });
}

#[test]
fn an_http2_body_where_there_must_be_none_never_becomes_another_response() {
    run(async {
        let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (_, received) = up(request, async move |mut respond| {
            let mut sending = respond.send_response(response(204, &[]), false).unwrap();
            let _ = sending.send_data(Bytes::from_static(smuggled.as_bytes()), true);
        })
        .await;
        assert!(!received.contains("200 OK"), "{received}");
    });
}

#[test]
fn http2_resets_are_a_bad_gateway_or_a_cut_for_an_http1_client() {
    run(async {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (_, received) = up(request, async |mut respond| respond.send_reset(Reason::REFUSED_STREAM)).await;
        assert!(received.contains("HTTP/1.1 502 "), "{received}");
        let (_, received) = up(request, async |mut respond| {
            let mut sending = respond.send_response(response(200, &[]), false).unwrap();
            sending.send_data(Bytes::from_static(b"part"), false).unwrap();
            for _ in 0..8 {
                // What was handed over leaves before the reset.
                tokio::task::yield_now().await;
            }
            sending.send_reset(Reason::INTERNAL_ERROR);
        })
        .await;
        assert!(
            received.contains("part") && !received.contains("\\r\\n0\\r\\n"),
            "{received}"
        );
    });
}
