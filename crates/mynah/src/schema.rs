//! `mynah schema`: the JSON Schema of the configuration, for editors.

use crate::failure::Failure;
use crate::output;

/// Prints the schema.
pub(crate) fn schema() -> Result<(), Failure> {
    let schema = serde_json::to_string_pretty(&mynah_config::schema())?;
    output::print(&format!("{schema}\n"))?;
    Ok(())
}
