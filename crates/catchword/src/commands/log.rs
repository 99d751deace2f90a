//! `catchword log`: what was done to a group's committed offsets, by whom, from where to where.

use serde::Deserialize;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, changes, read, when};
use crate::table::{Align, Table, size};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Newest first. Every change that somebody meant is kept for 30 days; of plain commits all of the last
hour, then the last of each minute for a day, then the last of each hour (the keys offsets.history.*).

JSON: {changes: [{id, group, at_ms, kind, by: {client_id, host, member_id, principal}, undoes,
  removes_group, moves: [{topic, partition, from, to}]}]}

Examples:
  catchword log billing
  catchword log billing --commits --moves
  catchword log billing --json | jq -r '.changes[] | select(.kind == \"reset\") | .by.client_id'")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// Plain commits too.
    #[arg(long)]
    commits: bool,
    /// A line for each partition.
    #[arg(long)]
    moves: bool,
    /// How many changes at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let document = api.get(&format!(
        "/v1/groups/{}/log?limit={}&commits={}",
        encoded(&args.group),
        args.limit,
        args.commits
    ))?;
    if args.json {
        return ui.json(&document);
    }
    let changes = changes(&document)?;
    if changes.is_empty() {
        ui.note(format_args!(
            "Nobody has meddled with group {:?}: it has only read on. --commits shows its commits.",
            args.group
        ));
        return Ok(());
    }
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("WHAT", Align::Left),
        ("PLACES", Align::Left),
        ("BY", Align::Left),
        ("CHANGE", Align::Left),
    ]);
    for change in &changes {
        let id = if change.kind == "commit" {
            String::new()
        } else {
            change.id.clone()
        };
        if !args.moves {
            let cells = [
                when(change.at_ms),
                change.what(),
                change.summary(),
                change.by.words(),
                id,
            ];
            table.row(cells.into());
            continue;
        }
        for (at, m) in change.moves.iter().enumerate() {
            let places = format!("{}  {}", m.name(), m.places());
            table.row(match at {
                0 => vec![
                    when(change.at_ms),
                    change.what(),
                    places,
                    change.by.words(),
                    id.clone(),
                ],
                _ => vec![
                    String::new(),
                    String::new(),
                    places,
                    String::new(),
                    String::new(),
                ],
            });
        }
    }
    ui.table(&table)?;
    if changes.iter().any(|change| change.kind != "commit") {
        ui.note("\n`catchword undo CHANGE` shows what taking a change back would do.");
    }
    let history = api
        .get("/v1/history")
        .and_then(|told| read::<History>(&told));
    if let Ok(history) = history {
        ui.note(history.words());
    }
    Ok(())
}

/// What the history of all groups takes, as the broker tells it.
#[derive(Debug, Deserialize)]
struct History {
    bytes: u64,
    max_partition_bytes: u64,
    partitions: Vec<PartitionBytes>,
}

#[derive(Debug, Deserialize)]
struct PartitionBytes {
    bytes: u64,
}

impl History {
    fn words(&self) -> String {
        let largest = self
            .partitions
            .iter()
            .map(|partition| partition.bytes)
            .max();
        format!(
            "The past of all groups takes {}; {} in the fullest partition, of at most {} (offsets.history.max.bytes).",
            size(self.bytes),
            size(largest.unwrap_or(0)),
            size(self.max_partition_bytes)
        )
    }
}
