//! The machine: which core does what, how many files may be open, and what to call it in a report.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of the contender; everything else is on the next.
const CONTENDER: usize = 0;
/// The core of client, application and mirror.
const WORLD: usize = 1;

/// Pins this thread to its core and allows as many open files as it may.
pub(crate) fn prepare() -> Result<()> {
    if cores() > 1 {
        let mut set = CpuSet::new();
        set.set(WORLD);
        sched_setaffinity(None, &set).context("cannot pin to a core")?;
    }
    let limit = getrlimit(Resource::Nofile);
    let wanted = Some(65_536);
    let raised = Rlimit {
        current: wanted,
        maximum: wanted,
    };
    if setrlimit(Resource::Nofile, raised).is_err() {
        let most = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, most).context("cannot raise the limit of open files")?;
    }
    Ok(())
}

/// A command that runs a program on the contender's core.
pub(crate) fn on_contenders_core(program: &str) -> Command {
    on(CONTENDER, program)
}

/// A command that runs a program on the core of everything else.
pub(crate) fn on_worlds_core(program: &str) -> Command {
    on(WORLD, program)
}

fn on(core: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    let core = if cores() > 1 { core } else { 0 };
    command.args(["-c", &core.to_string(), program]);
    command
}

fn cores() -> usize {
    fs::read_to_string("/proc/cpuinfo").map_or(1, |info| info.matches("processor\t").count())
}

/// Cores, model and kernel, in a line.
pub(crate) fn description() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = kernel.trim().split('-').next().unwrap_or_default();
    format!("{} cores, {model}, Linux {release}", cores())
}
