//! Offsets: of the log (earliest, end, at a time) and of groups (committed).

use std::collections::BTreeMap;
use std::time::Duration;

use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{
    ListOffsetsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetFetchResponse,
};
use catchword_wire::{ErrorCode, Str};

use crate::client::{ANY, Client};
use crate::error::{ClientError, check};
use crate::types::TopicPartition;

/// The last version of OffsetCommit and OffsetFetch that names topics; later ones (KIP-848) have ids.
const BY_NAME: i16 = 9;

/// Which offset of a log to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListAt {
    /// The log start offset.
    Earliest,
    /// The offset of the next record to be written.
    End,
    /// The first record at or after a time, in milliseconds since the epoch.
    Time(i64),
}

/// An offset that was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The offset; `None` if no record is that late.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds since the epoch, for [`ListAt::Time`].
    pub timestamp: Option<i64>,
}

/// A group's committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The epoch of the leader of the last record that was read; -1 where unknown.
    pub leader_epoch: i32,
    /// What the client keeps beside it.
    pub metadata: String,
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to read.
    pub offset: i64,
    /// The epoch of the leader of the last record that was read; -1 where unknown.
    pub leader_epoch: i32,
    /// What to keep beside it.
    pub metadata: String,
}

impl NewCommit {
    /// A commit without epoch or metadata.
    pub fn new(partition: TopicPartition, offset: i64) -> Self {
        Self {
            partition,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        }
    }
}

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub enum CommitAs<'a> {
    /// Nobody in the group: it must have no live members.
    Outsider,
    /// A member of it.
    Member {
        /// Its id.
        member_id: &'a str,
        /// The generation it is in.
        generation: i32,
        /// Its `group.instance.id`, if it is static.
        instance_id: Option<&'a str>,
    },
}

/// Puts items under their topics, in order.
fn by_topic<'a, T>(
    items: &'a [T],
    partition: impl Fn(&'a T) -> &'a TopicPartition,
) -> BTreeMap<&'a str, Vec<&'a T>> {
    let mut topics: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for item in items {
        topics.entry(&partition(item).topic).or_default().push(item);
    }
    topics
}

impl Client {
    /// Looks up offsets of logs, in the order of `wanted`.
    ///
    /// # Errors
    /// If a partition does not exist or a broker refuses.
    pub fn list_offsets(
        &mut self,
        wanted: &[(TopicPartition, ListAt)],
    ) -> Result<Vec<(TopicPartition, Found)>, ClientError> {
        let mut found = self.retrying(|client| client.try_list_offsets(wanted))?;
        let ordered = wanted.iter().map(|(partition, _)| {
            let none = Found {
                offset: None,
                timestamp: None,
            };
            (partition.clone(), found.remove(partition).unwrap_or(none))
        });
        Ok(ordered.collect())
    }

    fn try_list_offsets(
        &mut self,
        wanted: &[(TopicPartition, ListAt)],
    ) -> Result<BTreeMap<TopicPartition, Found>, ClientError> {
        let mut found = BTreeMap::new();
        for (address, items) in self.by_leader(wanted, |(partition, _)| partition)? {
            let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
            for (partition, at) in items {
                topics
                    .entry(&partition.topic)
                    .or_default()
                    .push(ListOffsetsPartition {
                        partition_index: partition.partition,
                        timestamp: match at {
                            ListAt::Earliest => -2,
                            ListAt::End => -1,
                            ListAt::Time(ms) => *ms,
                        },
                        ..Default::default()
                    });
            }
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: 0,
                topics: topics
                    .into_iter()
                    .map(|(name, partitions)| ListOffsetsTopic {
                        name: Str::copy(name),
                        partitions,
                    })
                    .collect(),
                timeout_ms: self.timeout_ms(),
            };
            let response = self.call_at(&address, &request, ANY, Duration::ZERO)?;
            for topic in response.topics {
                for result in topic.partitions {
                    let partition =
                        TopicPartition::new(topic.name.as_str(), result.partition_index);
                    check(result.error_code, None, || {
                        format!("look up an offset of {partition}")
                    })?;
                    let known = |value: i64| (value >= 0).then_some(value);
                    let offset = Found {
                        offset: known(result.offset),
                        timestamp: known(result.timestamp),
                    };
                    found.insert(partition, offset);
                }
            }
        }
        Ok(found)
    }

    /// A group's committed offsets: of these partitions, or of all it has. A partition without one is left out.
    ///
    /// # Errors
    /// If the coordinator refuses.
    pub fn committed(
        &mut self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Committed>, ClientError> {
        let topics = partitions.map(|partitions| by_topic(partitions, |p| p));
        let numbers =
            |items: &[&TopicPartition]| items.iter().map(|p| p.partition).collect::<Vec<_>>();
        let request = OffsetFetchRequest {
            group_id: Str::copy(group),
            topics: topics.as_ref().map(|topics| {
                let topic =
                    |(name, items): (&&str, &Vec<&TopicPartition>)| OffsetFetchRequestTopic {
                        name: Str::copy(name),
                        partition_indexes: numbers(items),
                    };
                topics.iter().map(topic).collect()
            }),
            groups: vec![OffsetFetchRequestGroup {
                group_id: Str::copy(group),
                topics: topics.as_ref().map(|topics| {
                    let topic =
                        |(name, items): (&&str, &Vec<&TopicPartition>)| OffsetFetchRequestTopics {
                            name: Str::copy(name),
                            partition_indexes: numbers(items),
                            ..Default::default()
                        };
                    topics.iter().map(topic).collect()
                }),
                ..Default::default()
            }],
            require_stable: false,
        };
        let what = || format!("read the committed offsets of group {group:?}");
        let response =
            self.call_coordinator(group, &request, BY_NAME, Duration::ZERO, |response| {
                check(response.error_code, None, what)?;
                for group in &response.groups {
                    check(group.error_code, None, what)?;
                }
                Ok(())
            })?;
        let mut committed = BTreeMap::new();
        for (partition, code, offset) in flatten(response) {
            check(code, None, || {
                format!("read the committed offset of group {group:?} in {partition}")
            })?;
            if offset.offset >= 0 {
                committed.insert(partition, offset);
            }
        }
        Ok(committed)
    }

    /// Commits offsets of a group.
    ///
    /// # Errors
    /// If the coordinator refuses one of them; the others may then have been taken.
    pub fn commit(
        &mut self,
        group: &str,
        who: CommitAs<'_>,
        commits: &[NewCommit],
    ) -> Result<(), ClientError> {
        let (member_id, generation, instance_id) = match who {
            CommitAs::Outsider => ("", -1, None),
            CommitAs::Member {
                member_id,
                generation,
                instance_id,
            } => (member_id, generation, instance_id),
        };
        let partition = |commit: &&NewCommit| OffsetCommitRequestPartition {
            partition_index: commit.partition.partition,
            committed_offset: commit.offset,
            committed_leader_epoch: commit.leader_epoch,
            committed_metadata: Some(Str::copy(&commit.metadata)),
        };
        let topics = by_topic(commits, |commit| &commit.partition);
        let request = OffsetCommitRequest {
            group_id: Str::copy(group),
            generation_id_or_member_epoch: generation,
            member_id: Str::copy(member_id),
            group_instance_id: instance_id.map(Str::copy),
            topics: topics
                .into_iter()
                .map(|(name, commits)| OffsetCommitRequestTopic {
                    name: Str::copy(name),
                    partitions: commits.iter().map(partition).collect(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        self.call_coordinator(group, &request, BY_NAME, Duration::ZERO, |response| {
            for topic in &response.topics {
                for result in &topic.partitions {
                    check(result.error_code, None, || {
                        let place = format!("{}:{}", topic.name, result.partition_index);
                        format!("commit an offset of group {group:?} in {place}")
                    })?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Deletes committed offsets of a group.
    ///
    /// # Errors
    /// If the coordinator refuses one of them: a live member reads the topic, there is no such group.
    pub fn delete_offsets(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let topics = by_topic(partitions, |p| p);
        let request = OffsetDeleteRequest {
            group_id: Str::copy(group),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetDeleteRequestTopic {
                    name: Str::copy(name),
                    partitions: partitions
                        .iter()
                        .map(|p| OffsetDeleteRequestPartition {
                            partition_index: p.partition,
                        })
                        .collect(),
                })
                .collect(),
        };
        let what = || format!("delete committed offsets of group {group:?}");
        self.call_coordinator(group, &request, ANY, Duration::ZERO, |response| {
            check(response.error_code, None, what)?;
            let results = response.topics.iter().flat_map(|topic| &topic.partitions);
            results
                .into_iter()
                .try_for_each(|result| check(result.error_code, None, what))
        })?;
        Ok(())
    }
}

fn flatten(response: OffsetFetchResponse) -> Vec<(TopicPartition, i16, Committed)> {
    let committed = |offset, leader_epoch, metadata: Option<Str>| Committed {
        offset,
        leader_epoch,
        metadata: metadata.map(|text| text.to_string()).unwrap_or_default(),
    };
    let mut all = Vec::new();
    for topic in response.topics {
        for p in topic.partitions {
            let place = TopicPartition::new(topic.name.as_str(), p.partition_index);
            all.push((
                place,
                p.error_code,
                committed(p.committed_offset, p.committed_leader_epoch, p.metadata),
            ));
        }
    }
    for topic in response.groups.into_iter().flat_map(|group| group.topics) {
        for p in topic.partitions {
            let place = TopicPartition::new(topic.name.as_str(), p.partition_index);
            all.push((
                place,
                p.error_code,
                committed(p.committed_offset, p.committed_leader_epoch, p.metadata),
            ));
        }
    }
    // A partition that was deleted since is not an error of the group's.
    all.retain(|(_, code, _)| *code != ErrorCode::UnknownTopicOrPartition.code());
    all
}
