//! OffsetFetch (9): where groups stand. From version 8 for many groups at once (KIP-709), from 10 with topic ids.

use catchword_coordinator::{Call as GroupCall, OffsetFetchCall, Reply};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use catchword_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::distinct::distinct;
use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::Outcome;

/// First version with many groups.
const MANY: i16 = 8;
/// First version in which topics are named by their ids.
const BY_ID: i16 = 10;

pub(crate) fn handle(call: &Call, mut request: OffsetFetchRequest) -> Outcome<OffsetFetchResponse> {
    if call.version < MANY {
        return single(call, request);
    }
    distinct(&mut request.groups, |group| group.group_id.clone());
    let require_stable = request.require_stable;
    let mut groups: Vec<Outcome<OffsetFetchResponseGroup>> = request
        .groups
        .into_iter()
        .map(|group| fetch(call, group, require_stable))
        .collect();
    // One group, answered at once: the way of nearly every request.
    if let [Outcome::Now(_)] = groups.as_slice()
        && let Some(Outcome::Now(group)) = groups.pop()
    {
        return Outcome::Now(OffsetFetchResponse {
            groups: vec![group],
            ..OffsetFetchResponse::default()
        });
    }
    Outcome::later(async move {
        let mut response = OffsetFetchResponse::default();
        for group in groups {
            response.groups.extend(group.get().await);
        }
        response
    })
}

/// The form before version 8: one group, its topics at the top.
fn single(call: &Call, request: OffsetFetchRequest) -> Outcome<OffsetFetchResponse> {
    let topics = request.topics.map(|topics| {
        let topic = |t: catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: t.name,
                partition_indexes: t.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            }
        };
        topics.into_iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    let asked = if call.version < 2 {
        group.topics.clone()
    } else {
        None
    };
    let version = call.version;
    fetch(call, group, request.require_stable).map(move |group| {
        let mut topics = group.topics;
        // Version 1 has no place for the group's error but in each partition.
        if group.error_code != 0 {
            topics = failed(asked.unwrap_or_default(), group.error_code);
        }
        let partition = |p: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
            partition_index: p.partition_index,
            committed_offset: p.committed_offset,
            committed_leader_epoch: p.committed_leader_epoch,
            metadata: p.metadata,
            // Clients of that age know of no other way to hear that there is none.
            error_code: match (version, p.committed_offset, p.error_code) {
                (0, -1, 0) => ErrorCode::UnknownTopicOrPartition.code(),
                (.., error) => error,
            },
        };
        let topic = |t: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
            name: t.name,
            partitions: t.partitions.into_iter().map(partition).collect(),
        };
        OffsetFetchResponse {
            topics: topics.into_iter().map(topic).collect(),
            error_code: group.error_code,
            ..OffsetFetchResponse::default()
        }
    })
}

/// One group's bookmarks.
fn fetch(
    call: &Call,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> Outcome<OffsetFetchResponseGroup> {
    if let Some(topics) = &mut group.topics {
        distinct(topics, |topic| (topic.name.clone(), topic.topic_id));
        for topic in topics {
            distinct(&mut topic.partition_indexes, |index| *index);
        }
    }
    let mut unknown = Vec::new();
    let everything = group.topics.is_none();
    if call.version >= BY_ID
        && let Some(topics) = &mut group.topics
    {
        topics.retain_mut(
            |topic| match call.broker.catalog.topic_by_id(topic.topic_id) {
                Some(found) => {
                    topic.name = found.name.clone();
                    true
                }
                None => {
                    unknown.push(std::mem::take(topic));
                    false
                }
            },
        );
    }
    let group_id = group.group_id.clone();
    let broker = call.broker.clone();
    let by_id = call.version >= BY_ID;
    let ask = OffsetFetchCall {
        group,
        require_stable,
    };
    call.broker
        .groups
        .call(call, GroupCall::OffsetFetch(ask))
        .map(move |reply| {
            let mut found = match reply {
                Some(Reply::OffsetFetch(found)) => found,
                _ => OffsetFetchResponseGroup {
                    group_id,
                    error_code: ErrorCode::CoordinatorNotAvailable.code(),
                    ..OffsetFetchResponseGroup::default()
                },
            };
            if by_id && everything {
                put_ids(&broker, &mut found.topics);
            }
            if found.error_code == 0 {
                found
                    .topics
                    .extend(failed(unknown, ErrorCode::UnknownTopicId.code()));
            }
            found
        })
}

/// All bookmarks of a group, in a version that names topics by id: those of topics that are gone have none.
fn put_ids(broker: &Broker, topics: &mut Vec<OffsetFetchResponseTopics>) {
    topics.retain_mut(|topic| match broker.catalog.topic(&topic.name) {
        Some(found) => {
            topic.topic_id = found.id;
            true
        }
        None => false,
    });
}

fn failed(
    topics: Vec<OffsetFetchRequestTopics>,
    error_code: i16,
) -> Vec<OffsetFetchResponseTopics> {
    let partition = |partition_index: &i32| OffsetFetchResponsePartitions {
        partition_index: *partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::EMPTY),
        error_code,
    };
    let topic = |t: OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        partitions: t.partition_indexes.iter().map(partition).collect(),
        name: t.name,
        topic_id: if t.topic_id.is_zero() {
            Uuid::ZERO
        } else {
            t.topic_id
        },
    };
    topics.into_iter().map(topic).collect()
}
