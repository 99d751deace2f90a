//! `catchword`: the broker and the commands around it, in one binary.
//!
//! `main` parses, runs the command and turns its end into an exit code; everything else is in the commands.

use std::process::ExitCode;

mod args;
mod command_config;
mod commands;
mod failure;
mod http;
mod interrupt;
mod place;
mod plane;
mod serve;
mod table;
mod time;
mod ui;

/// A commit of a hundred offsets makes hundreds of small allocations on one thread and frees them on another: measured, the
/// system's allocator took a quarter of the broker's time there. Without huge pages (feature `no_thp`), which made a broker
/// that does nothing twice as large and nothing faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = args::parse();
    let mut ui = ui::Ui::new();
    match args.run(&mut ui).and_then(|()| ui.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, failure::Failure::BrokenPipe) {
                ui.note(format_args!("catchword: {failure}"));
            }
            failure.exit_code()
        }
    }
}
