//! `catchword trash`: deleted and expired offsets that can be put back.

use serde::Deserialize;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::plane::{Api, By, kind_words, read, when};
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
JSON: {since_ms, groups: [{group, at_ms, kind, change, by, topics: [NAME], offsets, restorable}]}

Examples:
  catchword trash
  catchword restore billing")]
pub(crate) struct Args {
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct Gone {
    group: String,
    at_ms: i64,
    kind: String,
    by: By,
    topics: Vec<String>,
    offsets: i64,
    restorable: i64,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let document = api.get("/v1/trash")?;
    if args.json {
        return ui.json(&document);
    }
    let groups: Vec<Gone> = read(&document["groups"])?;
    if groups.is_empty() {
        ui.note("The trash is empty: no committed offsets were deleted or have expired.");
        return Ok(());
    }
    let mut table = Table::new(&[
        ("GROUP", Align::Left),
        ("WHEN", Align::Left),
        ("WHAT", Align::Left),
        ("OFFSETS", Align::Right),
        ("TOPICS", Align::Left),
        ("BY", Align::Left),
    ]);
    for gone in groups {
        let offsets = if gone.restorable == gone.offsets {
            count(gone.offsets)
        } else {
            format!("{} of {}", count(gone.restorable), count(gone.offsets))
        };
        table.row(vec![
            gone.group,
            when(gone.at_ms),
            kind_words(&gone.kind).into(),
            offsets,
            gone.topics.join(", "),
            gone.by.words(),
        ]);
    }
    ui.table(&table)?;
    ui.note("\n`catchword restore GROUP` shows what would be put back.");
    Ok(())
}
