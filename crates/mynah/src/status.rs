//! `mynah status`: what a running Mynah does, as a table.

use std::fmt::Write;

use serde_json::Value;

use crate::admin_client::AdminClient;
use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::{cluster, output};

/// Prints it.
pub(crate) fn status(args: &StatusArgs) -> Result<(), Failure> {
    if args.workload.is_some() {
        return cluster::status(args);
    }
    let status = AdminClient::new(&args.admin)?.get("/api/v1/status")?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&status)?)
    } else {
        table(&status)
    };
    output::print(&text)?;
    Ok(())
}

fn table(status: &Value) -> String {
    let production = &status["production"];
    let errors: u64 = counts(&production["errors"]).map(|(_, n)| n).sum();
    let hash = match status["hash"].as_str() {
        Some(hash) if !hash.is_empty() => format!(" ({hash})"),
        _ => String::new(),
    };
    let draining = if status["draining"] == true { ", draining" } else { "" };
    let mut text = format!(
        "mynah {}, configuration {}{hash}{draining}\n\
         production: {} requests, {errors} errors, {} connections, p50 {}, p99 {}, {} bytes held for copies\n",
        text_of(&status["version"]),
        status["generation"],
        production["requests"],
        production["connections"],
        seconds(&production["latency"]["p50_seconds"]),
        seconds(&production["latency"]["p99_seconds"]),
        production["held_bytes"],
    );
    reasons(&mut text, "production errors", &production["errors"]);
    let mirrors = status["mirrors"].as_array().map_or(&[][..], Vec::as_slice);
    if mirrors.is_empty() {
        text.push_str("no mirrors\n");
        return text;
    }
    let head = [
        "MIRROR",
        "STATE",
        "RATIO",
        "MATCHED",
        "COPIES",
        "DELIVERED",
        "FAILED",
        "SHED",
        "IN FLIGHT",
        "P50",
        "P99",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(mirrors.iter().map(row));
    text.push('\n');
    text.push_str(&output::table(&rows, 3));
    for mirror in mirrors {
        let name = text_of(&mirror["name"]);
        reasons(&mut text, &format!("{name} failed"), &mirror["failed"]);
        reasons(&mut text, &format!("{name} shed"), &mirror["shed"]);
    }
    text
}

fn row(mirror: &Value) -> [String; 11] {
    let sum = |key: &str| counts(&mirror[key]).map(|(_, n)| n).sum::<u64>().to_string();
    let (ratio, configured) = (text_of(&mirror["ratio"]), text_of(&mirror["configured_ratio"]));
    let effective = text_of(&mirror["effective_ratio"]);
    let sent = if effective == ratio {
        String::new()
    } else {
        format!(", sends {effective}")
    };
    [
        text_of(&mirror["name"]).to_owned(),
        text_of(&mirror["state"]).to_owned(),
        if ratio == configured {
            ratio.to_owned() + &sent
        } else {
            format!("{ratio} (configured {configured}){sent}")
        },
        mirror["matched"].to_string(),
        mirror["copies"].to_string(),
        mirror["delivered"].to_string(),
        sum("failed"),
        sum("shed"),
        mirror["in_flight"].to_string(),
        seconds(&mirror["latency"]["p50_seconds"]),
        seconds(&mirror["latency"]["p99_seconds"]),
    ]
}

/// A line with what there is, the most frequent first.
fn reasons(text: &mut String, what: &str, reasons: &Value) {
    let mut reasons: Vec<_> = counts(reasons).collect();
    if reasons.is_empty() {
        return;
    }
    reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), reason.to_owned()));
    let reasons: Vec<_> = reasons.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    writeln!(text, "{what}: {}", reasons.join(", ")).expect("a string takes everything");
}

fn counts(map: &Value) -> impl Iterator<Item = (&String, u64)> {
    let entries = map.as_object().into_iter().flatten();
    entries.map(|(reason, n)| (reason, n.as_u64().unwrap_or(0)))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// The bound that a share of the durations is within.
fn seconds(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("≤{}ms", seconds * 1000.0),
        Some(seconds) => format!("≤{seconds}s"),
    }
}
