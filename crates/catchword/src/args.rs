//! The command line: which commands there are. Each command's own arguments are beside the command.

use std::path::PathBuf;

use catchword_client::{Client, ClientOptions, DEFAULT_BOOTSTRAP};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command_config;
use crate::commands::{
    adopt, at, audit, carry, completions, consume, copy, doctor, export, groups, guard, hold,
    import, keep, kick, lag, log, pin, produce, protect, rewind, serve, show, skip, slo, tag, top,
    topics, tour, trash, undo, zk,
};
use crate::failure::Failure;
use crate::ui::Ui;

/// A broker that speaks Apache Kafka's protocol and never loses a consumer's place.
#[derive(Debug, Parser)]
#[command(
    name = "catchword",
    version,
    about,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
First steps:
  catchword tour                         see it keep a place through a kill -9
  catchword serve                        start a broker on 127.0.0.1:9092, data in ./catchword-data
  printf 'a\\nb\\nc\\n' | catchword produce letters
  catchword consume letters --group g --max 2
  catchword show g                       where the group is, and how far behind

If a group was reset, deleted or expired: catchword undo, catchword trash.

All commands but serve, tour, adopt and doctor work with Apache Kafka as well (--bootstrap
HOST:PORT); log, at, tag, undo, trash and restore need what only Catchword remembers: as a broker,
or beside a Kafka (catchword guard).
Exit codes: 0 done, 1 failed, 2 asked wrongly."
)]
pub(crate) struct Args {
    // Only so that it may stand before the command: clap hands it on to the command's own, which has the default.
    /// The brokers to talk to, before the command or after it; 127.0.0.1:9092, or what CATCHWORD_BOOTSTRAP says.
    #[arg(
        id = "bootstrap",
        long,
        short = 'b',
        value_name = "HOST:PORT",
        global = true
    )]
    _bootstrap: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// Commands that talk to no cluster: `--bootstrap` is not among their options, and is refused before them.
const WITHOUT_CLUSTER: [&str; 6] = ["adopt", "carry", "serve", "tour", "doctor", "completions"];

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a broker.
    Serve(serve::Args),
    /// A guided demo on real input: read half, commit, kill -9 the broker, resume at the very next line.
    Tour(tour::Args),
    /// List, create, describe, delete and configure topics.
    Topics(topics::Args),
    /// Store lines as records.
    Produce(produce::Args),
    /// Read records, alone or in a group.
    Consume(consume::Args),
    /// List groups and how far behind they are.
    Groups(groups::Args),
    /// Show one group: members, committed offsets, lag.
    Show(show::Args),
    /// How far groups are behind, for how long, how fast they read, and when they will have read all.
    Lag(lag::Args),
    /// Move a group's committed offsets; shows what would happen unless told --yes.
    Rewind(rewind::Args),
    /// Move a group past records that it cannot digest; shows them unless told --yes.
    Skip(skip::Args),
    /// Give a group the place of another.
    Copy(copy::Args),
    /// Take groups over to another cluster, by the records that they point at.
    Carry(carry::Args),
    /// Write committed offsets to a file, in the forms of Kafka's tools.
    Export(export::Args),
    /// Put groups where a file says; shows what would happen unless told --yes.
    Import(import::Args),
    /// What was done to a group's committed offsets, by whom, from where to where.
    Log(log::Args),
    /// Where a group was at a past time.
    At(at::Args),
    /// Commits that did more than read on, and commits that were refused.
    Audit(audit::Args),
    /// Give where a group is now a name, to come back to.
    Tag(tag::Args),
    /// List a group's tags.
    Tags(tag::ListArgs),
    /// Take a change back; lists the last changes without an ID.
    Undo(undo::Args),
    /// List deleted and expired committed offsets.
    Trash(trash::Args),
    /// Put back what a group has lost, or all of it where it was at a tag or time.
    Restore(undo::RestoreArgs),
    /// How long a group's committed offsets are kept, and when each expires.
    Keep(keep::Args),
    /// Have retention wait until a group has read, within bounds.
    Hold(hold::Args),
    /// Have a group's committed offsets neither expire nor be deleted.
    Pin(pin::Args),
    /// Send a member of a group away.
    Kick(kick::Args),
    /// Guard a group's committed offsets against resets and deletions.
    Protect(protect::Args),
    /// All groups on the terminal, kept up to date.
    Top(top::Args),
    /// Say how close to its writers a group should be; tells whether it is.
    Slo(slo::Args),
    /// Move in from Apache Kafka: take over a stopped Kafka's data directory.
    Adopt(adopt::Args),
    /// Beside an Apache Kafka: remember where its groups were, and put them back.
    Guard(guard::Args),
    /// Committed offsets in ZooKeeper: compare, import, export, cut over.
    Zk(zk::Args),
    /// Check a data directory.
    Doctor(doctor::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Which cluster to talk to.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Cluster {
    /// Brokers to begin with: HOST:PORT, several separated by commas.
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        env = "CATCHWORD_BOOTSTRAP",
        hide_env_values = true,
        default_value = DEFAULT_BOOTSTRAP
    )]
    pub(crate) bootstrap: String,
    /// How to reach them, in the words of Kafka's client.properties: security.protocol, sasl.mechanism, sasl.jaas.config, ssl.*.
    #[arg(
        long,
        value_name = "FILE",
        env = "CATCHWORD_COMMAND_CONFIG",
        hide_env_values = true
    )]
    command_config: Option<PathBuf>,
}

impl Cluster {
    /// Connects to the cluster.
    pub(crate) fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::connect(self.options()?)?)
    }

    /// How to connect to it.
    pub(crate) fn options(&self) -> Result<ClientOptions, Failure> {
        command_config::options(&self.bootstrap, self.command_config.as_deref())
    }
}

/// The whole command line.
pub(crate) fn command() -> clap::Command {
    // Stands where clap would put the global option, which would be shown.
    let hidden = || {
        Arg::new("bootstrap")
            .long("bootstrap")
            .short('b')
            .hide(true)
    };
    Args::command().mut_subcommands(|sub| {
        if WITHOUT_CLUSTER.contains(&sub.get_name()) {
            sub.arg(hidden())
        } else {
            sub
        }
    })
}

/// Reads the command line; ends the process with clap's words where it is wrong or asks for help.
pub(crate) fn parse() -> Args {
    let mut command = command();
    let read = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| {
            refuse_needless_bootstrap(&mut command, &matches)?;
            Args::from_arg_matches(&matches)
        });
    read.unwrap_or_else(|error| error.exit())
}

fn refuse_needless_bootstrap(
    command: &mut clap::Command,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    let Some((name, sub)) = matches.subcommand() else {
        return Ok(());
    };
    let given = sub.value_source("bootstrap") == Some(ValueSource::CommandLine);
    if !given || !WITHOUT_CLUSTER.contains(&name) {
        return Ok(());
    }
    let hint = match name {
        "serve" => "it is a broker itself; --listen says where it is to listen",
        "tour" => "it starts a broker of its own",
        "doctor" => "it reads a data directory: catchword doctor DIR",
        _ => "it talks to no broker",
    };
    Err(command.error(
        ErrorKind::UnknownArgument,
        format!("{name} has no use for --bootstrap: {hint}"),
    ))
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, ui: &mut Ui) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => serve::run(args, ui),
            Command::Tour(args) => tour::run(&args, ui),
            Command::Topics(args) => topics::run(args, ui),
            Command::Produce(args) => produce::run(&args, ui),
            Command::Consume(args) => consume::run(&args, ui),
            Command::Groups(args) => groups::run(&args, ui),
            Command::Show(args) => show::run(&args, ui),
            Command::Lag(args) => lag::run(&args, ui),
            Command::Rewind(args) => rewind::run(&args, ui),
            Command::Skip(args) => skip::run(&args, ui),
            Command::Carry(args) => carry::run(&args, ui),
            Command::Copy(args) => copy::run(&args, ui),
            Command::Export(args) => export::run(&args, ui),
            Command::Import(args) => import::run(&args, ui),
            Command::Log(args) => log::run(&args, ui),
            Command::At(args) => at::run(&args, ui),
            Command::Audit(args) => audit::run(&args, ui),
            Command::Kick(args) => kick::run(&args, ui),
            Command::Undo(args) => undo::run(&args, ui),
            Command::Tag(args) => tag::run(&args, ui),
            Command::Tags(args) => tag::list(&args, ui),
            Command::Trash(args) => trash::run(&args, ui),
            Command::Restore(args) => undo::restore(&args, ui),
            Command::Keep(args) => keep::run(&args, ui),
            Command::Hold(args) => hold::run(&args, ui),
            Command::Pin(args) => pin::run(&args, ui),
            Command::Protect(args) => protect::run(&args, ui),
            Command::Top(args) => top::run(&args, ui),
            Command::Slo(args) => slo::run(&args, ui),
            Command::Adopt(args) => adopt::run(&args, ui),
            Command::Guard(args) => guard::run(&args, ui),
            Command::Zk(args) => zk::run(&args, ui),
            Command::Doctor(args) => doctor::run(&args, ui),
            Command::Completions(args) => completions::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    /// The help as users see it, 100 columns wide. `UPDATE=1 cargo test -p catchword` writes it anew.
    #[test]
    fn the_help_reads_as_it_was_last_looked_at() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/help.txt");
        let mut text = String::new();
        let mut command = command().term_width(100);
        command.build();
        render(&mut command, "catchword", &mut text);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap();
        assert!(
            text == golden,
            "{path} is stale: look at the change, then UPDATE=1 cargo test -p catchword"
        );
    }

    fn render(command: &mut clap::Command, name: &str, text: &mut String) {
        text.push_str(&format!(
            "$ {name} --help\n{}\n",
            command.render_long_help()
        ));
        for sub in command
            .get_subcommands_mut()
            .filter(|sub| sub.get_name() != "help")
        {
            let name = format!("{name} {}", sub.get_name());
            render(sub, &name, text);
        }
    }
}
