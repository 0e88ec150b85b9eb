//! `mynah schema`: the JSON Schema of the configuration, for editors, or the reference, for people.

use crate::cli::SchemaArgs;
use crate::failure::Failure;
use crate::output;

/// Prints the schema or the reference.
pub(crate) fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    let text = if args.reference {
        mynah_config::reference()
    } else {
        serde_json::to_string_pretty(&mynah_config::schema())? + "\n"
    };
    output::print(&text)?;
    Ok(())
}
