//! The trace context of copies.

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mynah_testkit::app::{self, Seen};

use crate::harness::{Setup, exchange};

const OLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Trace parent, state and link of a request.
fn context(seen: &Seen) -> [Option<String>; 3] {
    ["traceparent", "tracestate", "mynah-traceparent"].map(|name| {
        let value = seen.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    })
}

/// What the application and the mirror see of requests with these trace parents, by this protocol.
async fn seen(
    trace: &str,
    parents: &[Option<&str>],
    http2: bool,
) -> (Vec<[Option<String>; 3]>, Vec<[Option<String>; 3]>) {
    let (upstream, mirror) = (app::upstream().await, app::mirror().await);
    let logged = Setup {
        upstream: upstream.address(),
        top: "",
        mirrors: format!(
            "{{m: {{url: '{}', trace: {trace}, access_log: {{path: m.log, format: '{{header(traceparent)}}'}}}}}}",
            mirror.url()
        ),
    }
    .start()
    .await;
    let address = logged.mynah.address();
    for parent in parents {
        if http2 {
            let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let mut request = Request::get("http://h/").header("tracestate", "a=b");
            if let Some(parent) = parent {
                request = request.header("traceparent", *parent);
            }
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            assert!(sender.send_request(request).await.unwrap().status().is_success());
        } else {
            let parent = parent
                .map(|parent| format!("Traceparent: {parent}\r\n"))
                .unwrap_or_default();
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{parent}Tracestate: a=b\r\n\r\n");
            exchange(&mut logged.client().await, &request, "0").await;
        }
    }
    let production = upstream.received(parents.len()).await.iter().map(context).collect();
    let copies: Vec<_> = mirror.received(parents.len()).await.iter().map(context).collect();
    // The log tells what was sent.
    let mut lines = logged.lines("m.log", parents.len()).await;
    let mut sent: Vec<_> = copies
        .iter()
        .map(|[parent, ..]| parent.clone().unwrap_or("-".to_owned()))
        .collect();
    lines.sort();
    sent.sort();
    assert_eq!(lines, sent);
    (production, copies)
}

fn state() -> Option<String> {
    Some("a=b".to_owned())
}

#[tokio::test]
async fn a_copy_belongs_to_its_originals_trace_unless_told_otherwise() {
    for http2 in [false, true] {
        let (production, copies) = seen("keep", &[Some(OLD)], http2).await;
        assert_eq!(production, [[Some(OLD.to_owned()), state(), None]]);
        assert_eq!(copies, production);
    }
}

#[tokio::test]
async fn a_copy_whose_trace_is_dropped_has_none() {
    for http2 in [false, true] {
        let (production, copies) = seen("drop", &[Some(OLD)], http2).await;
        assert_eq!(production, [[Some(OLD.to_owned()), state(), None]]);
        assert_eq!(copies, [[None, None, None]]);
    }
}

#[tokio::test]
async fn a_copy_with_a_trace_of_its_own_tells_its_originals() {
    for http2 in [false, true] {
        let unsampled = OLD.replace("-01", "-00");
        let (production, mut copies) = seen("new", &[Some(OLD), Some(&unsampled)], http2).await;
        assert_eq!(production[0], [Some(OLD.to_owned()), state(), None]);
        copies.sort();
        let mut traces = Vec::new();
        for copy in &copies {
            let [Some(parent), None, Some(link)] = copy else {
                panic!("{copy:?}")
            };
            assert_eq!((parent.len(), &parent[..3]), (55, "00-"));
            assert_eq!(parent[52..], link[52..], "it is sampled as its original is");
            assert_eq!(link[..52], OLD[..52]);
            traces.push(parent[3..35].to_owned());
        }
        traces.push(OLD[3..35].to_owned());
        traces.sort();
        traces.dedup();
        assert_eq!(traces.len(), 3, "traces differ");
    }
}

#[tokio::test]
async fn a_request_without_a_valid_trace_has_copies_without_one() {
    for http2 in [false, true] {
        let (production, copies) = seen("new", &[None, Some("00-nonsense")], http2).await;
        assert_eq!(production[1][0].as_deref(), Some("00-nonsense"));
        assert_eq!(copies, [[None, None, None], [None, None, None]]);
    }
}
