//! `catchword export`: committed offsets as a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::args::Cluster;
use crate::commands::offsets_file::{Bookmark, Form, write};
use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The forms: csv is that of kafka-consumer-groups --export and --from-file: topic,partition,offset for
one group, group,topic,partition,offset for several. zookeeper is that of Kafka's old
ExportZkOffsets: /consumers/GROUP/offsets/TOPIC/PARTITION:OFFSET.

JSON: [{group, topic, partition, offset}]; import reads the other forms.

Examples:
  catchword export billing > billing.csv
  catchword export --all --output offsets.csv
  catchword export billing --form zookeeper")]
pub(crate) struct Args {
    /// The groups.
    #[arg(required_unless_present = "all")]
    groups: Vec<String>,
    /// All groups.
    #[arg(long, conflicts_with = "groups")]
    all: bool,
    /// How the file is written.
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    form: Form,
    /// The file; standard output without it.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// JSON for scripts.
    #[arg(long, conflicts_with_all = ["form", "output"])]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let groups: BTreeSet<String> = match args.all {
        true => client.list_groups()?.into_iter().map(|g| g.group).collect(),
        false => args.groups.iter().cloned().collect(),
    };
    let mut bookmarks = Vec::new();
    for group in &groups {
        let committed = client.committed(group, None)?;
        if committed.is_empty() && !args.all {
            return Err(Failure::failed(format!(
                "group {group:?} has committed no offsets; `catchword groups` lists the groups there are, `catchword trash` those that were deleted"
            )));
        }
        bookmarks.extend(
            committed
                .into_iter()
                .map(|(partition, committed)| Bookmark {
                    group: Some(group.clone()),
                    partition,
                    offset: committed.offset,
                }),
        );
    }
    if args.json {
        let document: Vec<_> = bookmarks.iter().map(document).collect();
        return ui.json(&document);
    }
    let text = write(&bookmarks, args.form)?;
    match &args.output {
        None => ui.bytes(text.as_bytes()),
        Some(path) => {
            fs::write(path, text).map_err(|error| Failure::file(path, &error))?;
            let (offsets, path) = (bookmarks.len(), path.display());
            ui.note(format_args!(
                "{offsets} offsets of {} groups are in {path}.",
                groups.len()
            ));
            Ok(())
        }
    }
}

fn document(bookmark: &Bookmark) -> serde_json::Value {
    serde_json::json!({
        "group": bookmark.group,
        "topic": bookmark.partition.topic,
        "partition": bookmark.partition.partition,
        "offset": bookmark.offset,
    })
}
