//! Measures Mynah beside nginx, Envoy, Traefik and a program that only copies bytes.
//!
//! `bench/run` builds and starts this. A contender (the program under test) is a process of its own; client, application
//! and mirror are one thread of this one, [`world::World`], so that whatever is charged to the contender's process is the
//! contender's. What is measured is one file each in [`subset`]; how it is measured is in `docs/performance.md`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]
#![allow(
    clippy::disallowed_methods,
    reason = "it waits for programs, and nobody waits for it"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod chart;
mod contender;
mod limit;
mod machine;
mod process;
mod report;
mod settings;
mod subset;
mod world;

use anyhow::{Result, bail};

use crate::report::Report;
use crate::settings::Settings;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "limit") {
        return limit::run(&arguments[1..]);
    }
    if let Some(unknown) = arguments.iter().find(|name| !subset::NAMES.contains(&name.as_str())) {
        bail!(
            "{unknown}: no such subset; there are {} (none named: all)",
            subset::NAMES.join(", ")
        );
    }
    let settings = Settings::from_environment()?;
    machine::prepare()?;
    let mut report = Report::new(&settings);
    for name in subset::NAMES {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            let section = subset::measure(name, &settings)?;
            println!("{section}");
            report.add(name, &section)?;
        }
    }
    report.finish()
}
