//! What can be chosen from outside: how long, how often, how fast, and where the contenders are.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

/// The environment, read once.
pub(crate) struct Settings {
    /// Length of one measurement.
    pub(crate) duration: Duration,
    /// How often each is repeated.
    pub(crate) repeats: usize,
    /// Requests per second where latency is measured.
    pub(crate) rate: u32,
    /// Only contenders whose name contains one of these words.
    only: Vec<String>,
    /// Where reports go.
    pub(crate) results: PathBuf,
    /// Where the peers are that are no packages of the system.
    pub(crate) cache: PathBuf,
    /// The binary of Mynah.
    pub(crate) mynah: PathBuf,
}

impl Settings {
    /// Reads the variables that `bench/run` documents.
    pub(crate) fn from_environment() -> Result<Self> {
        let root = PathBuf::from(var("BENCH_DIR", "bench".to_owned())?);
        Ok(Self {
            duration: Duration::from_secs_f64(var("DURATION", 4.0)?),
            repeats: var("REPEATS", 5)?,
            rate: var("RATE", 5000)?,
            only: var("ONLY", String::new())?.split('|').map(str::to_owned).collect(),
            results: root.join("results"),
            cache: root.join(".cache"),
            mynah: PathBuf::from(var("MYNAH", "target/release/mynah".to_owned())?),
        })
    }

    /// Whether a contender of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.iter().any(|word| name.contains(word.as_str()))
    }
}

fn var<T: FromStr>(name: &str, default: T) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(name) {
        Ok(value) => value.parse().with_context(|| format!("{name}={value}")),
        Err(_) => Ok(default),
    }
}
