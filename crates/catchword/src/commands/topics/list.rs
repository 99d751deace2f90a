//! `catchword topics list`.

use catchword_client::{Client, Topic, TopicPartition};
use serde::Serialize;

use super::{id, places};
use crate::commands::distance;
use crate::failure::Failure;
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, Serialize)]
struct Listed {
    topic: String,
    id: Option<String>,
    internal: bool,
    partitions: usize,
    replicas: usize,
    records: i64,
}

pub(super) fn list(
    client: &mut Client,
    internal: bool,
    json: bool,
    ui: &mut Ui,
) -> Result<(), Failure> {
    let topics = client.topics()?;
    let topics: Vec<Topic> = topics
        .into_iter()
        .filter(|topic| internal || !topic.internal)
        .collect();
    let partitions: Vec<TopicPartition> = topics.iter().flat_map(places).collect();
    let bounds = distance::bounds(client, &partitions)?;
    let rows = topics.iter().map(|topic| Listed {
        topic: topic.name.clone(),
        id: id(topic),
        internal: topic.internal,
        partitions: topic.partitions.len(),
        replicas: topic
            .partitions
            .first()
            .map_or(0, |partition| partition.replicas.len()),
        records: places(topic)
            .filter_map(|p| bounds.get(&p))
            .map(|(start, end)| end - start)
            .sum(),
    });
    let rows: Vec<Listed> = rows.collect();
    if json {
        return ui.json(&rows);
    }
    if rows.is_empty() {
        ui.note("There is no topic yet; `catchword topics create NAME` makes one.");
        return Ok(());
    }
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("TOPIC", Align::Left),
        right("PARTITIONS"),
        right("REPLICAS"),
        right("RECORDS"),
    ]);
    for row in rows {
        let replicas = row.replicas.to_string();
        table.row(vec![
            row.topic,
            row.partitions.to_string(),
            replicas,
            count(row.records),
        ]);
    }
    ui.table(&table)
}
