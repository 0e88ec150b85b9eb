//! The command line: what was typed. What it means is decided in each command's file.

pub(crate) mod kube;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use mynah_config::model::AdminAddress;
use mynah_core::Ratio;
use mynah_kube::Workload;

use self::kube::{EjectArgs, InjectArgs, TakeoverArgs, WaitArgs};
use crate::admin_client::Place;
use crate::logging::LogFormat;

pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("MYNAH_COMMIT_SUFFIX"));

const EXAMPLES: &str = "\
Examples:
  See it work, with applications of its own and without a network:
      mynah demo

  Stand in front of an application on port 8080 and copy a quarter of its requests:
      mynah run --listen :80 --upstream http://127.0.0.1:8080 \\
                --mirror http://test.example.internal --ratio 25%

  The same from a file, checked first:
      mynah check mynah.yaml
      mynah run --config mynah.yaml

  Operate one that runs:
      mynah status
      mynah ratio staging 10%
      mynah pause

Exit codes: 0 done, 1 failed, 2 usage or configuration error.";

const RUN_EXAMPLES: &str = "\
Examples:
  Every request is copied to one mirror:
      mynah run --listen :80 --upstream http://127.0.0.1:8080 --mirror http://10.0.0.7

  Two mirrors with names of their own, each with 0.5 % of the requests:
      mynah run --listen :80 --upstream http://127.0.0.1:8080 --ratio 0.5% \\
                --mirror staging=https://staging.internal --mirror canary=http://10.0.0.8:8080

  What flags cannot say (routes, TLS, limits, what changes on the copy) is in a file:
      mynah run --config mynah.yaml

What runs is printed to standard output, a line for each listener, upstream and mirror with its
ratio, and the admin address last. Logs go to standard error.

SIGTERM or SIGINT: no more clients are accepted, requests under way end within the drain timeout,
copies within a second after that; exit code 0. A second signal ends at once.
SIGHUP: the configuration file is read again, as it is when it changes.";

const DEMO_ABOUT: &str = "\
Show it at work: a production and a test application, the proxy between them and a small client

Everything runs in this process, on free ports of 127.0.0.1; nothing is written to disk. The test
application goes through a series of scenes: it is well, it stops answering, it is gone, it is back.
Watch that production does not notice. Ends on Ctrl-C.";

const CHECK_ABOUT: &str = "\
Check a configuration file as `run` does before it starts

Every error is printed at once, with file, line, column, key, what was expected and the nearest key
that exists. The exit code is 2 if there is any.";

const RELOAD_ABOUT: &str = "\
Have a running Mynah read its configuration file again

It does so by itself when the file changes, and on SIGHUP. A configuration that is wrong changes
nothing; every error is printed, as by `mynah check`, and the exit code is 2. One that is valid
replaces what was changed with `ratio` and `pause`, and says so.";

const STATUS_ABOUT: &str = "\
Show what a running Mynah does: production, and every mirror with its ratio, state and outcomes

With a workload, such as deployment/shop, every pod of it is asked through the API server of its
cluster, and the share of all requests that is copied is worked out.";

const COMPLETIONS_ABOUT: &str = "\
Print a completion script for a shell

For instance, for bash:
    mynah completions bash > /etc/bash_completion.d/mynah";

/// Copies live HTTP requests to a test environment, and production never notices
#[derive(Debug, Parser)]
#[command(name = "mynah", version = VERSION, after_help = EXAMPLES, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy: forward every request unchanged, copy a share of them
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Show it at work, with applications and a client of its own
    #[command(long_about = DEMO_ABOUT)]
    Demo(DemoArgs),
    /// Check a configuration file
    #[command(long_about = CHECK_ABOUT)]
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema(SchemaArgs),
    /// Show what a running Mynah does: production, and every mirror with its ratio, state and outcomes
    #[command(long_about = STATUS_ABOUT)]
    Status(StatusArgs),
    /// Watch a running Mynah live in the terminal, with keys to change a ratio and to pause
    Top(TopArgs),
    /// Set the ratio of a mirror of a running Mynah, until the next reload
    Ratio(RatioArgs),
    /// Stop copies at once, to one mirror or to all; production goes on
    Pause(PauseArgs),
    /// Let copies go on, to one mirror or to all
    Resume(PauseArgs),
    /// Have a running Mynah read its configuration file again
    #[command(long_about = RELOAD_ABOUT)]
    Reload(ReloadArgs),
    /// Have a running Mynah accept no more clients, let its requests end, and stop
    Drain(DrainArgs),
    /// Ask a running Mynah whether it is ready, for health checks in images without curl
    Probe(ProbeArgs),
    /// Put Mynah in front of an application, in its Kubernetes manifests or in a cluster
    #[command(long_about = kube::INJECT_ABOUT, after_help = kube::INJECT_EXAMPLES)]
    Inject(Box<InjectArgs>),
    /// Take Mynah out of Kubernetes manifests or of a cluster again
    #[command(long_about = kube::EJECT_ABOUT)]
    Eject(EjectArgs),
    /// Send a pod's inbound connections to Mynah, for an init container
    #[command(long_about = kube::TAKEOVER_ABOUT)]
    Takeover(TakeoverArgs),
    /// Do nothing for a while, for preStop hooks in images without a shell
    Wait(WaitArgs),
    /// Print a completion script for a shell
    #[command(long_about = COMPLETIONS_ABOUT)]
    Completions(CompletionsArgs),
}

/// `mynah run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Configuration file (YAML); excludes the flags that describe a configuration
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["listen", "upstream", "mirror", "ratio", "workers", "admin"])]
    #[arg(required_unless_present_all = ["listen", "upstream"])]
    pub(crate) config: Option<PathBuf>,

    /// Address to accept clients on: `0.0.0.0:80`, `[::]:80`, or `:80` for every address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", requires = "upstream")]
    pub(crate) listen: Option<String>,

    /// The application behind Mynah, such as `http://127.0.0.1:8080`
    #[arg(long, value_name = "URL", requires = "listen")]
    pub(crate) upstream: Option<String>,

    /// A test environment that receives copies; again for more. Called `mirror`, `mirror-2` … unless named
    #[arg(long, value_name = "[NAME=]URL")]
    pub(crate) mirror: Vec<String>,

    /// Copies per request, for each mirror: 0% to 10000% in steps of 0.0001% [default: 100%]
    #[arg(long, requires = "mirror")]
    pub(crate) ratio: Option<Ratio>,

    /// Threads that serve requests [default: one for each CPU that the cgroup allows]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Address of the admin API, metrics and health checks, or `unix:/path` [default: 127.0.0.1:9470]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<AdminAddress>,

    /// Logs.
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Logs of a command that runs for long.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What is logged: off, error, warn, info, debug, trace, or directives such as `info,mynah_proxy=debug`
    #[arg(
        long,
        value_name = "LEVEL",
        env = "MYNAH_LOG",
        default_value = "info",
        hide_env_values = true
    )]
    pub(crate) log_level: String,

    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// `mynah demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after this time, such as `10s` or `1m`; the scenes share it
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) run_for: Option<Duration>,

    /// Copies per request
    #[arg(long, default_value = "50%")]
    pub(crate) ratio: Ratio,
}

/// `mynah check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print the effective configuration, with every default
    #[arg(long)]
    pub(crate) print: bool,
}

/// `mynah schema`
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print the reference for people instead, as Markdown
    #[arg(long)]
    pub(crate) reference: bool,
}

/// Which Mynah is operated.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Its admin address: an address, a URL, or `unix:/path`
    #[arg(long, value_name = "ADDR", env = "MYNAH_ADMIN", default_value = "127.0.0.1:9470")]
    #[arg(hide_env_values = true)]
    pub(crate) admin: Place,

    /// File with the token that its `admin.token_file` has
    #[arg(long, value_name = "FILE", env = "MYNAH_TOKEN_FILE", hide_env_values = true)]
    pub(crate) token_file: Option<PathBuf>,
}

/// `mynah top`
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `mynah status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Instead of one Mynah every pod of a workload: deployment/NAME, statefulset/NAME or daemonset/NAME
    pub(crate) workload: Option<Workload>,

    /// Print everything as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    /// Where the workload runs.
    #[command(flatten)]
    pub(crate) cluster: kube::ClusterArgs,
}

/// `mynah ratio`
#[derive(Debug, Args)]
pub(crate) struct RatioArgs {
    /// The mirror's name
    #[arg(value_name = "MIRROR")]
    pub(crate) mirror: MirrorName,

    /// Copies per matching request: 0% to 10000% in steps of 0.0001%
    #[arg(value_name = "RATIO")]
    pub(crate) ratio: Ratio,

    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `mynah pause` and `mynah resume`
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The mirror's name; every mirror without it
    #[arg(value_name = "MIRROR")]
    pub(crate) mirror: Option<MirrorName>,

    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `mynah reload`
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `mynah drain`
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Which.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// The name of a mirror, safe to stand in a path.
#[derive(Debug, Clone)]
pub(crate) struct MirrorName(pub(crate) String);

impl std::str::FromStr for MirrorName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.is_empty() || !text.bytes().all(valid) {
            return Err("expected letters, digits, '-', '_' and '.'");
        }
        Ok(Self(text.to_owned()))
    }
}

/// `mynah probe`
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// What to ask; the answer must be a 2xx
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9470/readyz")]
    pub(crate) url: String,

    /// How long the answer may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// `mynah completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A duration with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "expected a time with its unit, such as 10s".to_owned())
}
