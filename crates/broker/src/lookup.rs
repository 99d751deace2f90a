//! Partitions as requests name them: by topic name or topic id, at a leader epoch that the client believes in.

use std::sync::Arc;

use catchword_wire::{ErrorCode, Uuid};

use crate::catalog::{Catalog, Topic};
use crate::partition::Partition;

/// The topic that a request means, by id if it gives one.
pub(crate) fn topic(catalog: &Catalog, name: &str, id: Uuid) -> Result<Arc<Topic>, ErrorCode> {
    if id.is_zero() {
        catalog
            .topic(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition)
    } else {
        catalog.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)
    }
}

/// A partition of the topic.
pub(crate) fn partition(topic: &Topic, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
    topic
        .partition(index)
        .filter(|p| !p.is_deleted())
        .ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// Compares the leader epoch that the client knows with the one in force; -1 means that it doesn't say (KIP-320).
pub(crate) fn check_epoch(partition: &Partition, clients: i32) -> Result<(), ErrorCode> {
    match clients {
        -1 => Ok(()),
        old if old < partition.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
        new if new > partition.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// The largest known epoch not above `epoch` and where it ends; `(-1, -1)` if unknown. The epoch in force ends at the
/// log's end, whether it has records yet or not (KIP-320).
pub(crate) fn end_of_epoch(partition: &Partition, epoch: i32) -> (i32, i64) {
    if epoch == partition.leader_epoch {
        return (epoch, partition.log.offsets().log_end);
    }
    partition.log.end_offset_for_epoch(epoch)
}
