//! The commands that do one thing and end, as a user sees them: the whole output, and the exit code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod others;

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the binary in a folder. Exit code, standard output and standard error.
fn mynah(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(args)
        .current_dir(folder)
        .env_remove("MYNAH_LOG")
        .env_remove("MYNAH_TEST_UNSET")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        out.status.code().unwrap(),
        String::from_utf8(out.stdout).unwrap(),
        String::from_utf8(out.stderr).unwrap(),
    )
}
