//! Deleting bookmarks: single ones (KIP-496), all of a group, those of a deleted topic. Each leaves a tombstone.

use catchword_wire::messages::OffsetDeleteRequest;
use catchword_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::Offsets;
use crate::effect::{Headers, Output};
use crate::record::{offset_tombstone, origin};

/// OffsetDelete on a group that allows it. `is_subscribed` says which topics are in use.
pub(crate) fn delete_offsets(
    offsets: &mut Offsets,
    request: OffsetDeleteRequest,
    is_subscribed: impl Fn(&str) -> bool,
    headers: &Headers,
    out: &mut Output,
) -> OffsetDeleteResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let subscribed = is_subscribed(&topic.name);
        let error = if subscribed {
            ErrorCode::GroupSubscribedToTopic
        } else {
            ErrorCode::None
        };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            // A partition without an offset is answered like one that had it.
            if !subscribed && let Some(was) = offsets.remove(&topic.name, partition_index) {
                let (group_id, headers) = (&request.group_id, origin::from(headers, Some(&was)));
                offset_tombstone(group_id, &topic.name, partition_index, &headers, out);
            }
            let error_code = error.code();
            partitions.push(OffsetDeleteResponsePartition {
                partition_index,
                error_code,
            });
        }
        topics.push(OffsetDeleteResponseTopic {
            name: topic.name,
            partitions,
        });
    }
    OffsetDeleteResponse {
        topics,
        ..OffsetDeleteResponse::default()
    }
}

/// Deletes every bookmark of a group.
pub(crate) fn delete_all(
    group_id: &Str,
    offsets: &mut Offsets,
    headers: &Headers,
    out: &mut Output,
) {
    for (topic, bookmarks) in offsets.topics() {
        for (partition, bookmark) in bookmarks {
            let headers = origin::from(headers, Some(bookmark));
            offset_tombstone(group_id, topic, *partition, &headers, out);
        }
    }
    *offsets = Offsets::default();
}

/// Deletes a group's bookmarks in a topic that was deleted. Those of another topic of the same name stay (D6).
pub(crate) fn delete_topic(
    group_id: &Str,
    offsets: &mut Offsets,
    (topic, topic_id): &(Str, Uuid),
    headers: &Headers,
    out: &mut Output,
) {
    let gone: Vec<i32> = offsets
        .partitions(topic)
        .iter()
        .filter(|(_, bookmark)| bookmark.topic_id.is_zero() || bookmark.topic_id == *topic_id)
        .map(|(partition, _)| *partition)
        .collect();
    for partition in gone {
        let headers = origin::from(headers, offsets.remove(topic, partition).as_ref());
        offset_tombstone(group_id, topic, partition, &headers, out);
    }
}
