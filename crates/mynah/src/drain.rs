//! `mynah drain`: has a running Mynah let its requests end, and stop.

use crate::admin_client::AdminClient;
use crate::cli::DrainArgs;
use crate::failure::Failure;
use crate::output;

/// Begins it; it does not wait for the end.
pub(crate) fn drain(args: &DrainArgs) -> Result<(), Failure> {
    AdminClient::new(&args.admin)?.post("/api/v1/drain")?;
    output::print("draining\n")?;
    Ok(())
}
