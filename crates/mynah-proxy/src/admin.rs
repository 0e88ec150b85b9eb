//! The admin address: metrics, health and the dashboard, on the control thread.

mod dashboard;

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::StopHandle;
use crate::metrics;
use crate::stats::Stats;

/// Time for a request head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, stats: Stats, stop: StopHandle) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "admin address unusable"),
    };
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // No descriptors: production needs them more.
            tokio::time::sleep(HEAD_TIMEOUT).await;
            continue;
        };
        let (stats, stop) = (stats.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &stats, &stop);
                async { Ok::<_, Infallible>(response) }
            });
            // A client that breaks off concerns nobody.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(tcp), service)
                .await;
        });
    }
}

fn answer(request: &Request<Incoming>, stats: &Stats, stop: &StopHandle) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics::expose(stats));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, metrics::CONTENT_TYPE);
            response
        }
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if stop.is_draining() => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/readyz" => text(StatusCode::OK, "ready\n"),
        path => dashboard::file(path)
            .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "here are /, /metrics, /healthz and /readyz\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
