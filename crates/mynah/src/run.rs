//! `mynah run`: the proxy, from its configuration to its last request.
//!
//! Everything that can be wrong is found before the first client is accepted: the configuration is read whole, every
//! address bound and every certificate read. Then the addresses are printed and the threads started; what is left for
//! this thread is to wait.

mod descriptors;
mod signals;
mod startup;

use anyhow::{Context, anyhow};
use mynah_config::Flags;
use mynah_config::model::Config;

use self::signals::Signals;
use crate::cli::RunArgs;
use crate::failure::Failure;
use crate::{logging, output};

/// Runs the proxy until it is told to stop.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    logging::start(&args.log.log_level, args.log.log_format)?;
    let config = configuration(args)?;
    descriptors::raise_limit();
    // Before anything is printed: whoever reads the addresses may send a signal at once.
    let signals = Signals::catch().context("cannot catch signals")?;
    let bound = mynah_proxy::build(config)?;
    output::print(&startup::lines(bound.config(), bound.listeners(), bound.admin()))?;
    let running = bound.start()?;
    let hurried = signals.stop(running.stop_handle())?;
    if !running.wait() {
        return Err(anyhow!("a worker ended early").into());
    }
    if hurried.happened() {
        return Err(anyhow!("ended at once: requests under way were cut").into());
    }
    tracing::info!("stopped");
    Ok(())
}

fn configuration(args: RunArgs) -> Result<Config, Failure> {
    if let Some(file) = &args.config {
        return mynah_config::load(file).map_err(|errors| Failure::Refused(errors.to_string()));
    }
    let flags = Flags {
        listen: args.listen.expect("required unless there is a file"),
        upstream: args.upstream.expect("required unless there is a file"),
        mirrors: args.mirror,
        ratio: args.ratio,
        workers: args.workers,
        admin: args.admin,
    };
    mynah_config::from_flags(flags).map_err(|errors| Failure::Refused(errors.to_string()))
}
