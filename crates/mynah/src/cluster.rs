//! `mynah inject` and `mynah eject` on a cluster: show what would change, ask, apply, wait, roll back; and `mynah status` of a
//! workload.

mod status;

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Context;
use mynah_kube::Workload;
use mynah_kube::cluster::{Change, Cluster, ClusterError};
use tokio::runtime::Builder;

use crate::cli::StatusArgs;
use crate::cli::kube::{ApplyArgs, ClusterArgs, DryRun, EjectArgs, InjectArgs};
use crate::failure::Failure;
use crate::{inject, output};

/// Injects into a workload of a cluster.
pub(crate) fn inject(mut args: InjectArgs) -> Result<(), Failure> {
    let apply = std::mem::take(&mut args.apply);
    block_on(async {
        let cluster = connect(&args.cluster).await?;
        let options = inject::options(args);
        let (change, injected) = cluster.plan_inject(&options).await.map_err(failure)?;
        for note in &injected.notes {
            eprintln!("{}: {note}", injected.workload);
        }
        if !show_and_apply(&cluster, &change, &apply).await? || !apply.wait {
            return Ok(());
        }
        if let Err(error) = cluster.wait_ready(&injected.mirroring, apply.timeout).await {
            eprintln!("mynah: {error}\nrolling back");
            cluster.roll_back(&change).await.map_err(failure)?;
            return Err(anyhow::anyhow!(
                "{} did not get ready; everything is as it was before",
                injected.mirroring
            )
            .into());
        }
        eprintln!("{}: ready", injected.mirroring);
        Ok(())
    })
}

/// Ejects from a workload of a cluster.
pub(crate) fn eject(args: &EjectArgs) -> Result<(), Failure> {
    block_on(async {
        let cluster = connect(&args.cluster).await?;
        let workload = args.workload.clone().expect("required without a file");
        let change = cluster.plan_eject(&workload).await.map_err(failure)?;
        if show_and_apply(&cluster, &change, &args.apply).await? && args.apply.wait {
            wait(&cluster, &workload, &args.apply).await?;
        }
        Ok(())
    })
}

/// Shows what every pod of a workload has served and copied.
pub(crate) fn status(args: &StatusArgs) -> Result<(), Failure> {
    block_on(async {
        let cluster = connect(&args.cluster).await?;
        let workload = args.workload.as_ref().expect("given, or one Mynah is asked");
        let status = cluster.status(workload).await.map_err(failure)?;
        let text = if args.json {
            format!("{}\n", serde_json::to_string_pretty(&status::json(&status))?)
        } else {
            status::table(&status)
        };
        Ok(output::print(&text)?)
    })
}

async fn wait(cluster: &Cluster, workload: &Workload, args: &ApplyArgs) -> Result<(), Failure> {
    cluster.wait_ready(workload, args.timeout).await.map_err(failure)?;
    eprintln!("{workload}: ready");
    Ok(())
}

/// Whether the change was applied.
async fn show_and_apply(cluster: &Cluster, change: &Change, args: &ApplyArgs) -> Result<bool, Failure> {
    if args.output.is_some() {
        output::print(&change.manifests)?;
        return Ok(false);
    }
    output::print(&change.diff)?;
    if let Some(dry_run) = args.dry_run {
        if dry_run == DryRun::Server {
            cluster.apply(change, true).await.map_err(failure)?;
            eprintln!("the API server accepts it; nothing was changed");
        }
        return Ok(false);
    }
    if !args.yes && !agreed()? {
        eprintln!("nothing was changed");
        return Ok(false);
    }
    cluster.apply(change, false).await.map_err(failure)?;
    eprintln!("applied");
    Ok(true)
}

/// Asks whoever sits there.
fn agreed() -> Result<bool, Failure> {
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        let message = "mynah: nobody is there to be asked; say --yes to apply, or --dry-run";
        return Err(Failure::Refused(message.to_owned()));
    }
    let mut error = io::stderr();
    write!(error, "Apply? [y/N] ")?;
    error.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn connect(args: &ClusterArgs) -> Result<Cluster, Failure> {
    Cluster::connect(
        args.kubeconfig.as_deref(),
        args.context.as_deref(),
        args.namespace.as_deref(),
    )
    .await
    .map_err(failure)
}

/// What cannot be done with what was given is the caller's to change; the rest has failed.
fn failure(error: ClusterError) -> Failure {
    match error {
        ClusterError::Manifest(_) | ClusterError::Kubeconfig(_) => Failure::Refused(format!("mynah: {error}")),
        error => Failure::Failed(error.into()),
    }
}

fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(future)
}
