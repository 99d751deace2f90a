//! DescribeShareGroupOffsets (90): where share groups are, and how much is before them.

use std::collections::BTreeMap;

use catchword_coordinator::share::ShareKey;
use catchword_log::ReadLimit;
use catchword_wire::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use catchword_wire::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use catchword_wire::messages::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
};
use catchword_wire::{Str, Uuid};

use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::share::partition_of;

/// The group has not begun there.
const NOWHERE: i64 = -1;

pub(crate) fn handle(
    call: &Call,
    request: DescribeShareGroupOffsetsRequest,
) -> Outcome<DescribeShareGroupOffsetsResponse> {
    let groups = request.groups.into_iter();
    Outcome::Now(DescribeShareGroupOffsetsResponse {
        groups: groups.map(|group| describe(&call.broker, group)).collect(),
        ..DescribeShareGroupOffsetsResponse::default()
    })
}

fn describe(
    broker: &Broker,
    group: DescribeShareGroupOffsetsRequestGroup,
) -> DescribeShareGroupOffsetsResponseGroup {
    let mut wanted: BTreeMap<Str, Vec<i32>> = BTreeMap::new();
    match group.topics {
        Some(topics) => {
            for topic in topics {
                wanted
                    .entry(topic.topic_name)
                    .or_default()
                    .extend(topic.partitions);
            }
        }
        None => {
            for key in broker.shares.keys_of(&group.group_id) {
                if let Some(topic) = broker.catalog.topic_by_id(key.topic_id) {
                    wanted
                        .entry(topic.name.clone())
                        .or_default()
                        .push(key.partition);
                }
            }
        }
    }
    let topics = wanted.into_iter().map(|(topic_name, partitions)| {
        let topic_id = broker
            .catalog
            .topic(&topic_name)
            .map_or(Uuid::ZERO, |topic| topic.id);
        let one = |partition_index: i32| {
            let key = ShareKey {
                group_id: group.group_id.clone(),
                topic_id,
                partition: partition_index,
            };
            place(broker, &key)
        };
        DescribeShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id,
            partitions: partitions.into_iter().map(one).collect(),
        }
    });
    DescribeShareGroupOffsetsResponseGroup {
        topics: topics.collect(),
        group_id: group.group_id.clone(),
        ..DescribeShareGroupOffsetsResponseGroup::default()
    }
}

fn place(broker: &Broker, key: &ShareKey) -> DescribeShareGroupOffsetsResponsePartition {
    let shard = broker.shares.shard(key);
    let state = shard
        .and_then(|shard| shard.look(|state| state.get(key).map(|p| (p.start(), p.completed()))));
    let mut answer = DescribeShareGroupOffsetsResponsePartition {
        partition_index: key.partition,
        start_offset: NOWHERE,
        lag: -1,
        ..DescribeShareGroupOffsetsResponsePartition::default()
    };
    if let (Some((start, completed)), Some(partition)) = (state, partition_of(&broker.catalog, key))
    {
        answer.start_offset = start;
        answer.leader_epoch = partition.leader_epoch;
        if start != NOWHERE {
            let end = partition.log.offsets().limit(ReadLimit::HighWatermark);
            answer.lag = (end - start - completed).max(0);
        }
    }
    answer
}
