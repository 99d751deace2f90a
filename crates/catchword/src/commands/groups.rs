//! `catchword groups`: all groups, their state, how far behind they are.

use std::collections::{BTreeMap, BTreeSet};

use catchword_client::{Client, GroupListing, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::args::Cluster;
use crate::commands::distance::{self, PartitionLag};
use crate::commands::kept::Kept;
use crate::failure::Failure;
use crate::plane::{self, Api};
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
KEPT says what is pinned (catchword pin), what expires soon (catchword keep), which groups are frozen
or forward-only (catchword protect), and for which ones retention waits (catchword hold).

JSON: a list of {group, state, kind, protocol_type, topics: [NAME], partitions, lag, lost,
expires_at_ms, expires_soon, holds_retention, pins: [*|TOPIC|TOPIC:PARTITION],
protection: null|forward-only|frozen}; lag is in records where the broker counts them (Catchword),
else in offsets; state and kind are null where the broker does not tell them.

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

/// All groups: with their records counted where the broker does that, else by what Kafka's own protocol tells.
pub(super) fn look(client: &mut Client, ui: &mut Ui) -> Result<Vec<Row>, Failure> {
    let listed = client.list_groups()?;
    match told(client) {
        Some(told) => Ok(counted(listed, told)),
        None => by_offsets(client, listed, ui),
    }
}

/// What the broker's JSON API tells of a group.
#[derive(Debug, Default, Deserialize)]
struct Told {
    group: String,
    lag: i64,
    lost: i64,
    partitions: Vec<Place>,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Debug, Deserialize)]
struct Place {
    topic: String,
}

/// `None` where the broker has no such API.
fn told(client: &mut Client) -> Option<Vec<Told>> {
    let document = Api::find(client)
        .and_then(|api| api.get("/v1/groups"))
        .ok()?;
    plane::read(&document["groups"]).ok()
}

fn counted(listed: Vec<GroupListing>, told: Vec<Told>) -> Vec<Row> {
    let told = told.into_iter().map(|told| (told.group.clone(), told));
    let mut told: BTreeMap<String, Told> = told.collect();
    let row = |group: GroupListing| {
        // One that was made at this very moment has nothing yet.
        let own = told.remove(&group.group).unwrap_or_default();
        Row {
            group: group.group,
            state: said(group.state),
            kind: said(group.kind),
            protocol_type: said(group.protocol_type),
            partitions: own.partitions.len(),
            topics: own
                .partitions
                .into_iter()
                .map(|place| place.topic)
                .collect(),
            lag: own.lag,
            lost: own.lost,
            kept: own.kept,
        }
    };
    listed.into_iter().map(row).collect()
}

fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn by_offsets(
    client: &mut Client,
    listed: Vec<GroupListing>,
    ui: &mut Ui,
) -> Result<Vec<Row>, Failure> {
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
    ui.progress_done();
    let rows = listed.into_iter().zip(committed).map(|(group, offsets)| {
        let lags = offsets
            .iter()
            .map(|(p, offset)| PartitionLag::new(p, Some(offset), bounds.get(p).copied()));
        let lags: Vec<PartitionLag> = lags.collect();
        Row {
            kept: Kept::default(),
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
