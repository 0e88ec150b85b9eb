//! The application that the tests put into pods: as production and as the test environment.
//!
//!     app -host 0.0.0.0:30081
//!
//! It answers every path with what it saw and remembers it: `/stats` tells how many requests came, how many of them twice
//! and how many not whole, and `/behave` makes it ill; `/whoami` answers its name. A request carries a number of its own in `x-id`, and in `x-digest` a
//! digest of its method, target and body: see [`ledger`]. Questions of this kind and
//! kubelet's probes are not counted.
//!
//! On SIGTERM it accepts no more, ends what is under way, and exits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use mynah_e2e::ledger::{self, Ledger};

/// How the application is.
#[derive(Clone, Copy, Default)]
enum Mood {
    #[default]
    Well,
    /// Accepts, reads, and never answers.
    Hung,
    /// Answers 503.
    Failing,
}

#[derive(Default)]
struct App {
    name: String,
    version: String,
    ledger: Mutex<Ledger>,
    mood: Mutex<Mood>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let host = match arguments.as_slice() {
        [] => std::env::var("LISTEN").unwrap_or_else(|_| "0.0.0.0:30081".to_owned()),
        [flag, host] if flag == "-host" => host.clone(),
        other => return Err(format!("expected '-host ADDRESS', not {other:?}").into()),
    };
    let env = |name| std::env::var(name).unwrap_or_default();
    let app = Arc::new(App {
        name: env("POD_NAME"),
        version: env("VERSION"),
        ..App::default()
    });
    let mut stop = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(&host).await?;
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (tcp, remote) = accepted?;
                let app = app.clone();
                let service = service_fn(move |request| answer(app.clone(), remote, request));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
                tokio::spawn(connections.watch(connection));
            }
            _ = stop.recv() => break,
        }
    }
    drop(listener);
    let patience = tokio::time::sleep(Duration::from_secs(10));
    tokio::select! {
        () = connections.shutdown() => {}
        () = patience => {}
    }
    Ok(())
}

async fn answer(
    app: Arc<App>,
    remote: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    match target.strip_prefix("/entrance").unwrap_or(target) {
        "/whoami" => return Ok(Response::new(Full::from(app.name.clone()))),
        "/healthz" => return Ok(Response::new(Full::new(Bytes::from_static(b"ok\n")))),
        "/stats" => {
            let stats = app.ledger.lock().expect("nothing panics with it").stats();
            return Ok(page(StatusCode::OK, &serde_json::to_value(stats).expect("it is plain")));
        }
        "/behave?well" => return Ok(app.behave(Mood::Well)),
        "/behave?hung" => return Ok(app.behave(Mood::Hung)),
        "/behave?failing" => return Ok(app.behave(Mood::Failing)),
        _ => {}
    }
    let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    if field(USER_AGENT.as_str()).is_some_and(|agent| agent.starts_with("kube-probe/")) {
        app.ledger.lock().expect("nothing panics with it").probe();
        return Ok(Response::new(Full::default()));
    }
    let body = body.collect().await.map(|body| body.to_bytes());
    let digest = body
        .as_ref()
        .ok()
        .map(|body| ledger::digest(head.method.as_str(), target, body));
    app.ledger
        .lock()
        .expect("nothing panics with it")
        .request(field("x-id"), field("x-digest"), digest.as_deref());
    let mood = *app.mood.lock().expect("nothing panics with it");
    let status = match mood {
        Mood::Well => StatusCode::OK,
        Mood::Hung => std::future::pending().await,
        Mood::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    let seen = json!({
        "name": app.name, "version": app.version, "remote": remote.to_string(),
        "method": head.method.as_str(), "target": target, "host": field(HOST.as_str()),
        "copy": field("mynah-copy"), "bytes": body.map_or(0, |body| body.len()),
    });
    Ok(page(status, &seen))
}

impl App {
    fn behave(&self, mood: Mood) -> Response<Full<Bytes>> {
        *self.mood.lock().expect("nothing panics with it") = mood;
        Response::new(Full::default())
    }
}

fn page(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(value.to_string().into()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
