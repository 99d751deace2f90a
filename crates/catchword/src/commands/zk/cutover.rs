//! `catchword zk cutover`: a group is brought over for good, and its nodes are left as they are.
//!
//! What ZooKeeper has and the cluster has not, or is behind of, is imported, as old consumers took the greater of the two
//! (`dual.commit.enabled`). Then a node beside the group's others says that it has moved, and brokers mirror it no more.

use catchword_zookeeper::path;
use catchword_zookeeper::store::Write;

use super::session::{Zookeeper, ours, theirs};
use crate::args::Cluster;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// Take it back: the group is mirrored again.
    #[arg(long)]
    back: bool,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    zookeeper: Zookeeper,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let group = &args.group;
    let mut client = args.cluster.connect()?;
    let session = args.zookeeper.connect(&mut client)?;
    let marker = path::cut_over(group)
        .ok_or_else(|| Failure::failed(format!("group {group:?} can have no node in ZooKeeper")))?;
    let is_cut_over = session.exists(&marker)?;
    if is_cut_over != args.back {
        return ui.line(match args.back {
            true => format!("Group {group} is mirrored: it was not cut over."),
            false => format!("Group {group} is cut over already."),
        });
    }
    if args.back {
        if args.yes {
            session.remove(&marker)?;
            return ui.line(format_args!("Group {group} is mirrored again."));
        }
        ui.line(format_args!("Group {group} would be mirrored again."))?;
        ui.note("Nothing was changed; --yes does it.");
        return Ok(());
    }
    let theirs = theirs(&session.scan()?, std::slice::from_ref(group));
    let Some(theirs) = theirs.get(group) else {
        return Err(Failure::failed(format!(
            "ZooKeeper has no committed offsets of group {group:?}: there is nothing to bring over"
        )));
    };
    let ours = ours(&mut client, &[group.clone()].into())?;
    let ours = ours.get(group);
    let is_ahead = |(partition, offset): &(&_, &i64)| {
        let own = ours.and_then(|ours| ours.get(*partition));
        own.is_none_or(|own| own < *offset)
    };
    let target = |(partition, offset): (&catchword_client::TopicPartition, &i64)| {
        (partition.clone(), Target::at(*offset))
    };
    let targets: Targets = theirs.iter().filter(is_ahead).map(target).collect();
    if targets.is_empty() {
        ui.line(format_args!(
            "Nothing to import: the cluster is where ZooKeeper is, or further."
        ))?;
    } else {
        let plan = Plan::new(&mut client, group, &targets)?;
        let how = How {
            yes: args.yes,
            live: false,
            json: false,
        };
        carry_out(&mut client, &[plan], how, ui)?;
    }
    if !args.yes {
        ui.note(format_args!(
            "Group {group} would not be mirrored any more; --yes does it."
        ));
        return Ok(());
    }
    session.write(&[Write {
        path: marker,
        data: "moved to Catchword".into(),
        version: None,
    }])?;
    ui.line(format_args!(
        "Group {group} is cut over: it is not mirrored any more."
    ))?;
    ui.note(format_args!(
        "To mirror it again: catchword zk cutover {group} --back --yes"
    ));
    Ok(())
}
