//! `catchword topics describe`.

use std::collections::BTreeMap;

use catchword_client::{Client, Resource, TopicPartition};
use serde::Serialize;

use super::{id, places};
use crate::commands::distance;
use crate::failure::Failure;
use crate::table::{Align, Table, count, records};
use crate::ui::Ui;

#[derive(Debug, Serialize)]
struct Described<'a> {
    topic: &'a str,
    id: Option<String>,
    internal: bool,
    partitions: Vec<DescribedPartition>,
    config: BTreeMap<&'a str, Option<&'a str>>,
}

#[derive(Debug, Serialize)]
struct DescribedPartition {
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    log_start: Option<i64>,
    end: Option<i64>,
}

pub(super) fn describe(
    client: &mut Client,
    name: &str,
    json: bool,
    ui: &mut Ui,
) -> Result<(), Failure> {
    let topic = client.topic(name, false)?;
    let bounds = distance::bounds(client, &places(&topic).collect::<Vec<_>>())?;
    let configs = client.describe_configs(&Resource::topic(name))?;
    let partition = |p: &catchword_client::Partition| {
        let bounds = bounds.get(&TopicPartition::new(name, p.index));
        DescribedPartition {
            partition: p.index,
            leader: (p.leader >= 0).then_some(p.leader),
            replicas: p.replicas.clone(),
            in_sync: p.in_sync.clone(),
            log_start: bounds.map(|(start, _)| *start),
            end: bounds.map(|(_, end)| *end),
        }
    };
    let described = Described {
        topic: name,
        id: id(&topic),
        internal: topic.internal,
        partitions: topic.partitions.iter().map(partition).collect(),
        config: configs
            .iter()
            .filter(|c| c.is_set())
            .map(|c| (c.name.as_str(), c.value.as_deref()))
            .collect(),
    };
    if json {
        return ui.json(&described);
    }
    let total: i64 = bounds.values().map(|(start, end)| end - start).sum();
    let id = described
        .id
        .map(|id| format!(" · id {id}"))
        .unwrap_or_default();
    let title = ui.bold(&format!("Topic {name}"));
    ui.line(format_args!("{title}  {}{id}", records(total)))?;
    ui.line("")?;
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        right("PARTITION"),
        right("LEADER"),
        ("REPLICAS", Align::Left),
        ("IN SYNC", Align::Left),
        right("LOG START"),
        right("END"),
    ]);
    for p in described.partitions {
        let numbers = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let number = |n: Option<i64>| n.map_or("-".into(), count);
        let leader = p.leader.map_or("none".into(), |id| id.to_string());
        let (replicas, in_sync) = (numbers(&p.replicas), numbers(&p.in_sync));
        table.row(vec![
            p.partition.to_string(),
            leader,
            replicas,
            in_sync,
            number(p.log_start),
            number(p.end),
        ]);
    }
    ui.table(&table)?;
    if !described.config.is_empty() {
        ui.line("")?;
        for (key, value) in described.config {
            ui.line(format_args!("{key}={}", value.unwrap_or("(hidden)")))?;
        }
    }
    Ok(())
}
