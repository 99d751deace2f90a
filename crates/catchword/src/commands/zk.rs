//! `catchword zk`: committed offsets in ZooKeeper beside those of the cluster.

mod cutover;
mod export;
mod import;
mod session;
mod status;

use clap::Subcommand;

use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
In ZooKeeper a group's place is the node /consumers/GROUP/offsets/TOPIC/PARTITION, as consumers of
Kafka 0.8 to 2.x wrote it. A broker with offsets.storage=zookeeper keeps both sides the same by
itself; these commands compare, move places once, and end it. With Apache Kafka they work as well.

Examples:
  catchword zk status
  catchword zk import billing --zookeeper old:2181
  catchword zk export billing --yes
  catchword zk cutover billing --yes"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the two sides.
    Status(status::Args),
    /// Put groups of the cluster where ZooKeeper has them; shows what would happen unless told --yes.
    Import(session::Copied),
    /// Put ZooKeeper's nodes where the cluster has the groups; shows what would happen unless told --yes.
    Export(session::Copied),
    /// Bring a group over for good: import what is missing, and mirror it no more.
    Cutover(cutover::Args),
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    match &args.command {
        Command::Status(args) => status::run(args, ui),
        Command::Import(args) => import::run(args, ui),
        Command::Export(args) => export::run(args, ui),
        Command::Cutover(args) => cutover::run(args, ui),
    }
}
