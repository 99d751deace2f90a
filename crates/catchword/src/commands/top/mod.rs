//! `catchword top`: all groups on the terminal, kept up to date.
//!
//! `screen.rs` is pure. The broker is asked on a thread of its own, so that keys are answered while it is slow.

mod screen;
mod terminal;
mod words;

use std::io::IsTerminal;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::args::Cluster;
use crate::commands::lag::{self, Lags};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::plane::Api;
use crate::ui::Ui;
use screen::{Next, Screen};
use terminal::{Came, Terminal};

/// How long a key is waited for before answers and signals are looked for.
const NAP: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
STATE  ● reading, ◐ slow (its oldest unread record waits for more than a minute), ○ closed (no
       members), ✕ torn (retention took records before they were read), ▲ its lag objective is
       missed, and how (see catchword slo), ◌ a rebalance waits for a member (Enter tells for whom)
BOOKMARKS SAFE UNTIL  when retention takes the oldest record that the group has not read

Keys: ↑ ↓ choose, Enter one group's partitions, Esc back, b o s n sort by records behind, oldest
unread, speed, name; q quits. For scripts and files: catchword lag --watch.

Examples:
  catchword top
  catchword top --every 10 --bootstrap kafka:9092")]
pub(crate) struct Args {
    /// Ask each so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    every: u32,
    #[command(flatten)]
    cluster: Cluster,
}

/// What was asked for, and the answer.
type Answer = (Option<String>, Result<Lags, String>);

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "top draws on a terminal and reads its keys, and this is none; `catchword lag --watch` writes the same line by line".into(),
        ));
    }
    let mut client = args.cluster.connect()?;
    let api = Api::find(&mut client)?;
    let (questions, asked) = mpsc::channel();
    let (answered, answers) = mpsc::channel();
    let every = Duration::from_secs(args.every.into());
    thread::spawn(move || ask(&api, every, &asked, &answered));
    let interrupt = Interrupt::watch();
    let mut screen = Screen::new(&args.cluster.bootstrap);
    let terminal = Terminal::take(ui)?;
    let ended = show(&mut screen, &terminal, &questions, &answers, &interrupt, ui);
    terminal.leave(ui)?;
    ended
}

/// Asks, at each question and each so often for the same again, until nobody wants to know.
fn ask(api: &Api, every: Duration, asked: &Receiver<Option<String>>, answered: &Sender<Answer>) {
    let mut wanted = None;
    loop {
        let told = lag::ask(api, wanted.as_deref()).map_err(|why| why.to_string());
        if answered.send((wanted.clone(), told)).is_err() {
            return;
        }
        match asked.recv_timeout(every) {
            Ok(other) => wanted = other,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn show(
    screen: &mut Screen,
    terminal: &Terminal,
    questions: &Sender<Option<String>>,
    answers: &Receiver<Answer>,
    interrupt: &Interrupt,
    ui: &mut Ui,
) -> Result<(), Failure> {
    let mut is_stale = true;
    while !interrupt.is_set() {
        for (wanted, told) in answers.try_iter() {
            screen.take(wanted.as_deref(), told);
            is_stale = true;
        }
        if is_stale {
            let (width, height) = Terminal::size()?;
            terminal.draw(&screen.frame(width, height), ui)?;
        }
        let came = terminal.wait(NAP)?;
        is_stale = came.is_some();
        match came {
            Some(Came::Interrupt) => return Ok(()),
            Some(Came::Key(key)) => match screen.key(key) {
                Next::Quit => return Ok(()),
                // The thread that asks lives as long as its answers are taken.
                Next::Ask => drop(questions.send(screen.wanted().map(str::to_owned))),
                Next::Stay => {}
            },
            Some(Came::Resized) | None => {}
        }
    }
    Ok(())
}
