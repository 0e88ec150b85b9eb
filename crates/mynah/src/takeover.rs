//! `mynah takeover`: sends the inbound connections of the pod it runs in to Mynah.

use mynah_kube::takeover::{Rules, undo};

use crate::cli::kube::TakeoverArgs;
use crate::failure::Failure;
use crate::output;

/// Writes the rules, removes them, or prints them.
pub(crate) fn takeover(args: TakeoverArgs) -> Result<(), Failure> {
    if args.undo {
        return Ok(undo()?);
    }
    let rules = Rules {
        ports: args.port,
        to: args.to.expect("required unless undone"),
        preserve_source: args.preserve_source,
    };
    if rules.ports.contains(&rules.to) {
        let message = format!(
            "mynah: --port and --to are both {}: Mynah needs a port of its own",
            rules.to
        );
        return Err(Failure::Refused(message));
    }
    if args.dry_run {
        output::print(&rules.to_string())?;
        return Ok(());
    }
    rules.apply()?;
    eprintln!(
        "connections from outside for port {} go to {}",
        list(&rules.ports),
        rules.to
    );
    Ok(())
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
