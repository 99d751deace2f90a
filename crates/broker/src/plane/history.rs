//! How many bytes the past takes.

use serde::Serialize;

use crate::broker::Broker;
use crate::catalog::OFFSETS_TOPIC;

/// The names of fields are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryView {
    /// Of all partitions.
    pub(crate) bytes: u64,
    /// The most that history may take of each partition; the oldest goes first. The newest offset of each bookmark is
    /// in `bytes`, and does not count for this.
    pub(crate) max_partition_bytes: u64,
    /// Those that are not empty.
    partitions: Vec<PartitionBytes>,
}

#[derive(Debug, Serialize)]
struct PartitionBytes {
    partition: i32,
    bytes: u64,
}

impl HistoryView {
    /// Of the partition that takes the most.
    pub(crate) fn largest(&self) -> u64 {
        let bytes = self.partitions.iter().map(|partition| partition.bytes);
        bytes.max().unwrap_or(0)
    }
}

/// The bytes of `__consumer_offsets`, which is the history of the bookmarks.
pub(crate) fn history(broker: &Broker) -> HistoryView {
    let topic = broker.catalog.topic(OFFSETS_TOPIC);
    let shards = topic.iter().flat_map(|topic| topic.partitions.iter());
    let partitions = shards.map(|shard| PartitionBytes {
        partition: shard.tp.partition,
        bytes: shard.log.size_bytes(),
    });
    let partitions: Vec<_> = partitions.filter(|partition| partition.bytes > 0).collect();
    let max = broker.catalog.config().offsets_history_max_bytes;
    HistoryView {
        bytes: partitions.iter().map(|partition| partition.bytes).sum(),
        max_partition_bytes: u64::try_from(max).unwrap_or(0),
        partitions,
    }
}
