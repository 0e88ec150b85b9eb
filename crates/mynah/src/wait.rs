//! `mynah wait`: does nothing for a while, for `preStop` hooks in images without a shell.

use crate::cli::kube::WaitArgs;

/// Returns after the time has passed.
#[allow(clippy::disallowed_methods, reason = "nothing else runs in this process")]
pub(crate) fn wait(args: &WaitArgs) {
    std::thread::sleep(args.time);
}
