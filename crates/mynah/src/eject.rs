//! `mynah eject`: takes Mynah out of manifests again.

use mynah_kube::eject as take_out;

use crate::cli::kube::EjectArgs;
use crate::cluster;
use crate::failure::Failure;
use crate::inject::{read, refused};
use crate::output;

/// Prints the manifests without Mynah to standard output, and what was taken back to standard error.
pub(crate) fn eject(args: &EjectArgs) -> Result<(), Failure> {
    let Some(file) = args.filename.as_deref() else {
        return cluster::eject(args);
    };
    let text = read(file)?;
    let ejected = take_out(&text, args.workload.as_ref()).map_err(refused)?;
    for object in &ejected.removed {
        eprintln!("{object}: removed");
    }
    for object in &ejected.restored {
        eprintln!("{object}: as it was");
    }
    output::print(&ejected.text)?;
    Ok(())
}
