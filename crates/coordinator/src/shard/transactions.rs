//! Offsets committed as part of a transaction: TxnOffsetCommit, and the marker that ends the transaction here.

use catchword_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use catchword_wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::GroupShard;
use crate::call::{Context, TxnOffsetCommitCall};
use crate::effect::{Headers, Marker, Output, ProducerEpoch, Transactional};
use crate::group::{Group, fits_record};
use crate::offsets::pending::{Key, Waiting};
use crate::offsets::{Bookmark, metadata_fits};
use crate::record;
use crate::record::headers::{Cause, by};
use crate::records::CoordinatorRecord;

impl GroupShard {
    pub(super) fn commit_in_transaction(
        &mut self,
        ctx: &Context<'_>,
        call: TxnOffsetCommitCall,
        out: &mut Output,
    ) -> TxnOffsetCommitResponse {
        let TxnOffsetCommitCall { request, topic_ids } = call;
        if let Err(error) = self.accept_in_transaction(&request) {
            return refused_txn_commit(&request, error);
        }
        let producer = ProducerEpoch {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let headers = by(Cause::Transaction, ctx.client, &request.member_id);
        let group_id = request.group_id.detached();
        let records_before = out.records.len();
        let mut topics = Vec::with_capacity(request.topics.len());
        let ids = topic_ids.into_iter().chain(std::iter::repeat(Uuid::ZERO));
        for (topic, topic_id) in request.topics.into_iter().zip(ids) {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            let name = topic.name.detached();
            for partition in topic.partitions {
                let max = self.config.offset_metadata_max_bytes;
                let fits = metadata_fits(&partition.committed_metadata, max);
                let partition_index = partition.partition_index;
                let error_code = match fits {
                    true => ErrorCode::None.code(),
                    false => ErrorCode::OffsetMetadataTooLarge.code(),
                };
                partitions.push(TxnOffsetCommitResponsePartition {
                    partition_index,
                    error_code,
                });
                if fits {
                    let bookmark = Bookmark::new(
                        partition.committed_offset,
                        partition.committed_leader_epoch.max(-1),
                        ctx.now_ms,
                        topic_id,
                        partition.committed_metadata.unwrap_or_default(),
                        None,
                    );
                    record::offset_commit(
                        &group_id,
                        &name,
                        partition_index,
                        &bookmark,
                        &headers,
                        out,
                    );
                    let key = (group_id.clone(), name.clone(), partition_index);
                    self.pending.put(producer, key, bookmark);
                }
            }
            topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name,
                partitions,
            });
        }
        let records = out.records.split_off(records_before);
        if !records.is_empty() {
            self.group_or_new(&group_id);
            out.transactional
                .push(Transactional::Records { producer, records });
        }
        TxnOffsetCommitResponse {
            topics,
            ..TxnOffsetCommitResponse::default()
        }
    }

    /// T3: who says which member it is must be one, of this generation; what the group is doing does not matter.
    fn accept_in_transaction(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        if request.group_id.is_empty() || !fits_record(&request.group_id) {
            return Err(ErrorCode::InvalidGroupId);
        }
        let partitions = request.topics.iter().flat_map(|topic| {
            let id = self.image.topic(&topic.name).map_or(&Uuid::ZERO, |t| &t.id);
            let all = topic.partitions.iter();
            all.map(move |partition| (&topic.name, id, partition.partition_index))
        });
        match self.groups.get(&request.group_id) {
            Some(group) => group.accept_commit_in_transaction(
                &request.member_id,
                request.group_instance_id.as_ref(),
                request.generation_id,
                partitions,
            ),
            None if request.generation_id >= 0 => Err(ErrorCode::IllegalGeneration),
            None => Ok(()),
        }
    }

    /// T1: a transaction that may have committed offsets here ends.
    pub(super) fn end_transaction(&mut self, marker: Marker, out: &mut Output) {
        self.replay_end_of_transaction(marker.producer.id, marker.commit);
        out.transactional.push(Transactional::Marker(marker));
    }

    /// Applies a marker of the log, on load.
    pub fn replay_end_of_transaction(&mut self, producer_id: i64, commit: bool) {
        for ((group_id, topic, partition), bookmark) in self.pending.end(producer_id, commit) {
            let group = self.group_or_new(&group_id);
            group.offsets.put(&topic, partition, bookmark);
        }
    }

    /// T5: what waits for these offsets is forgotten; each leaves a tombstone, which says so in the log as well.
    pub(super) fn forget_pending(&mut self, keys: Vec<Key>, headers: &Headers, out: &mut Output) {
        for key in keys {
            self.pending.forget(&key);
            record::offset_tombstone(&key.0, &key.1, key.2, headers, out);
        }
    }

    /// T2: offsets of a group that were committed outside of a transaction.
    pub(super) fn overtake_pending(&mut self, group_id: &Str, committed: &[(Str, i32)]) {
        for (topic, partition) in committed {
            let key = (group_id.clone(), topic.clone(), *partition);
            self.pending.overtake(&key);
        }
    }

    /// What waits, as it is written: first what something later has passed by, which has to stand before the rest of the
    /// state, or else what may still count, which has to stand after it.
    pub fn dump_pending(&self, overtaken: bool) -> Vec<(ProducerEpoch, CoordinatorRecord)> {
        let headers = Headers::default();
        let mut out = Output::default();
        let mut producers = Vec::new();
        for ((group_id, topic, partition), waiting) in self.pending.in_order(overtaken) {
            let Waiting {
                producer, bookmark, ..
            } = waiting;
            record::offset_commit(group_id, topic, *partition, bookmark, &headers, &mut out);
            producers.push(*producer);
        }
        producers.into_iter().zip(out.records).collect()
    }

    /// Groups whose offsets all wait are there already.
    pub(super) fn put_pending(&mut self, producer: ProducerEpoch, key: Key, bookmark: Bookmark) {
        self.group_or_new(&key.0);
        self.pending.put(producer, key, bookmark);
    }

    pub(super) fn group_or_new(&mut self, group_id: &str) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group = Group::new(group_id);
            self.groups.insert(group.id.clone(), group);
        }
        self.groups
            .get_mut(group_id)
            .expect("it was inserted above")
    }
}

/// The response to a commit that is refused as a whole.
pub(crate) fn refused_txn_commit(
    request: &TxnOffsetCommitRequest,
    error: ErrorCode,
) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions: partitions
                .map(|partition| TxnOffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                })
                .collect(),
        }
    });
    TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..TxnOffsetCommitResponse::default()
    }
}
