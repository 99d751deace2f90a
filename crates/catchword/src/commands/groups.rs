//! `catchword groups`: all groups, their state, how far behind they are.

use std::collections::BTreeSet;

use catchword_client::{Client, TopicPartition};
use serde::Serialize;

use crate::args::Cluster;
use crate::commands::distance::{self, PartitionLag};
use crate::commands::kept::{self, Kept};
use crate::failure::Failure;
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
KEPT says what is pinned (catchword pin), and what expires soon (catchword keep).

JSON: a list of {group, state, kind, protocol_type, topics: [NAME], partitions, lag, lost,
expires_at_ms, expires_soon, holds_retention, pins: [*|TOPIC|TOPIC:PARTITION]}; lag is in offsets; state and kind are
null where the broker does not tell them.

Examples:
  catchword groups
  catchword groups --json | jq -r '.[] | select(.lag > 1000) | .group'")]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
}

/// A group in the list. The field names are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) group: String,
    pub(super) state: Option<String>,
    kind: Option<String>,
    protocol_type: Option<String>,
    topics: BTreeSet<String>,
    partitions: usize,
    pub(super) lag: i64,
    pub(super) lost: i64,
    #[serde(flatten)]
    kept: Kept,
}

/// All groups, by what Kafka's own protocol tells.
pub(super) fn look(client: &mut Client, ui: &mut Ui) -> Result<Vec<Row>, Failure> {
    let listed = client.list_groups()?;
    let mut committed = Vec::with_capacity(listed.len());
    for (at, group) in listed.iter().enumerate() {
        ui.progress(format_args!("group {} of {}", at + 1, listed.len()));
        committed.push(client.committed(&group.group, None)?);
    }
    let partitions: BTreeSet<&TopicPartition> = committed
        .iter()
        .flat_map(|offsets| offsets.keys())
        .collect();
    let partitions: Vec<TopicPartition> = partitions.into_iter().cloned().collect();
    let bounds = distance::bounds(client, &partitions)?;
    let mut kept = kept::of_all(client);
    ui.progress_done();
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let rows = listed.into_iter().zip(committed).map(|(group, offsets)| {
        let lags = offsets
            .iter()
            .map(|(p, offset)| PartitionLag::new(p, Some(offset), bounds.get(p).copied()));
        let lags: Vec<PartitionLag> = lags.collect();
        Row {
            kept: kept.remove(&group.group).unwrap_or_default(),
            group: group.group,
            state: said(group.state),
            kind: said(group.kind),
            protocol_type: said(group.protocol_type),
            topics: lags.iter().map(|lag| lag.topic.clone()).collect(),
            partitions: lags.len(),
            lag: lags.iter().filter_map(|lag| lag.lag).sum(),
            lost: lags.iter().map(|lag| lag.lost).sum(),
        }
    });
    Ok(rows.collect())
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let rows = look(&mut client, ui)?;
    if args.json {
        return ui.json(&rows);
    }
    if rows.is_empty() {
        ui.note("There is no group yet; `catchword consume TOPIC --group NAME` makes one.");
        return Ok(());
    }
    let any_kept = rows.iter().any(|row| !row.kept.words().is_empty());
    let mut head = vec![
        ("GROUP", Align::Left),
        ("STATE", Align::Left),
        ("KIND", Align::Left),
        ("BEHIND", Align::Right),
        ("LOST", Align::Right),
        ("TOPICS", Align::Left),
    ];
    if any_kept {
        head.push(("KEPT", Align::Left));
    }
    let mut table = Table::new(&head);
    for row in rows {
        let words = row.kept.words();
        let behind = if row.partitions == 0 {
            "-".into()
        } else {
            count(row.lag)
        };
        let mut cells = vec![
            row.group,
            row.state.unwrap_or_default(),
            row.kind.unwrap_or_default(),
            behind,
            if row.lost == 0 {
                String::new()
            } else {
                count(row.lost)
            },
            row.topics.into_iter().collect::<Vec<_>>().join(", "),
        ];
        if any_kept {
            cells.push(words);
        }
        table.row(cells);
    }
    ui.table(&table)
}
