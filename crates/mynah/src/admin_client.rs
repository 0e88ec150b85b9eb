//! Calls of the admin API of a running Mynah, for the commands that operate one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::cli::AdminArgs;
use crate::failure::Failure;

/// Time for a call: a reload may wait for names, certificates and listeners.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer.
const ANSWER: usize = 64 * 1024 * 1024;

/// Where a running Mynah is operated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Host and port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected an address such as 127.0.0.1:9470, a URL such as http://127.0.0.1:9470, or unix:/path";
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(expected.to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let port = authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        let plain = authority
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
        match port {
            Some(_) if plain && !authority.starts_with(':') => Ok(Self::Tcp(authority.to_owned())),
            _ => Err(expected.to_owned()),
        }
    }
}

/// Calls a running Mynah.
pub(crate) struct AdminClient {
    place: Place,
    token: Option<String>,
}

impl AdminClient {
    /// As the flags say.
    pub(crate) fn new(args: &AdminArgs) -> Result<Self, Failure> {
        let token = args
            .token_file
            .as_deref()
            .map(|file: &Path| mynah_config::token::read(file))
            .transpose()
            .map_err(|error| Failure::Refused(format!("error: {error}")))?;
        Ok(Self {
            place: args.admin.clone(),
            token,
        })
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::POST, path, None)
    }

    /// Sets something.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body))
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (status, answer) = runtime
            .block_on(async { timeout(PATIENCE, self.exchange(method, path, body)).await })
            .unwrap_or_else(|_| Err(anyhow!("no answer within {} s", PATIENCE.as_secs())))
            .with_context(|| format!("Mynah at {}", self.place))?;
        if status < 400 {
            return Ok(answer);
        }
        Err(refusal(status, &answer))
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let stream: Box<dyn Stream> = match &self.place {
            Place::Tcp(authority) => Box::new(
                TcpStream::connect(authority)
                    .await
                    .context("not reached; --admin or MYNAH_ADMIN says where it is")?,
            ),
            Place::Unix(path) => Box::new(
                UnixStream::connect(path)
                    .await
                    .context("not reached; --admin or MYNAH_ADMIN says where it is")?,
            ),
        };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let host = match &self.place {
            Place::Tcp(authority) => authority,
            Place::Unix(_) => "localhost",
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!(error))?.to_bytes();
        Ok((
            status,
            serde_json::from_slice(&body).context("the answer is no JSON; is this Mynah's admin address?")?,
        ))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What a problem says; a wrong configuration is told error by error, as `mynah check` does.
fn refusal(status: u16, problem: &Value) -> Failure {
    let errors = problem["errors"].as_array().into_iter().flatten();
    let errors: Vec<_> = errors.filter_map(Value::as_str).collect();
    if !errors.is_empty() {
        return Failure::Refused(errors.join("\n"));
    }
    let detail = problem["detail"].as_str().unwrap_or("no reason given");
    Failure::Failed(anyhow!(
        "{detail} ({status} {})",
        problem["code"].as_str().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_odd_ones_refused() {
        let tcp = |text: &str| Place::Tcp(text.to_owned());
        for (text, place) in [
            ("127.0.0.1:9470", tcp("127.0.0.1:9470")),
            ("http://127.0.0.1:9470/", tcp("127.0.0.1:9470")),
            ("[::1]:9470", tcp("[::1]:9470")),
            ("mynah.example:80", tcp("mynah.example:80")),
            ("unix:/run/mynah.sock", Place::Unix("/run/mynah.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
        for odd in [
            "",
            "9470",
            "localhost",
            ":9470",
            "unix:",
            "https://a:1",
            "http://a:1/path",
            "a b:1",
            "a:99999",
        ] {
            assert!(odd.parse::<Place>().is_err(), "{odd}");
        }
    }
}
