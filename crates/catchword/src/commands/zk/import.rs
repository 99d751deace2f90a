//! `catchword zk import`: groups of the cluster are put where ZooKeeper has them. A change as any other: it can be undone.

use super::session::{Zookeeper, theirs};
use crate::args::Cluster;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The groups.
    #[arg(required_unless_present = "all")]
    groups: Vec<String>,
    /// All groups that ZooKeeper has.
    #[arg(long, conflicts_with = "groups")]
    all: bool,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zookeeper: Zookeeper,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let scan = args.zookeeper.connect(&mut client)?.scan()?;
    let theirs = theirs(&scan, &args.groups);
    if let Some(missing) = args
        .groups
        .iter()
        .find(|group| !theirs.contains_key(*group))
    {
        return Err(Failure::failed(format!(
            "ZooKeeper has no committed offsets of group {missing:?}; `catchword zk status` lists those it has. Nothing was changed."
        )));
    }
    let mut plans = Vec::new();
    for (group, offsets) in theirs {
        let target = |(partition, offset)| (partition, Target::at(offset));
        let targets: Targets = offsets.into_iter().map(target).collect();
        plans.push(Plan::new(&mut client, &group, &targets)?);
    }
    let how = How {
        yes: args.yes,
        live: false,
        json: args.json,
    };
    carry_out(&mut client, &plans, how, ui)
}
