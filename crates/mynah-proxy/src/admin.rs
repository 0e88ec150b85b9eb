//! Where Mynah is operated, on the control thread: metrics and health, the admin API and the dashboard.
//!
//! A connection is served by [`connection`], its requests are told apart here; who may call is decided in [`guard`], what a
//! call does in [`api`], and what it shows in [`view`]. Metrics and health checks are for everybody who reaches the address;
//! a further address may have them alone.

mod api;
mod connection;
mod dashboard;
mod guard;
mod openapi;
mod problem;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use mynah_config::model::AdminAddress;

pub(crate) use self::connection::{AdminListener, serve};
use self::problem::{Code, Problem};
use crate::metrics;
use crate::reload::ReloadHandle;
use crate::stats::Stats;
use crate::{About, StopHandle};

/// What the admin side knows and may do.
pub(crate) struct Admin {
    pub(crate) stats: Stats,
    pub(crate) stop: StopHandle,
    pub(crate) reload: ReloadHandle,
    pub(crate) about: About,
}

/// What an address is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// Metrics and health checks.
    Metrics,
    /// These and the API.
    Api(Access),
}

/// Who may call the API.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Whoever reaches the address, which is nobody else.
    Private,
    /// Whoever has the token in this file.
    Token {
        /// The file.
        file: PathBuf,
        /// Only this host reaches the address.
        private: bool,
    },
    /// Nobody: others reach the address, and there is no token.
    Nobody,
}

impl Access {
    pub(crate) fn of(admin: &mynah_config::model::Admin) -> Self {
        let private = admin.address.is_private();
        match (&admin.token_file, private) {
            (Some(file), _) => Self::Token {
                file: file.clone(),
                private,
            },
            (None, true) => Self::Private,
            (None, false) => Self::Nobody,
        }
    }

    /// Says so when an API is asked for that nobody may call.
    pub(crate) fn tell(&self, address: &AdminAddress) {
        if matches!(self, Self::Nobody) {
            tracing::warn!(
                %address,
                "others reach the admin address and there is no admin.token_file: metrics and health are served, the API is off"
            );
        }
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, admin: &Arc<Admin>, purpose: &Purpose) -> Answer {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match (path, purpose) {
        ("/metrics" | "/healthz" | "/readyz", _) if !reads => Problem::method("GET, HEAD").into(),
        ("/metrics", _) => {
            let page = metrics::expose(&admin.stats, &admin.about.version);
            let mut response = text(StatusCode::OK, page);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, metrics::CONTENT_TYPE);
            response
        }
        ("/healthz", _) => text(StatusCode::OK, "ok\n"),
        ("/readyz", _) if admin.stop.is_draining() => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        ("/readyz", _) => text(StatusCode::OK, "ready\n"),
        (_, Purpose::Metrics) => text(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"),
        (path, Purpose::Api(access)) if path.starts_with("/api/") => match guard::admit(request.headers(), access) {
            Ok(()) => api::answer(request, admin).await.unwrap_or_else(Into::into),
            Err(problem) => problem.into(),
        },
        (_, Purpose::Api(Access::Nobody)) => guard::nobody().into(),
        (_, Purpose::Api(_)) if !reads => Problem::method("GET, HEAD").into(),
        ("/openapi.json", Purpose::Api(_)) => json(StatusCode::OK, &openapi::document(&admin.about.version)),
        (path, Purpose::Api(_)) => dashboard::file(path).unwrap_or_else(|| {
            let here = "here are /, /metrics, /healthz, /readyz, /openapi.json and /api/v1";
            Problem::new(Code::NotFound, here).into()
        }),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    // What is serialised here are maps with string keys and plain values.
    let body = serde_json::to_vec(value).unwrap_or_default();
    with_type(status, "application/json", body)
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
