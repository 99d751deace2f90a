//! `catchword zk export`: ZooKeeper's nodes are put where the cluster has the groups.

use catchword_zookeeper::Place;
use catchword_zookeeper::store::{Scan, Write};
use serde::Serialize;

use super::session::{Copied, Offsets, ours};
use crate::failure::Failure;
use crate::table::{Align, Table, count};
use crate::ui::Ui;

/// One node. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Change {
    node: String,
    now: Option<i64>,
    then: i64,
    #[serde(skip)]
    version: Option<i32>,
}

pub(super) fn run(args: &Copied, ui: &mut Ui) -> Result<(), Failure> {
    let (mut client, session) = args.sides.connect()?;
    let groups = match args.all {
        true => client.list_groups()?.into_iter().map(|g| g.group).collect(),
        false => args.groups.iter().cloned().collect(),
    };
    let changes = changes(&ours(&mut client, &groups)?, &session.scan()?)?;
    if args.yes {
        let write = |change: &Change| Write {
            path: change.node.clone(),
            data: change.then.to_string(),
            version: change.version,
        };
        session.write(&changes.iter().map(write).collect::<Vec<_>>())?;
    }
    if args.sides.json {
        return ui.json(&changes);
    }
    if changes.is_empty() {
        return ui.line("ZooKeeper has all of it already.");
    }
    let mut table = Table::new(&[
        ("NODE", Align::Left),
        ("NOW", Align::Right),
        ("THEN", Align::Right),
    ]);
    for change in &changes {
        let now = change.now.map_or("-".into(), count);
        table.row(vec![change.node.clone(), now, count(change.then)]);
    }
    ui.table(&table)?;
    if !args.yes {
        ui.note("Nothing was changed; --yes does it.");
        return Ok(());
    }
    ui.line(ui.green("Done."))?;
    ui.note("To put it back, in ZooKeeper's own command line:");
    for Change { node, now, .. } in &changes {
        match now {
            Some(offset) => ui.note(format_args!("  set {node} {offset}")),
            None => ui.note(format_args!("  delete {node}")),
        }
    }
    Ok(())
}

/// What differs.
///
/// # Errors
/// If a name has no place in a path of ZooKeeper's.
fn changes(ours: &Offsets, scan: &Scan) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for (group, offsets) in ours {
        for (partition, offset) in offsets {
            let place = Place {
                group: group.clone(),
                topic: partition.topic.clone(),
                partition: partition.partition,
            };
            let node = place.node().ok_or_else(|| {
                Failure::failed(format!(
                    "group {group:?} can have no node in ZooKeeper: its name does not fit a path. Nothing was changed."
                ))
            })?;
            let found = scan.nodes.get(&place).map(|found| found.node);
            let now = found.and_then(|node| node.offset);
            if now != Some(*offset) {
                changes.push(Change {
                    node,
                    now,
                    then: *offset,
                    version: found.map(|node| node.version),
                });
            }
        }
    }
    Ok(changes)
}
