//! Tells the binary which commit it was built from.
//!
//! Outside a git work tree (a source archive, a container build without `.git`) the version simply has no commit, unless
//! `MYNAH_COMMIT` says which one it is.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit that are shown.
const SHOWN: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=MYNAH_COMMIT");
    let given = std::env::var("MYNAH_COMMIT").ok().filter(|commit| !commit.is_empty());
    let suffix = given
        .or_else(from_git)
        .map(|commit| format!(" ({})", commit.chars().take(SHOWN).collect::<String>()))
        .unwrap_or_default();
    println!("cargo::rustc-env=MYNAH_COMMIT_SUFFIX={suffix}");
}

/// The commit of the work tree that this crate belongs to; another project's tree around an unpacked archive does not
/// count.
fn from_git() -> Option<String> {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()
        .ok()?;
    let top = PathBuf::from(git(&root, &["rev-parse", "--show-toplevel"])?)
        .canonicalize()
        .ok()?;
    if top != root {
        return None;
    }
    // HEAD changes with a checkout, its log with every commit. A watched file that is missing would rebuild every time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&root, &["rev-parse", "HEAD"])
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
