//! `mynah run`: the proxy, from its configuration to its last request.
//!
//! Everything that can be wrong is found before the first client is accepted: the configuration is read whole, every
//! address bound and every certificate read. Then the addresses are printed and the threads started; what is left for
//! this thread is to wait.

mod descriptors;
mod signals;
mod startup;

use anyhow::{Context, anyhow};
use mynah_config::{Flags, Source};
use mynah_proxy::About;

use self::signals::Signals;
use crate::cli::RunArgs;
use crate::failure::Failure;
use crate::{cli, logging, output};

/// Runs the proxy until it is told to stop.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    let log_level = logging::start(&args.log.log_level, args.log.log_format)?;
    let source = source(args);
    let loaded = source.load().map_err(|errors| Failure::Refused(errors.to_string()))?;
    descriptors::raise_limit();
    // Before anything is printed: whoever reads the addresses may send a signal at once.
    let signals = Signals::catch().context("cannot catch signals")?;
    let bound = mynah_proxy::build_from(Some(source), loaded)?.about(About {
        version: cli::VERSION.to_owned(),
        log_level,
    });
    output::print(&startup::lines(&bound))?;
    let running = bound.start()?;
    let hurried = signals.answer(running.stop_handle(), running.reload_handle())?;
    if !running.wait() {
        return Err(anyhow!("a worker ended early").into());
    }
    if hurried.happened() {
        return Err(anyhow!("ended at once: requests under way were cut").into());
    }
    tracing::info!("stopped");
    Ok(())
}

fn source(args: RunArgs) -> Source {
    if let Some(file) = args.config {
        return Source::File(file);
    }
    Source::Flags(Flags {
        listen: args.listen.expect("required unless there is a file"),
        upstream: args.upstream.expect("required unless there is a file"),
        mirrors: args.mirror,
        ratio: args.ratio,
        workers: args.workers,
        admin: args.admin,
    })
}
