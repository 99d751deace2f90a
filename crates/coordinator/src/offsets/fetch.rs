//! OffsetFetch: where a group stands.
//!
//! Reads what was decided, durable or not: the driver answers only once everything before the call is durable.

use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::pending::Pending;
use super::{Bookmark, Offsets, find};

/// The bookmarks asked for; all of them where the topics are null. `None` for a group that does not exist.
pub(crate) fn fetch(
    offsets: Option<&Offsets>,
    request: OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let topics = match request.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| fetch_topic(offsets, topic))
            .collect(),
        None => offsets.map_or_else(Vec::new, fetch_all),
    };
    OffsetFetchResponseGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchResponseGroup::default()
    }
}

fn fetch_topic(
    offsets: Option<&Offsets>,
    topic: OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let bookmarks = offsets.map_or(&[][..], |offsets| offsets.partitions(&topic.name));
    let partitions = topic.partition_indexes.iter().map(|partition| {
        // F2: an offset of another topic of the same name is no offset of this one.
        let bookmark = find(bookmarks, *partition)
            .filter(|bookmark| same_or_unknown(bookmark.topic_id, topic.topic_id));
        match bookmark {
            Some(bookmark) => found(*partition, bookmark),
            None => missing(*partition),
        }
    });
    OffsetFetchResponseTopics {
        partitions: partitions.collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    }
}

fn fetch_all(offsets: &Offsets) -> Vec<OffsetFetchResponseTopics> {
    let topics = offsets
        .topics()
        .map(|(topic, bookmarks)| OffsetFetchResponseTopics {
            name: topic.clone(),
            // As Kafka does; whoever answers version 10 knows the topic's present id.
            topic_id: Uuid::ZERO,
            partitions: bookmarks
                .iter()
                .map(|(partition, b)| found(*partition, b))
                .collect(),
        });
    topics.collect()
}

fn same_or_unknown(stored: Uuid, asked: Uuid) -> bool {
    stored == asked || stored.is_zero() || asked.is_zero()
}

fn found(partition: i32, bookmark: &Bookmark) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: bookmark.offset,
        committed_leader_epoch: bookmark.leader_epoch,
        metadata: Some(bookmark.metadata().clone()),
        error_code: 0,
    }
}

/// T4: offsets that an open transaction may still move are not told to whoever wants to go on from them.
pub(crate) fn hide_unstable(found: &mut OffsetFetchResponseGroup, pending: &Pending) {
    if pending.is_empty() {
        return;
    }
    for topic in &mut found.topics {
        for partition in &mut topic.partitions {
            if pending.has(&found.group_id, &topic.name, partition.partition_index) {
                *partition = OffsetFetchResponsePartitions {
                    error_code: ErrorCode::UnstableOffsetCommit.code(),
                    ..missing(partition.partition_index)
                };
            }
        }
    }
}

/// F1: no offset is no error.
fn missing(partition: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::EMPTY),
        error_code: 0,
    }
}
