//! How far a group is: committed offsets against the log's start and end.
//!
//! Lag counts what can still be read: where the log starts after the committed offset, the records in between are
//! lost, not behind.

use std::collections::BTreeMap;

use catchword_client::{Client, ClientError, Committed, ListAt, TopicPartition};
use serde::{Deserialize, Serialize};

use super::awaited::Awaited;
use super::kept::Kept;
use crate::http;
use crate::plane::{self, Api};

/// Start and end of partitions' logs.
pub(super) type Bounds = BTreeMap<TopicPartition, (i64, i64)>;

/// A group in one partition. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PartitionLag {
    /// The topic.
    pub(super) topic: String,
    /// The partition's number.
    pub(super) partition: i32,
    /// The committed offset; `None` if there is none.
    pub(super) committed: Option<i64>,
    /// The log start offset; `None` if there is no such partition any more.
    pub(super) log_start: Option<i64>,
    /// The offset after the last record.
    pub(super) end: Option<i64>,
    /// What can still be read: records where the broker counts them, which only Catchword does, or else the offsets from the
    /// committed one, or the log's start if that is later, to the end.
    pub(super) lag: Option<i64>,
    /// How long the oldest record that was not read has waited, ms; `None` if there is none, or the broker does not tell.
    pub(super) age_ms: Option<i64>,
    /// Offsets before the log's start that the group had not read.
    pub(super) lost: i64,
    /// Bytes that the log keeps past their time for this group; 0 where the broker does not tell.
    pub(super) held_bytes: u64,
    /// The offset behind the last record that was handed to the member that reads the partition; `None` where the broker does
    /// not tell.
    pub(super) fetched: Option<i64>,
    /// How many records that is past the committed offset, at most.
    pub(super) uncommitted: Option<i64>,
    /// What the client keeps beside the committed offset, without the NUL that librdkafka puts behind it.
    pub(super) metadata: Option<String>,
    /// The member that reads the partition.
    pub(super) member_id: Option<String>,
}

impl PartitionLag {
    /// Puts the two together.
    pub(super) fn new(
        partition: &TopicPartition,
        committed: Option<&Committed>,
        bounds: Option<(i64, i64)>,
    ) -> Self {
        let offset = committed.map(|committed| committed.offset);
        let (log_start, end) = (bounds.map(|(start, _)| start), bounds.map(|(_, end)| end));
        let lag = offset
            .zip(bounds)
            .map(|(offset, (start, end))| (end - offset.max(start)).max(0));
        let lost = offset
            .zip(log_start)
            .map_or(0, |(offset, start)| (start - offset).max(0));
        Self {
            topic: partition.topic.clone(),
            partition: partition.partition,
            committed: offset,
            log_start,
            end,
            lag,
            age_ms: None,
            lost,
            held_bytes: 0,
            fetched: None,
            uncommitted: None,
            metadata: committed
                .map(|committed| committed.metadata.trim_end_matches('\0').to_owned())
                .filter(|text| !text.is_empty()),
            member_id: None,
        }
    }

    /// Whether the committed offset is after the log's end.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.committed
            .zip(self.end)
            .is_some_and(|(committed, end)| committed > end)
    }
}

/// What the broker's JSON API tells of a group beside its partitions; nothing where it cannot be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    #[serde(flatten)]
    pub(super) kept: Kept,
    /// Whom a rebalance waits for.
    pub(super) awaited: Vec<Awaited>,
}

/// What the broker's JSON API tells of a partition.
#[derive(Debug, Deserialize)]
struct Counted {
    topic: String,
    partition: i32,
    committed: i64,
    lag: Option<i64>,
    age_ms: Option<i64>,
    #[serde(default)]
    held_bytes: u64,
    #[serde(default)]
    fetched: Option<i64>,
    #[serde(default)]
    uncommitted: Option<i64>,
}

/// Puts records in place of offsets, and tells how old they are, where the broker has counted them: markers of transactions,
/// aborted records and what was compacted away are nothing to read. What cannot be asked stays as it is. Returns what else is
/// told of the group.
pub(super) fn count_records(
    client: &mut Client,
    group: &str,
    partitions: &mut [PartitionLag],
) -> Told {
    let path = format!("/v1/groups/{}", http::encoded(group));
    let Ok(told) = Api::find(client).and_then(|api| api.get(&path)) else {
        return Told::default();
    };
    let counted = plane::read::<Vec<Counted>>(&told["partitions"]);
    for counted in counted.unwrap_or_default() {
        let place = (
            counted.topic.as_str(),
            counted.partition,
            Some(counted.committed),
        );
        let same =
            |lag: &&mut PartitionLag| (lag.topic.as_str(), lag.partition, lag.committed) == place;
        if let Some(lag) = partitions.iter_mut().find(same) {
            lag.lag = counted.lag;
            lag.age_ms = counted.age_ms;
            lag.held_bytes = counted.held_bytes;
            lag.fetched = counted.fetched;
            lag.uncommitted = counted.uncommitted;
        }
    }
    plane::read(&told).unwrap_or_default()
}

/// Start and end of the partitions; those that no longer exist are left out.
pub(super) fn bounds(
    client: &mut Client,
    partitions: &[TopicPartition],
) -> Result<Bounds, ClientError> {
    let mut topics: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    for partition in partitions {
        if !topics.contains_key(partition.topic.as_str()) {
            let count = match client.topic(&partition.topic, false) {
                Ok(topic) => Some(topic.partitions.len()),
                Err(ClientError::UnknownTopic { .. }) => None,
                Err(error) => return Err(error),
            };
            topics.insert(&partition.topic, count);
        }
    }
    let exists = |partition: &&TopicPartition| {
        let count = topics.get(partition.topic.as_str()).copied().flatten();
        count.is_some_and(|count| (partition.partition as usize) < count)
    };
    let there: Vec<&TopicPartition> = partitions.iter().filter(exists).collect();
    let at = |at| {
        there
            .iter()
            .map(|partition| ((*partition).clone(), at))
            .collect::<Vec<_>>()
    };
    let starts = client.list_offsets(&at(ListAt::Earliest))?;
    let ends = client.list_offsets(&at(ListAt::End))?;
    let pairs = starts
        .into_iter()
        .zip(ends)
        .filter_map(|((partition, start), (_, end))| {
            Some((partition, (start.offset?, end.offset?)))
        });
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(committed: i64, bounds: (i64, i64)) -> PartitionLag {
        with_metadata(committed, bounds, "")
    }

    fn with_metadata(committed: i64, bounds: (i64, i64), metadata: &str) -> PartitionLag {
        let committed = Committed {
            offset: committed,
            leader_epoch: -1,
            metadata: metadata.into(),
        };
        PartitionLag::new(&TopicPartition::new("t", 0), Some(&committed), Some(bounds))
    }

    #[test]
    fn metadata_is_shown_as_it_was_meant() {
        let shown = |text| with_metadata(2, (0, 10), text).metadata;
        assert_eq!(shown("host-3\0"), Some("host-3".into()));
        assert_eq!(shown("\0"), None);
    }

    #[test]
    fn what_is_gone_from_the_log_is_lost_not_behind() {
        let lag = lag(2, (8, 10));
        assert_eq!((lag.lag, lag.lost), (Some(2), 6));
    }

    #[test]
    fn a_group_beyond_the_end_is_not_ahead_by_less_than_nothing() {
        let lag = lag(1_000, (0, 10));
        assert_eq!((lag.lag, lag.lost), (Some(0), 0));
        assert!(lag.is_beyond_end());
    }

    #[test]
    fn without_a_committed_offset_there_is_no_lag_to_tell() {
        let lag = PartitionLag::new(&TopicPartition::new("t", 0), None, Some((0, 10)));
        assert_eq!((lag.lag, lag.lost), (None, 0));
    }
}
