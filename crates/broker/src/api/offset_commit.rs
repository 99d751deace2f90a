//! OffsetCommit (8): a group's places are written down; answered when they are durable.
//!
//! Topics and partitions that do not exist are answered here (C1), the rest by the group's shard.

use std::sync::Arc;
use std::time::Duration;

use catchword_coordinator::{Call as GroupCall, Notice, Noticed, Reply};
use catchword_wire::messages::offset_commit_request::OffsetCommitRequestTopic;
use catchword_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use catchword_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::catalog::Topic;
use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::zookeeper::Owed;

/// From this version on topics are named by their ids.
const BY_ID: i16 = 10;

pub(crate) fn handle(
    call: &Call,
    mut request: OffsetCommitRequest,
) -> Outcome<OffsetCommitResponse> {
    let mut refused = Vec::new();
    let (group_id, member_id) = (&request.group_id, &request.member_id);
    request.topics.retain_mut(|topic| {
        let found = resolve(call, topic, &mut refused);
        if let Some(found) = &found {
            notice_beyond_end(call, group_id, member_id, topic, found);
        }
        found.is_some()
    });
    if request.topics.is_empty() && !refused.is_empty() {
        return Outcome::Now(OffsetCommitResponse {
            topics: refused,
            ..OffsetCommitResponse::default()
        });
    }
    let named: Vec<(Str, Uuid, Vec<i32>)> = request
        .topics
        .iter()
        .map(|t| {
            (
                t.name.clone(),
                t.topic_id,
                t.partitions.iter().map(|p| p.partition_index).collect(),
            )
        })
        .collect();
    let config = call.broker.catalog.config();
    let owed = Owed::of(&call.broker, &config, &request);
    let timeout = u64::try_from(config.offsets_commit_timeout_ms).unwrap_or(0);
    let outcome = call
        .broker
        .groups
        .call(call, GroupCall::OffsetCommit(request));
    let outcome = match owed {
        Some(owed) => Outcome::later(async move { owed.paid(outcome.get().await.flatten()).await }),
        None => outcome,
    };
    let merge = move |reply: Option<Reply>| match reply {
        Some(Reply::OffsetCommit(mut response)) => {
            merge(&mut response.topics, refused);
            response
        }
        _ => not_stored(named, refused),
    };
    match outcome {
        // C10: whoever waits for the disk, or for ZooKeeper, waits for so long at most.
        Outcome::Later(future) => Outcome::later(async move {
            let reply = tokio::time::timeout(Duration::from_millis(timeout), future).await;
            merge(reply.ok().flatten())
        }),
        other => other.map(merge),
    }
}

/// Whoever reads on from beyond a log's end starts where `auto.offset.reset` says. Kafka takes such a commit (C3), so it
/// is taken, and told.
fn notice_beyond_end(
    call: &Call,
    group_id: &Str,
    member_id: &Str,
    topic: &OffsetCommitRequestTopic,
    found: &Topic,
) {
    let told = call.broker.groups.audit().beyond_end(group_id, &topic.name);
    if told.is_enough() {
        return;
    }
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let Some(known) = found.partition(index).filter(|_| !told.is_told(index)) else {
            continue;
        };
        let (to, end) = (partition.committed_offset, known.log.offsets().log_end);
        if to > end {
            let notice = Notice {
                group_id: group_id.detached(),
                member_id: member_id.detached(),
                client_id: call.client_id.detached(),
                client_host: call.client.host.detached(),
                what: Noticed::BeyondEnd {
                    topic: topic.name.detached(),
                    partition: index,
                    to,
                    end,
                },
            };
            told.tell(index, notice);
        }
    }
}

/// Gives a topic its name and id. Partitions that do not exist are moved to `refused`; `None` if nothing is left.
fn resolve(
    call: &Call,
    topic: &mut OffsetCommitRequestTopic,
    refused: &mut Vec<OffsetCommitResponseTopic>,
) -> Option<Arc<Topic>> {
    let catalog = &call.broker.catalog;
    let (found, code) = if call.version >= BY_ID {
        (
            catalog.topic_by_id(topic.topic_id),
            ErrorCode::UnknownTopicId,
        )
    } else {
        (
            catalog.topic(&topic.name),
            ErrorCode::UnknownTopicOrPartition,
        )
    };
    let mut errors = Vec::new();
    let error = |partition_index, code: ErrorCode| OffsetCommitResponsePartition {
        partition_index,
        error_code: code.code(),
    };
    match &found {
        None => {
            errors.extend(
                topic
                    .partitions
                    .drain(..)
                    .map(|p| error(p.partition_index, code)),
            );
        }
        Some(found) => {
            topic.name = found.name.clone();
            topic.topic_id = found.id;
            topic.partitions.retain(|p| {
                let exists = found.partition(p.partition_index).is_some();
                if !exists {
                    errors.push(error(p.partition_index, ErrorCode::UnknownTopicOrPartition));
                }
                exists
            });
        }
    }
    if !errors.is_empty() {
        let (name, topic_id) = (topic.name.clone(), topic.topic_id);
        refused.push(OffsetCommitResponseTopic {
            name,
            topic_id,
            partitions: errors,
        });
    }
    found.filter(|_| !topic.partitions.is_empty())
}

/// Puts the refused partitions beside the others of their topic.
fn merge(topics: &mut Vec<OffsetCommitResponseTopic>, refused: Vec<OffsetCommitResponseTopic>) {
    for topic in refused {
        match topics
            .iter_mut()
            .find(|t| t.name == topic.name && t.topic_id == topic.topic_id)
        {
            Some(present) => present.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
}

fn not_stored(
    named: Vec<(Str, Uuid, Vec<i32>)>,
    refused: Vec<OffsetCommitResponseTopic>,
) -> OffsetCommitResponse {
    let error_code = ErrorCode::CoordinatorNotAvailable.code();
    let topic = |(name, topic_id, partitions): (Str, Uuid, Vec<i32>)| OffsetCommitResponseTopic {
        name,
        topic_id,
        partitions: partitions
            .into_iter()
            .map(|partition_index| OffsetCommitResponsePartition {
                partition_index,
                error_code,
            })
            .collect(),
    };
    let mut topics: Vec<_> = named.into_iter().map(topic).collect();
    merge(&mut topics, refused);
    OffsetCommitResponse {
        topics,
        ..OffsetCommitResponse::default()
    }
}
