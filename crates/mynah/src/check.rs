//! `mynah check`: a configuration file, looked at as `mynah run` does before it starts.

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::output;

/// Prints every error of the file, or that there is none.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let text = if args.print {
        mynah_config::effective(&args.file)
    } else {
        mynah_config::load(&args.file).map(|_| format!("{}: ok\n", args.file.display()))
    };
    output::print(&text.map_err(|errors| Failure::Refused(errors.to_string()))?)?;
    Ok(())
}
