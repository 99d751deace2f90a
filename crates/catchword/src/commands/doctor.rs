//! `catchword doctor`: checks a data directory.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only reads; a broker should not be running on the directory.

Examples:
  catchword doctor
  catchword doctor /var/lib/catchword --json")]
pub(crate) struct Args {
    /// The data directory.
    #[arg(default_value = "catchword-data")]
    dir: PathBuf,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, _ui: &mut Ui) -> Result<(), Failure> {
    Err(Failure::failed(format!(
        "cannot check {} (json: {}) yet",
        args.dir.display(),
        args.json
    )))
}
