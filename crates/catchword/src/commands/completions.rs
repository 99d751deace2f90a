//! `catchword completions`: a script that teaches a shell the commands.

use std::io;

use clap_complete::Shell;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  catchword completions bash > ~/.local/share/bash-completion/completions/catchword
  catchword completions zsh > \"${fpath[1]}/_catchword\"
  catchword completions fish > ~/.config/fish/completions/catchword.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::args::command(),
        "catchword",
        &mut script,
    );
    Ok(io::Write::write_all(&mut io::stdout(), &script)?)
}
