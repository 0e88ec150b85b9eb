//! Why a command ended without success: the one place that prints an error and chooses the exit code.

use std::io;
use std::process::ExitCode;

/// The code of a command that failed.
const FAILED: u8 = 1;
/// The code of a command line or configuration that makes no sense; clap's own usage errors have the same.
const USAGE: u8 = 2;

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done.
    Failed(anyhow::Error),
    /// The flags or the configuration are wrong; the text says where, one error a line.
    Refused(String),
}

impl Failure {
    /// Prints it to standard error, and says with which code to exit.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            // Whoever read our output has seen enough, as in `mynah schema | head`.
            Self::Failed(error) if reader_left(&error) => ExitCode::SUCCESS,
            Self::Failed(error) => {
                eprintln!("mynah: {error:#}");
                ExitCode::from(FAILED)
            }
            Self::Refused(text) => {
                eprintln!("{}", text.trim_end());
                ExitCode::from(USAGE)
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn reader_left(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
