//! The calls of the API.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::problem::{Code, Problem};
use super::view::{Config, Draining, LogLevel, Mirror, Mirrors, Ratio, Reloaded, Status};
use super::{Admin, Answer, json};
use crate::reload::{ReloadError, Trigger};

/// Bytes of a request's body.
const BODY: usize = 16 * 1024;
/// Time for a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Status,
    Mirrors,
    Mirror,
    SetRatio,
    PauseMirror,
    ResumeMirror,
    PauseAll,
    ResumeAll,
    Config,
    Reload,
    Drain,
    LogLevel,
    SetLogLevel,
}

/// A call: method, path and what it does.
pub(super) type Call = (Method, &'static str, Action);

/// Every call.
pub(super) const CALLS: [Call; 13] = [
    (Method::GET, "/api/v1/status", Action::Status),
    (Method::GET, "/api/v1/mirrors", Action::Mirrors),
    (Method::GET, "/api/v1/mirrors/{mirror}", Action::Mirror),
    (Method::PUT, "/api/v1/mirrors/{mirror}/ratio", Action::SetRatio),
    (Method::POST, "/api/v1/mirrors/{mirror}/pause", Action::PauseMirror),
    (Method::POST, "/api/v1/mirrors/{mirror}/resume", Action::ResumeMirror),
    (Method::POST, "/api/v1/pause", Action::PauseAll),
    (Method::POST, "/api/v1/resume", Action::ResumeAll),
    (Method::GET, "/api/v1/config", Action::Config),
    (Method::POST, "/api/v1/reload", Action::Reload),
    (Method::POST, "/api/v1/drain", Action::Drain),
    (Method::GET, "/api/v1/log-level", Action::LogLevel),
    (Method::PUT, "/api/v1/log-level", Action::SetLogLevel),
];

/// Does what is called.
pub(super) async fn answer(request: Request<Incoming>, admin: &Arc<Admin>) -> Result<Answer, Problem> {
    let (head, body) = request.into_parts();
    let (action, name) = find(&head.method, head.uri.path())?;
    let name = name.as_str();
    match action {
        Action::Status => Ok(json(StatusCode::OK, &Status::of(admin))),
        Action::Mirrors => Ok(json(StatusCode::OK, &Mirrors::of(&admin.stats.totals()))),
        Action::Mirror => mirror(admin, name),
        Action::SetRatio => {
            let wanted: Ratio = read(&head, body).await?;
            let ratio = wanted.ratio.parse().map_err(|error: mynah_core::RatioError| {
                Problem::new(
                    Code::InvalidValue,
                    format!("ratio: '{}' is not valid; {error}", wanted.ratio),
                )
            })?;
            if !admin.stats.set_ratio(name, ratio) {
                return Err(unknown(name));
            }
            tracing::info!(mirror = name, %ratio, "ratio set; the next reload replaces it");
            mirror(admin, name)
        }
        Action::PauseMirror | Action::ResumeMirror => {
            pause(admin, Some(name), action == Action::PauseMirror).await?;
            mirror(admin, name)
        }
        Action::PauseAll | Action::ResumeAll => {
            pause(admin, None, action == Action::PauseAll).await?;
            Ok(json(StatusCode::OK, &Mirrors::of(&admin.stats.totals())))
        }
        Action::Config => Ok(json(StatusCode::OK, &Config::of(admin))),
        Action::Reload => reload(admin).await,
        Action::Drain => {
            tracing::info!("drain called for");
            admin.stop.drain();
            Ok(json(StatusCode::ACCEPTED, &Draining { draining: true }))
        }
        Action::LogLevel => Ok(json(
            StatusCode::OK,
            &LogLevel {
                level: (admin.about.log_level.get)(),
            },
        )),
        Action::SetLogLevel => {
            let wanted: LogLevel = read(&head, body).await?;
            (admin.about.log_level.set)(&wanted.level).map_err(|error| Problem::new(Code::InvalidValue, error))?;
            tracing::info!(level = wanted.level, "log level set");
            Ok(json(StatusCode::OK, &wanted))
        }
    }
}

/// The call, and the mirror that its path names. Paths are compared as they came: no name has anything to decode.
fn find(method: &Method, path: &str) -> Result<(Action, String), Problem> {
    let matching = CALLS
        .iter()
        .filter_map(|(method, pattern, action)| Some((method, *action, name_in(pattern, path)?)));
    let matching: Vec<_> = matching.collect();
    if let Some((_, action, name)) = matching.iter().find(|(allowed, ..)| *allowed == method) {
        return Ok((*action, (*name).to_owned()));
    }
    Err(match matching[..] {
        [] => Problem::new(Code::NotFound, "no such call; /openapi.json describes them all"),
        [(first, ..)] => Problem::method(if *first == Method::GET {
            "GET"
        } else if *first == Method::PUT {
            "PUT"
        } else {
            "POST"
        }),
        _ => Problem::method("GET, PUT"),
    })
}

/// What stands for `{mirror}` in a path; empty when there is nothing of the kind.
fn name_in<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{mirror}") else {
        return (pattern == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn unknown(name: &str) -> Problem {
    Problem::new(Code::UnknownMirror, format!("no mirror is called '{name}'"))
}

fn mirror(admin: &Admin, name: &str) -> Result<Answer, Problem> {
    let mirror = Mirror::named(&admin.stats.totals(), name).ok_or_else(|| unknown(name))?;
    Ok(json(StatusCode::OK, &mirror))
}

/// Pauses or resumes copies to one mirror or all. Returns when every worker has let go of those that were in flight.
async fn pause(admin: &Admin, name: Option<&str>, paused: bool) -> Result<(), Problem> {
    let known = admin.stats.pause(name, paused);
    if let Some(name) = name.filter(|_| !known) {
        return Err(unknown(name));
    }
    if paused {
        admin.stop.shed(name).await;
    }
    let what = if paused { "paused" } else { "resumed" };
    tracing::warn!(
        mirror = name.unwrap_or("all"),
        "copies {what}; the next reload replaces it"
    );
    Ok(())
}

async fn reload(admin: &Admin) -> Result<Answer, Problem> {
    match admin.reload.reload(Trigger::Api).await {
        Ok(report) => Ok(json(
            StatusCode::OK,
            &Reloaded {
                generation: report.generation,
                hash: report.hash,
                needs_restart: report.needs_restart,
                replaced: report.replaced,
            },
        )),
        Err(error @ ReloadError::NoFile) => Err(Problem::new(Code::NoFile, error.to_string())),
        Err(error @ ReloadError::Stopping) => Err(Problem::new(Code::Stopping, error.to_string())),
        Err(error) => {
            let detail = "the configuration is wrong; the running one stays";
            let errors = error.to_string();
            Err(Problem::new(Code::ConfigRefused, detail).with_errors(errors.lines().map(str::to_owned)))
        }
    }
}

/// The JSON in a body that is not larger and does not come more slowly than it may.
async fn read<T: DeserializeOwned>(head: &http::request::Parts, body: Incoming) -> Result<T, Problem> {
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "expected Content-Type: application/json",
        ));
    }
    let bytes = timeout(BODY_TIMEOUT, Limited::new(body, BODY).collect()).await;
    let bytes = match bytes {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!("expected at most {BODY} bytes"),
            ));
        }
        Ok(Err(_)) => return Err(Problem::new(Code::InvalidBody, "the body did not arrive whole")),
        Err(_) => return Err(Problem::new(Code::BodyTimeout, "the body did not arrive in time")),
    };
    serde_json::from_slice(&bytes).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))
}
