//! The `mynah` binary: reads the command line, hands over to one file per command, and turns what comes back into an exit
//! code. What a command does is in its file; what was typed is in [`cli`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod admin_client;
mod check;
mod cli;
#[cfg_attr(not(feature = "kubernetes"), path = "no_cluster.rs")]
mod cluster;
mod completions;
mod demo;
mod drain;
mod eject;
mod failure;
mod http_client;
mod inject;
mod logging;
mod output;
mod pause;
mod probe;
mod ratio;
mod reload;
mod resume;
mod run;
mod schema;
mod status;
mod takeover;
mod top;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::demo(args),
        Command::Check(args) => check::check(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Status(args) => status::status(&args),
        Command::Top(args) => top::top(&args),
        Command::Ratio(args) => ratio::ratio(&args),
        Command::Pause(args) => pause::pause(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Drain(args) => drain::drain(&args),
        Command::Probe(args) => probe::probe(&args),
        Command::Inject(args) => inject::inject(*args),
        Command::Eject(args) => eject::eject(&args),
        Command::Takeover(args) => takeover::takeover(args),
        Command::Wait(args) => {
            wait::wait(&args);
            Ok(())
        }
        Command::Completions(args) => completions::completions(&args),
    }
}
