//! `mynah pause` and what `mynah resume` shares with it: stops copies at once, without touching production.

use serde_json::Value;

use crate::admin_client::AdminClient;
use crate::cli::PauseArgs;
use crate::failure::Failure;
use crate::output;

/// Pauses copies to one mirror or all.
pub(crate) fn pause(args: &PauseArgs) -> Result<(), Failure> {
    switch(args, "pause")
}

/// Calls it for one mirror or all, and says what each does now.
pub(crate) fn switch(args: &PauseArgs, what: &str) -> Result<(), Failure> {
    let path = match &args.mirror {
        Some(mirror) => format!("/api/v1/mirrors/{}/{what}", mirror.0),
        None => format!("/api/v1/{what}"),
    };
    let answer = AdminClient::new(&args.admin)?.post(&path)?;
    let mirrors = match answer["mirrors"].as_array() {
        Some(mirrors) => mirrors.clone(),
        None => vec![answer],
    };
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let line = |mirror: &Value| format!("{}: {}\n", word(&mirror["name"]), word(&mirror["state"]));
    let lines: String = mirrors.iter().map(line).collect();
    output::print(if lines.is_empty() { "no mirrors\n" } else { &lines })?;
    Ok(())
}
