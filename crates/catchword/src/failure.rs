//! How a command fails, and the exit code for it: 1 for what went wrong, 2 for what was asked wrongly.

use std::io;
use std::process::ExitCode;

use catchword_client::ClientError;
use catchword_config::ConfigError;

/// A command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error("{}", list(.0))]
    Config(Vec<ConfigError>),
    /// The broker could not be asked, or refused.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// Whoever read the output has had enough: not a failure of ours.
    #[error("the output is no longer read")]
    BrokenPipe,
    /// A file or a stream.
    #[error("{0}")]
    Io(io::Error),
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

fn list(errors: &[ConfigError]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Io(error),
        }
    }
}

impl Failure {
    /// A failure in words.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// A file that could not be used.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Failed(format!("cannot use {}: {error}", path.display()))
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::BrokenPipe => ExitCode::SUCCESS,
            Self::Usage(_) | Self::Config(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
