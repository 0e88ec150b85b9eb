//! `mynah probe`: asks a running Mynah whether it is ready, for images that have no curl.

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use hyper::{Method, Uri};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::cli::ProbeArgs;
use crate::failure::Failure;
use crate::http_client::Connection;

/// Fails unless the answer is a 2xx.
pub(crate) fn probe(args: &ProbeArgs) -> Result<(), Failure> {
    let place = Place::parse(&args.url).ok_or_else(|| {
        Failure::Refused(format!(
            "error: '{}' is not a URL such as http://127.0.0.1:9470/readyz",
            args.url
        ))
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { timeout(args.timeout, place.ask()).await });
    answer
        .unwrap_or_else(|_| Err(anyhow!("no answer within {:?}", args.timeout)))
        .with_context(|| args.url.clone())?;
    Ok(())
}

/// What is asked.
struct Place {
    authority: String,
    host: String,
    port: u16,
    target: String,
}

impl Place {
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let host = uri.host()?;
        Some(Self {
            authority: uri.authority()?.to_string(),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: uri.port_u16().unwrap_or(80),
            target: uri.path_and_query()?.to_string(),
        })
    }

    async fn ask(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open((self.host.as_str(), self.port)).await?;
        let status = connection
            .send(Method::GET, &self.authority, &self.target, Bytes::new())
            .await?;
        if !status.is_success() {
            bail!("{status}");
        }
        Ok(())
    }
}
