//! A producer that asks for whatever it is told, right or wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::batch::{BatchBuilder, NewRecord};
use catchword_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use catchword_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use catchword_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use catchword_wire::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    ProduceRequest, TxnOffsetCommitRequest,
};
use catchword_wire::{ErrorCode, Str};

use super::code;
use super::wire::{TRANSACTION, Wire};
use crate::harness::{Cluster, wait_until};

/// Id and epoch.
pub(super) type Producer = (i64, i16);

pub(super) const NOBODY: Producer = (-1, -1);

pub(super) struct Asker {
    pub(super) wire: Wire,
    pub(super) topic: Str,
    pub(super) id: Str,
    pub(super) group: Str,
}

impl Asker {
    pub(super) fn new(cluster: &Cluster) -> Asker {
        let topic = cluster.name("t");
        cluster.run(&["topics", "create", &topic]).ok();
        let id = cluster.name("x");
        Asker {
            wire: Wire::to(cluster, TRANSACTION, &id),
            topic: Str::from(topic),
            id: Str::from(id),
            group: Str::from(cluster.name("g")),
        }
    }

    pub(super) fn init(
        &mut self,
        id: Option<Str>,
        timeout_ms: i32,
        now: Producer,
    ) -> (ErrorCode, Producer) {
        let request = InitProducerIdRequest {
            transactional_id: id,
            transaction_timeout_ms: timeout_ms,
            producer_id: now.0,
            producer_epoch: now.1,
            ..InitProducerIdRequest::default()
        };
        let response = self.wire.call(&request, 4);
        let given = (response.producer_id, response.producer_epoch);
        (code(response.error_code), given)
    }

    /// Becomes the producer of the transactional id.
    pub(super) fn begin(&mut self) -> Producer {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let mut given = NOBODY;
        let done = self.wire.patiently(|wire| {
            let response = wire.call(&request, 4);
            given = (response.producer_id, response.producer_epoch);
            response.error_code
        });
        assert_eq!(done, ErrorCode::None);
        given
    }

    pub(super) fn produce(
        &mut self,
        id: Option<Str>,
        producer: Producer,
        sequence: i32,
    ) -> ErrorCode {
        self.produce_by(9, id, producer, sequence)
    }

    /// Writes as a client of this version of Produce: from 12 on it need not add the partition first (KIP-890).
    pub(super) fn produce_by(
        &mut self,
        version: i16,
        id: Option<Str>,
        producer: Producer,
        sequence: i32,
    ) -> ErrorCode {
        let mut batch = BatchBuilder::new(0)
            .producer(producer.0, producer.1, sequence)
            .transactional(id.is_some());
        let record = NewRecord {
            timestamp: 1_700_000_000_000,
            value: Some(b"v"),
            ..NewRecord::default()
        };
        batch.push(record).unwrap();
        let request = ProduceRequest {
            transactional_id: id,
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(batch.build().unwrap().into()),
                }],
                ..TopicProduceData::default()
            }],
        };
        // A new partition is led a little later than it is known of, and a transaction ends a little later than it is told.
        let mut answer = ErrorCode::None;
        wait_until("the partition is led", || {
            let response = self.wire.call(&request, version);
            answer = code(response.responses[0].partition_responses[0].error_code);
            !matches!(
                answer,
                ErrorCode::NotLeaderOrFollower
                    | ErrorCode::NotEnoughReplicas
                    | ErrorCode::ConcurrentTransactions
            )
        });
        answer
    }

    pub(super) fn add(&mut self, id: &Str, producer: Producer) -> ErrorCode {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.clone(),
            v3_and_below_producer_id: producer.0,
            v3_and_below_producer_epoch: producer.1,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: self.topic.clone(),
                partitions: vec![0],
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        self.wire.patiently(|wire| {
            let response = wire.call(&request, 3);
            response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        })
    }

    pub(super) fn add_offsets(&mut self, id: &Str, producer: Producer) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: id.clone(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            group_id: self.group.clone(),
        };
        self.wire
            .patiently(|wire| wire.call(&request, 3).error_code)
    }

    pub(super) fn end(&mut self, id: &Str, producer: Producer, committed: bool) -> ErrorCode {
        self.end_by(3, id, producer, committed).0
    }

    /// Ends as a client of this version of EndTxn: from 5 on the end gives the producer its next epoch (KIP-890).
    pub(super) fn end_by(
        &mut self,
        version: i16,
        id: &Str,
        producer: Producer,
        committed: bool,
    ) -> (ErrorCode, Producer) {
        let request = EndTxnRequest {
            transactional_id: id.clone(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
        };
        let mut given = NOBODY;
        let error = self.wire.patiently(|wire| {
            let response = wire.call(&request, version);
            given = (response.producer_id, response.producer_epoch);
            response.error_code
        });
        (error, given)
    }

    pub(super) fn commit(
        &mut self,
        producer: Producer,
        member: &'static str,
        generation: i32,
    ) -> ErrorCode {
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: self.group.clone(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            generation_id: generation,
            member_id: member.into(),
            topics: vec![TxnOffsetCommitRequestTopic {
                name: self.topic.clone(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: 1,
                    ..TxnOffsetCommitRequestPartition::default()
                }],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        self.wire.patiently(|wire| {
            let response = wire.call(&request, 3);
            response.topics[0].partitions[0].error_code
        })
    }
}
