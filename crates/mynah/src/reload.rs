//! `mynah reload`: has a running Mynah read its configuration again.

use serde_json::Value;

use crate::admin_client::AdminClient;
use crate::cli::ReloadArgs;
use crate::failure::Failure;
use crate::output;

/// Reloads, and says what that did; every error of a configuration that is refused.
pub(crate) fn reload(args: &ReloadArgs) -> Result<(), Failure> {
    let done = AdminClient::new(&args.admin)?.post("/api/v1/reload")?;
    let hash = done["hash"].as_str().unwrap_or("?");
    let mut text = format!("configuration {} ({hash}) is in force\n", done["generation"]);
    for (key, what) in [
        ("needs_restart", "needs a restart"),
        ("replaced", "replaced what was changed"),
    ] {
        let entries = done[key].as_array().into_iter().flatten();
        text.extend(
            entries
                .filter_map(Value::as_str)
                .map(|entry| format!("{what}: {entry}\n")),
        );
    }
    output::print(&text)?;
    Ok(())
}
