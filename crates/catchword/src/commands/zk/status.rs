//! `catchword zk status`: where the two sides are, and where they differ.

use std::collections::BTreeSet;

use serde::Serialize;

use super::session::{Sides, ours, theirs};
use crate::failure::Failure;
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The groups; all that ZooKeeper has, unless named.
    groups: Vec<String>,
    #[command(flatten)]
    sides: Sides,
}

/// One bookmark on both sides. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    group: String,
    topic: String,
    partition: i32,
    zookeeper: Option<i64>,
    kafka: Option<i64>,
    cut_over: bool,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let (mut client, session) = args.sides.connect()?;
    let scan = session.scan()?;
    let theirs = theirs(&scan, &args.groups);
    let groups: BTreeSet<String> = theirs.keys().chain(&args.groups).cloned().collect();
    let ours = ours(&mut client, &groups)?;
    let mut rows = Vec::new();
    for group in &groups {
        let (zookeeper, kafka) = (theirs.get(group), ours.get(group));
        let partitions = zookeeper.into_iter().chain(kafka).flat_map(|o| o.keys());
        for partition in partitions.collect::<BTreeSet<_>>() {
            rows.push(Row {
                group: group.clone(),
                topic: partition.topic.clone(),
                partition: partition.partition,
                zookeeper: zookeeper.and_then(|o| o.get(partition)).copied(),
                kafka: kafka.and_then(|o| o.get(partition)).copied(),
                cut_over: scan.cut_over.contains(group),
            });
        }
    }
    if args.sides.json {
        return ui.json(&rows);
    }
    for path in &scan.odd {
        ui.warn(format_args!(
            "{path} is no committed offset of Kafka 0.8 or later, and is left alone"
        ));
    }
    if rows.is_empty() {
        return ui.line("ZooKeeper has no committed offsets below /consumers.");
    }
    ui.table(&table(&rows))?;
    let differ = rows
        .iter()
        .filter(|r| !r.cut_over && r.zookeeper != r.kafka)
        .count();
    ui.line(match differ {
        0 => "Both sides are the same.".to_owned(),
        _ => format!(
            "{} of {} differ.",
            count(differ as i64),
            count(rows.len() as i64)
        ),
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        ("GROUP", Align::Left),
        ("PARTITION", Align::Left),
        ("ZOOKEEPER", Align::Right),
        ("KAFKA", Align::Right),
        ("DIFFERENCE", Align::Left),
    ]);
    let place = |offset: Option<i64>| offset.map_or("-".into(), count);
    for row in rows {
        table.row(vec![
            row.group.clone(),
            format!("{}:{}", row.topic, row.partition),
            place(row.zookeeper),
            place(row.kafka),
            words(row),
        ]);
    }
    table
}

fn words(row: &Row) -> String {
    match (row.zookeeper, row.kafka) {
        _ if row.cut_over => "cut over, not mirrored".into(),
        (Some(zookeeper), Some(kafka)) if zookeeper == kafka => "none".into(),
        (Some(zookeeper), Some(kafka)) if zookeeper > kafka => {
            format!("ZooKeeper is {} ahead", count(zookeeper - kafka))
        }
        (Some(zookeeper), Some(kafka)) => format!("Kafka is {} ahead", count(kafka - zookeeper)),
        (Some(_), None) => "only in ZooKeeper".into(),
        (None, _) => "only in Kafka".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_reads_as_who_is_ahead() {
        let said = |zookeeper, kafka, cut_over| {
            words(&Row {
                group: "g".into(),
                topic: "t".into(),
                partition: 0,
                zookeeper,
                kafka,
                cut_over,
            })
        };
        assert_eq!(said(Some(5), Some(5), false), "none");
        assert_eq!(
            said(Some(1_500), Some(5), false),
            "ZooKeeper is 1,495 ahead"
        );
        assert_eq!(said(Some(5), Some(7), false), "Kafka is 2 ahead");
        assert_eq!(said(Some(5), None, false), "only in ZooKeeper");
        assert_eq!(said(None, Some(5), false), "only in Kafka");
        assert_eq!(said(Some(5), Some(7), true), "cut over, not mirrored");
    }
}
