//! `catchword skip`: moves a group past records that it cannot digest.

use std::time::Duration;

use catchword_client::{Client, FetchFrom, FetchOptions, TopicPartition};

use crate::args::Cluster;
use crate::commands::distance;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out, words};
use crate::failure::Failure;
use crate::place::Partitions;
use crate::table::{Align, Table, count};
use crate::ui::Ui;

/// More is not skipping any more, but moving: see `rewind --to`.
const MOST: u64 = 1000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It shows the records that would be skipped, and what comes after them. Records that transactions
took back, and what is no record at all, do not count.

JSON: as of catchword rewind.

Examples:
  catchword skip billing orders:3
  catchword skip billing orders:3 --records 5 --yes")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// The partition: TOPIC:N.
    #[arg(value_name = "TOPIC:PARTITION")]
    partition: Partitions,
    /// How many records, 1000 at most.
    #[arg(long, short = 'n', default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=MOST))]
    records: u64,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

/// A record that is skipped.
struct Skipped {
    offset: i64,
    record: String,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let Some(&[number]) = args.partition.only.as_deref() else {
        return Err(Failure::Usage(format!(
            "one partition is wanted: {}:0",
            args.partition.topic
        )));
    };
    let mut client = args.cluster.connect()?;
    client.topic(&args.partition.topic, false)?;
    let partition = TopicPartition::new(&args.partition.topic, number);
    let committed = client.committed(&args.group, Some(std::slice::from_ref(&partition)))?;
    let Some(now) = committed.get(&partition) else {
        return Err(Failure::failed(format!(
            "group {:?} has no place in {partition}; `catchword show {}` has those that there are",
            args.group, args.group
        )));
    };
    let (start, end) = distance::bounds(&mut client, std::slice::from_ref(&partition))?
        .remove(&partition)
        .ok_or_else(|| Failure::failed(format!("there is no partition {partition}")))?;
    let from = now.offset.max(start);
    let skipped = next_records(&mut client, &partition, from..end, args.records)?;
    let Some(last) = skipped.last() else {
        return Err(Failure::failed(format!(
            "there is no record to skip: group {:?} is at the end of {partition}",
            args.group
        )));
    };
    if !args.how.json {
        show(&skipped, args.how.yes, ui)?;
    }
    let target = Target {
        metadata: now.metadata.clone(),
        ..Target::at(last.offset + 1)
    };
    let plan = Plan::new(
        &mut client,
        &args.group,
        &Targets::from([(partition, target)]),
    )?;
    carry_out(&mut client, &[plan], args.how, ui)
}

/// The first records in a range of offsets.
fn next_records(
    client: &mut Client,
    partition: &TopicPartition,
    range: std::ops::Range<i64>,
    most: u64,
) -> Result<Vec<Skipped>, Failure> {
    let options = FetchOptions {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 1 << 20,
        read_committed: true,
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut next = range.start;
    while next < range.end && found.len() < most {
        let from = FetchFrom {
            partition: partition.clone(),
            offset: next,
        };
        let mut went_on = false;
        for fetched in client.fetch(&[from], options)? {
            let records = fetched.records.iter().filter(|r| r.offset >= next);
            found.extend(records.map(|record| Skipped {
                offset: record.offset,
                record: words(record),
            }));
            went_on |= fetched.next_offset > next;
            next = next.max(fetched.next_offset);
        }
        // An open transaction: what comes after is not to be had yet.
        if !went_on {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}

fn show(skipped: &[Skipped], done: bool, ui: &mut Ui) -> Result<(), Failure> {
    let what = if done { "SKIPPED" } else { "WOULD BE SKIPPED" };
    let mut table = Table::new(&[("OFFSET", Align::Right), (what, Align::Left)]);
    for record in skipped {
        table.row(vec![count(record.offset), record.record.clone()]);
    }
    ui.table(&table)?;
    ui.line("")
}
