//! DescribeLogDirs (35): where the partitions' files are and how large they are.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;
use catchword_wire::messages::describe_log_dirs_request::DescribableLogDirTopic;
use catchword_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use catchword_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};

pub(crate) fn handle(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> Outcome<DescribeLogDirsResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        let results = blocking(move || vec![describe(&broker, &request)])
            .await
            .unwrap_or_default();
        DescribeLogDirsResponse {
            results,
            ..DescribeLogDirsResponse::default()
        }
    })
}

fn describe(broker: &Broker, request: &DescribeLogDirsRequest) -> DescribeLogDirsResult {
    let indexes = |t: &DescribableLogDirTopic| t.partitions.iter().copied().collect();
    let wanted: Option<BTreeMap<&Str, BTreeSet<i32>>> = request
        .topics
        .as_ref()
        .map(|topics| topics.iter().map(|t| (&t.topic, indexes(t))).collect());
    let mut topics = Vec::new();
    for topic in broker.catalog.topics() {
        let indexes = match &wanted {
            None => None,
            Some(wanted) => match wanted.get(&topic.name) {
                Some(indexes) => Some(indexes),
                None => continue,
            },
        };
        let described = topic
            .partitions
            .iter()
            .filter(|p| indexes.is_none_or(|i| i.contains(&p.tp.partition)));
        let partitions: Vec<_> = described
            .map(|p| DescribeLogDirsPartition {
                partition_index: p.tp.partition,
                partition_size: i64::try_from(p.log.size_bytes()).unwrap_or(i64::MAX),
                ..DescribeLogDirsPartition::default()
            })
            .collect();
        if !partitions.is_empty() {
            topics.push(DescribeLogDirsTopic {
                name: topic.name.clone(),
                partitions,
            });
        }
    }
    let storage = broker.engine.describe();
    DescribeLogDirsResult {
        log_dir: Str::from(storage.directory.display().to_string()),
        topics,
        total_bytes: storage.total_bytes,
        usable_bytes: storage.usable_bytes,
        ..DescribeLogDirsResult::default()
    }
}
