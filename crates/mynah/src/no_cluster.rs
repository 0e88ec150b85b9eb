//! Stands in for `cluster` in a binary that was built without it.

use crate::cli::kube::{EjectArgs, InjectArgs};
use crate::failure::Failure;

/// Says that it is not there.
pub(crate) fn inject(_: InjectArgs) -> Result<(), Failure> {
    Err(absent())
}

/// Says that it is not there.
pub(crate) fn eject(_: &EjectArgs) -> Result<(), Failure> {
    Err(absent())
}

fn absent() -> Failure {
    let message = "mynah: this binary was built without the feature `kubernetes` and speaks to no cluster\n  \
        use -f with a file or a pipe, as in: kubectl get deployment,service -o yaml | mynah inject -f - …";
    Failure::Refused(message.to_owned())
}
