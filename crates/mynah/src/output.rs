//! Standard output, for what a command was asked for. Logs go to standard error.

use std::io::{self, Write};

/// Writes a text at once, so that a reader never sees half of it.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
