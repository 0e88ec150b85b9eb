//! Logs: key=value to standard error, as text or as JSON. Their level can be changed while they are written.

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use clap::ValueEnum;
use mynah_proxy::LogLevel;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

use crate::failure::Failure;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging. `level` is a level, or directives such as `info,mynah_proxy=debug`. Returns what changes it.
pub(crate) fn start(level: &str, format: LogFormat) -> Result<LogLevel, Failure> {
    let filter = parse(level).map_err(|error| Failure::Refused(format!("error: {error}")))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    let logs = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => logs.with(lines.with_ansi(io::stderr().is_terminal())).try_init(),
        LogFormat::Json => logs.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| anyhow!(error).context("cannot start logging"))?;
    let setter = handle.clone();
    Ok(LogLevel {
        get: Box::new(move || handle.with_current(ToString::to_string).unwrap_or_default()),
        set: Box::new(move |level| setter.reload(parse(level)?).map_err(|error| error.to_string())),
    })
}

fn parse(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(level).map_err(|error| {
        format!(
            "'{level}' is not a log level: {error}; expected off, error, warn, info, debug, trace, or directives such as \
             info,mynah_proxy=debug"
        )
    })
}
