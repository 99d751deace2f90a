//! Wrong sequences, fenced producers, transactions that overlap or were never begun.

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

use super::wire::{TRANSACTION, Wire};
use super::{Answers, are, code};
use crate::harness::{Cluster, wait_until};

/// Id and epoch.
type Producer = (i64, i16);

const NOBODY: Producer = (-1, -1);

struct Asker {
    wire: Wire,
    topic: Str,
    id: Str,
    group: Str,
}

impl Asker {
    fn new(cluster: &Cluster) -> Asker {
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

    fn init(&mut self, id: Option<Str>, timeout_ms: i32, now: Producer) -> (ErrorCode, Producer) {
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
    fn begin(&mut self) -> Producer {
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

    fn produce(&mut self, id: Option<Str>, producer: Producer, sequence: i32) -> ErrorCode {
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
        // A new partition is led a little later than it is known of.
        let mut answer = ErrorCode::None;
        wait_until("the partition is led", || {
            let response = self.wire.call(&request, 9);
            answer = code(response.responses[0].partition_responses[0].error_code);
            answer != ErrorCode::NotLeaderOrFollower
        });
        answer
    }

    fn add(&mut self, id: &Str, producer: Producer) -> ErrorCode {
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

    fn add_offsets(&mut self, id: &Str, producer: Producer) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: id.clone(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            group_id: self.group.clone(),
        };
        self.wire
            .patiently(|wire| wire.call(&request, 3).error_code)
    }

    fn end(&mut self, id: &Str, producer: Producer, committed: bool) -> ErrorCode {
        let request = EndTxnRequest {
            transactional_id: id.clone(),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
        };
        self.wire
            .patiently(|wire| wire.call(&request, 3).error_code)
    }

    fn commit(&mut self, producer: Producer, member: &'static str, generation: i32) -> ErrorCode {
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

#[test]
fn wrong_sequences_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("sequences");
    let mut asker = Asker::new(&cluster);
    let (given, (id, epoch)) = asker.init(None, 60_000, NOBODY);
    assert_eq!(given, ErrorCode::None);
    let mut send = |what, epoch, sequence| (what, asker.produce(None, (id, epoch), sequence));
    let answers = vec![
        send("the first", epoch, 0),
        send("the same again", epoch, 0),
        send("one is left out", epoch, 2),
        send("the next", epoch, 1),
        send("a new epoch that does not begin at 0", epoch + 1, 2),
        send("a new epoch", epoch + 1, 0),
        send("the epoch before", epoch, 2),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::None,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
        ],
    );
}

#[test]
fn producers_that_cannot_be_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("producers");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let mut init = |what, id: Option<&Str>, timeout_ms, now| {
        (what, asker.init(id.cloned(), timeout_ms, now).0)
    };
    let answers: Answers = vec![
        init(
            "an empty transactional id",
            Some(&Str::EMPTY),
            60_000,
            NOBODY,
        ),
        init("no time at all", Some(&id), 0, NOBODY),
        init("too much time", Some(&id), i32::MAX, NOBODY),
        init("an id without an epoch", Some(&id), 60_000, (7, -1)),
        init("an epoch without an id", Some(&id), 60_000, (-1, 7)),
    ];
    are(
        &answers,
        &[
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidTransactionTimeout,
            ErrorCode::InvalidTransactionTimeout,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
        ],
    );
}

#[test]
fn unknown_and_fenced_producers_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("fenced");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let (producer, epoch) = asker.begin();
    let next = asker.begin();
    assert_eq!(next, (producer, epoch + 1));
    let (old, early) = ((producer, epoch), (producer, epoch + 2));
    let other = (producer + 1_000_000, 0);
    let unknown = Str::from(cluster.name("nobody"));
    let answers: Answers = vec![
        (
            "add: an unknown transactional id",
            asker.add(&unknown, next),
        ),
        ("add: another producer's id", asker.add(&id, other)),
        ("add: the epoch before", asker.add(&id, old)),
        ("add: an epoch that was never given", asker.add(&id, early)),
        (
            "offsets: an unknown transactional id",
            asker.add_offsets(&unknown, next),
        ),
        (
            "offsets: another producer's id",
            asker.add_offsets(&id, other),
        ),
        ("offsets: the epoch before", asker.add_offsets(&id, old)),
        (
            "end: an unknown transactional id",
            asker.end(&unknown, next, true),
        ),
        ("end: another producer's id", asker.end(&id, other, true)),
        ("end: the epoch before", asker.end(&id, old, true)),
        ("end: nothing was begun", asker.end(&id, next, true)),
        (
            "begin again as it was",
            asker.init(Some(id.clone()), 60_000, old).0,
        ),
        (
            "begin again as another",
            asker.init(Some(id.clone()), 60_000, other).0,
        ),
    ];
    are(
        &answers,
        &[
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::InvalidProducerIdMapping,
            ErrorCode::ProducerFenced,
            ErrorCode::InvalidTxnState,
            ErrorCode::ProducerFenced,
            ErrorCode::ProducerFenced,
        ],
    );
}

#[test]
fn transactions_that_overlap_or_were_not_begun_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("overlap");
    let mut asker = Asker::new(&cluster);
    let id = asker.id.clone();
    let first = asker.begin();
    let mut answers: Answers = vec![
        (
            "a partition that was not added",
            asker.produce(Some(id.clone()), first, 0),
        ),
        ("add it", asker.add(&id, first)),
        ("write to it", asker.produce(Some(id.clone()), first, 0)),
        (
            "begin another",
            asker.init(Some(id.clone()), 60_000, NOBODY).0,
        ),
    ];
    let second = asker.begin();
    answers.extend([
        (
            "the first goes on",
            asker.produce(Some(id.clone()), first, 1),
        ),
        ("the first ends", asker.end(&id, first, true)),
        ("the second begins", asker.add(&id, second)),
        (
            "the second writes",
            asker.produce(Some(id.clone()), second, 0),
        ),
        ("the second commits", asker.end(&id, second, true)),
        ("it commits again", asker.end(&id, second, true)),
        (
            "it aborts what it has committed",
            asker.end(&id, second, false),
        ),
        ("offsets of a group", asker.add_offsets(&id, second)),
        ("a generation nobody has", asker.commit(second, "", 3)),
        ("a member nobody knows", asker.commit(second, "m", 3)),
        (
            "offsets by nobody in the group",
            asker.commit(second, "", -1),
        ),
        ("offsets by the first", asker.commit(first, "", -1)),
        ("the end", asker.end(&id, second, true)),
    ]);
    are(
        &answers,
        &[
            ErrorCode::InvalidTxnState,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::ConcurrentTransactions,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::ProducerFenced,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidTxnState,
            ErrorCode::None,
            ErrorCode::IllegalGeneration,
            ErrorCode::IllegalGeneration,
            ErrorCode::None,
            ErrorCode::InvalidProducerEpoch,
            ErrorCode::None,
        ],
    );
}
