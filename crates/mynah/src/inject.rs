//! `mynah inject`: puts Mynah in front of an application, in its manifests.

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use anyhow::Context;
use mynah_kube::inject::{Mode, Options};
use mynah_kube::{Amount, Error, inject as put_in};

use crate::cli::kube::{InjectArgs, Sidecar};
use crate::cluster;
use crate::failure::Failure;
use crate::output;

/// More text than any stream of manifests has.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// Prints the manifests with Mynah to standard output, and what was decided to standard error.
pub(crate) fn inject(args: InjectArgs) -> Result<(), Failure> {
    let Some(file) = args.filename.clone() else {
        return cluster::inject(args);
    };
    let text = read(&file)?;
    let injected = put_in(&text, &options(args)).map_err(refused)?;
    for note in &injected.notes {
        eprintln!("{}: {note}", injected.workload);
    }
    output::print(&injected.text)?;
    Ok(())
}

/// What was typed, as what is wanted.
pub(crate) fn options(args: InjectArgs) -> Options {
    Options {
        target: args.workload,
        namespace: args.cluster.namespace,
        mode: if args.beside { Mode::Beside } else { Mode::InPlace },
        takeover: args.takeover.map(Into::into),
        mirrors: args
            .mirror
            .iter()
            .enumerate()
            .map(|(i, flag)| mynah_config::named_mirror(flag, i))
            .collect(),
        amount: Amount {
            pods: args.pods,
            ratio: args.ratio,
            share: args.share,
        },
        port: args.port,
        service: args.service,
        container: args.container,
        app_port: args.app_port,
        listen_port: args.listen_port,
        app_env: args.app_env,
        app_args: words(args.app_args),
        preserve_source: args.preserve_source,
        image: args.image,
        native: args.sidecar.map(|sidecar| sidecar == Sidecar::Native),
    }
}

/// One text with spaces is several arguments.
fn words(args: Vec<String>) -> Vec<String> {
    match &args[..] {
        [one] => one.split_whitespace().map(str::to_owned).collect(),
        _ => args,
    }
}

/// The text of a file, or of standard input.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .take(MAX_INPUT)
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    Ok(fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
}

/// What cannot be done with what was given.
pub(crate) fn refused(error: Error) -> Failure {
    Failure::Refused(format!("mynah: {error}"))
}
