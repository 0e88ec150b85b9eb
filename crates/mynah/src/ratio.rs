//! `mynah ratio`: sets the ratio of a mirror of a running Mynah.

use serde_json::json;

use crate::admin_client::AdminClient;
use crate::cli::RatioArgs;
use crate::failure::Failure;
use crate::output;

/// Sets it, and says what is in force now.
pub(crate) fn ratio(args: &RatioArgs) -> Result<(), Failure> {
    let path = format!("/api/v1/mirrors/{}/ratio", args.mirror.0);
    let mirror = AdminClient::new(&args.admin)?.put(&path, &json!({"ratio": args.ratio.to_string()}))?;
    let (ratio, configured) = (&mirror["ratio"], &mirror["configured_ratio"]);
    let word = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    output::print(&format!(
        "{}: {} (configured {})\n",
        word(&mirror["name"]),
        word(ratio),
        word(configured)
    ))?;
    Ok(())
}
