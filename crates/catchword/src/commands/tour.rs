//! `catchword tour`.
use crate::failure::Failure;
use crate::ui::Ui;
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_args: &Args, _ui: &mut Ui) -> Result<(), Failure> {
    Err(Failure::failed("not yet"))
}
