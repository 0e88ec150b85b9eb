//! The command line of what concerns Kubernetes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use mynah_core::Ratio;
use mynah_kube::Workload;
use mynah_kube::inject::Takeover;

use super::duration;

pub(crate) const INJECT_ABOUT: &str = "\
Put Mynah in front of an application, in its manifests or in a cluster

Finds the Service, the port, the container and the probes by itself, and says what it decided.
Comments, order and everything else that need not change stay as they are; `mynah eject` takes it
back to the last byte. What cannot be done right is refused, with the reason and what to do instead.";

pub(crate) const INJECT_EXAMPLES: &str = "\
Examples:
  One pod beside those of the Deployment, which copies a tenth of all requests together with them:
      mynah inject -f app.yaml --beside --share 10% --mirror http://test.example.internal \\
          --app-env PORT={port} > out.yaml

  In every pod, where the Service sends to a port by its name and the application is told nothing:
      mynah inject -f app.yaml --in-place --ratio 5% --mirror http://test.example.internal > out.yaml

  A Deployment of the cluster: shows the diff and asks; if it does not get ready it is rolled back:
      mynah inject deployment/shop -n prod --beside --share 10% --mirror http://10.0.0.7 --wait

  In a pipe:
      helm template shop | mynah inject -f - --in-place --mirror http://10.0.0.7 | kubectl apply -f -";

pub(crate) const EJECT_ABOUT: &str = "\
Take Mynah out of manifests or of a cluster again

What `mynah inject` has added goes, what it has changed gets its old text back, and nothing else is
touched: a file is as it was before, unless something else in it has changed meanwhile, which stays.";

/// `mynah inject`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("mode").required(true).args(["beside", "in_place"]))]
pub(crate) struct InjectArgs {
    /// The workload: deployment/NAME, statefulset/NAME or daemonset/NAME; not needed where the manifests have only one
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: Option<Workload>,

    /// Manifests (YAML or JSON, any number of documents) instead of a cluster; `-` for standard input
    #[arg(long, short, value_name = "FILE", required_unless_present = "workload", conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) filename: Option<PathBuf>,

    /// Where the workload runs.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// What happens to the cluster.
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,

    /// Mynah in pods of a second Deployment that the same Services select
    #[arg(long)]
    pub(crate) beside: bool,

    /// Mynah in the pods of the workload itself
    #[arg(long)]
    pub(crate) in_place: bool,

    /// A test environment that receives copies; again for more. Called `mirror`, `mirror-2` … unless named
    #[arg(long, value_name = "[NAME=]URL", required = true)]
    pub(crate) mirror: Vec<String>,

    /// Pods in the Deployment beside [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) pods: Option<u32>,

    /// Copies per request in the pods that mirror [default: 100%]
    #[arg(long, conflicts_with = "share")]
    pub(crate) ratio: Option<Ratio>,

    /// Share of all requests that is copied: picks pods and ratio so that it is met exactly
    #[arg(long, value_name = "RATIO")]
    pub(crate) share: Option<Ratio>,

    /// How traffic reaches Mynah first [default: port if the application is told one, else named if the Service sends to a name]
    #[arg(long, value_enum, value_name = "WAY")]
    pub(crate) takeover: Option<TakeoverWay>,

    /// With --takeover port: an environment variable that tells the application its port; again for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) app_env: Vec<(String, String)>,

    /// With --takeover port: the application's arguments instead of those it has; again for more, or one text with spaces
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) app_args: Vec<String>,

    /// With --takeover port: the port that the application gets; `{port}` stands for it [default: the next free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) app_port: Option<u16>,

    /// With the other takeovers: Mynah's port [default: the first free one from 9480]
    #[arg(long, value_name = "PORT")]
    pub(crate) listen_port: Option<u16>,

    /// The port to take over, where there are several: a number, or the name of the Service's port
    #[arg(long)]
    pub(crate) port: Option<String>,

    /// The Service, where several select the pods
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// The application's container, where no port tells
    #[arg(long, value_name = "NAME")]
    pub(crate) container: Option<String>,

    /// With --takeover redirect: the application sees the client's address; gives Mynah's container NET_ADMIN
    #[arg(long)]
    pub(crate) preserve_source: bool,

    /// Mynah's image
    #[arg(long, env = "MYNAH_IMAGE", default_value = concat!("ghcr.io/mynah-mirror/mynah:", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,

    /// Native sidecar (Kubernetes 1.29; with --takeover named 1.33) or plain container [default: native, but for named]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) sidecar: Option<Sidecar>,
}

/// A takeover, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TakeoverWay {
    /// The application is told another port, Mynah takes the one that the Service sends to
    Port,
    /// The name that the Service sends to moves to Mynah's port
    Named,
    /// Rules in the pod redirect the port to Mynah; needs NET_ADMIN in an init container
    Redirect,
}

impl From<TakeoverWay> for Takeover {
    fn from(way: TakeoverWay) -> Self {
        match way {
            TakeoverWay::Port => Self::Port,
            TakeoverWay::Named => Self::Named,
            TakeoverWay::Redirect => Self::Redirect,
        }
    }
}

/// What kind of container Mynah is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sidecar {
    /// An init container that keeps running, and ends after the application
    Native,
    /// A container like the application's
    Container,
}

/// `mynah eject`
#[derive(Debug, Args)]
pub(crate) struct EjectArgs {
    /// The workload: deployment/NAME, statefulset/NAME or daemonset/NAME; every one in the manifests unless given
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workload: Option<Workload>,

    /// Manifests instead of a cluster; `-` for standard input
    #[arg(long, short, value_name = "FILE", required_unless_present = "workload", conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) filename: Option<PathBuf>,

    /// Where the workload runs.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// What happens to the cluster.
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

/// Which cluster, and where in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Namespace of the workload [default: the context's]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The kubeconfig [default: KUBECONFIG, else ~/.kube/config, else the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// What happens to a cluster.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ApplyArgs {
    /// Apply without asking
    #[arg(long, short, conflicts_with = "filename")]
    pub(crate) yes: bool,

    /// Change nothing: `client` shows the diff, `server` has the API server check it as well
    #[arg(long, value_enum, value_name = "WHERE", conflicts_with_all = ["filename", "wait"])]
    pub(crate) dry_run: Option<DryRun>,

    /// Print the objects as they would be, and change nothing
    #[arg(long, short, value_enum, value_name = "FORMAT", conflicts_with_all = ["filename", "wait"])]
    pub(crate) output: Option<OutputFormat>,

    /// Wait until every pod is ready; if that takes too long, what was injected is rolled back
    #[arg(long, conflicts_with = "filename")]
    pub(crate) wait: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Where nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// Nothing is sent
    Client,
    /// The API server checks it and keeps nothing
    Server,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// YAML
    Yaml,
}

pub(crate) const TAKEOVER_ABOUT: &str = "\
Send a pod's inbound connections to Mynah, for an init container

Writes rules of nftables into the network namespace that it runs in: connections from outside the pod
for the application's port go to Mynah's, over IPv4 and IPv6. Connections from inside the pod, Mynah's
own among them, are left alone. Doing it again replaces the rules. Needs the capability NET_ADMIN and
user 0, both for this container alone.";

/// `mynah takeover`
#[derive(Debug, Args)]
pub(crate) struct TakeoverArgs {
    /// The application's port; again for more
    #[arg(long, value_name = "PORT", required_unless_present = "undo", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,

    /// Mynah's port
    #[arg(long, value_name = "PORT", required_unless_present = "undo", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) to: Option<u16>,

    /// The application sees the client's address; the configuration needs `upstream.preserve_source`, and Mynah's container
    /// NET_ADMIN
    #[arg(long)]
    pub(crate) preserve_source: bool,

    /// Remove everything that an earlier call has written
    #[arg(long, conflicts_with_all = ["port", "to", "preserve_source"])]
    pub(crate) undo: bool,

    /// Print the rules, and write nothing
    #[arg(long, conflicts_with = "undo")]
    pub(crate) dry_run: bool,
}

/// `mynah wait`
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// How long, such as 5s
    #[arg(value_name = "TIME", value_parser = duration)]
    pub(crate) time: Duration,
}

fn variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE, such as PORT={port}".to_owned())
}
