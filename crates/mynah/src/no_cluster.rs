//! Stands in for `cluster` in a binary that was built without it.

use crate::cli::StatusArgs;
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

/// Says that it is not there.
pub(crate) fn status(_: &StatusArgs) -> Result<(), Failure> {
    Err(refusal("ask a pod, as in: kubectl port-forward deployment/NAME 9470"))
}

fn absent() -> Failure {
    refusal("use -f with a file or a pipe, as in: kubectl get deployment,service -o yaml | mynah inject -f - …")
}

fn refusal(instead: &str) -> Failure {
    Failure::Refused(format!(
        "mynah: this binary was built without the feature `kubernetes` and speaks to no cluster\n  {instead}"
    ))
}
