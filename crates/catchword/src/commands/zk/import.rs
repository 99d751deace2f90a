//! `catchword zk import`: groups of the cluster are put where ZooKeeper has them. A change as any other: it can be undone.

use super::session::{Copied, theirs};
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::ui::Ui;

pub(super) fn run(args: &Copied, ui: &mut Ui) -> Result<(), Failure> {
    let (mut client, session) = args.sides.connect()?;
    let scan = session.scan()?;
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
        json: args.sides.json,
    };
    carry_out(&mut client, &plans, how, ui)
}
