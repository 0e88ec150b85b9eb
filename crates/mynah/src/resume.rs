//! `mynah resume`: copies go on.

use crate::cli::PauseArgs;
use crate::failure::Failure;
use crate::pause;

/// Resumes copies to one mirror or all.
pub(crate) fn resume(args: &PauseArgs) -> Result<(), Failure> {
    pause::switch(args, "resume")
}
